"""One rank's packs, read from the plan and encoded in worker processes."""

from typing import Any

import torch
from accelerate.data_loader import prepare_data_loader
from datasets import Dataset
from torch.utils.data import DataLoader, Sampler

from mmprolong_hf.collator import PackCollator
from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.packing import PackingPlan


class PackSampler(Sampler):
    """
    One rank's batches of an epoch, as rows of the table that [`~mmprolong_hf.samples.samples_dataset`] returns.

    Args:
        plan (`PackingPlan`): The plan of all ranks.
        rank (`int`): Whose batches these are.
    """

    batch_size = 1  # accelerate's count of packs, not of samples

    def __init__(self, plan: PackingPlan, rank: int):
        self.plan, self.rank, self.epoch = plan, rank, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.plan.micro_steps_per_epoch

    def __iter__(self):
        num_samples = len(self.plan.lengths)
        for pack in self.plan.rank_packs(self.epoch, self.rank):
            yield [index if index >= 0 else num_samples + ~index for index in pack]


class SampleCollator:
    """
    The collator for rows of [`~mmprolong_hf.samples.samples_dataset`], which hold one value, the encoded sample.

    Args:
        merge_size (`int`): The vision tower's `spatial_merge_size`.
    """

    def __init__(self, merge_size: int):
        self.collator = PackCollator(merge_size)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        return self.collator([row["sample"] for row in rows])


def pack_loader(dataset: Dataset, plan: PackingPlan, collator: SampleCollator, args: MMProLongConfig) -> DataLoader:
    """
    A loader of this rank's packs, prepared for accelerate. Each rank draws its own packs from the plan, so accelerate is told
    of one process only: it would shard them again.

    Args:
        dataset (`Dataset`): From [`~mmprolong_hf.samples.samples_dataset`].
        plan (`PackingPlan`): The plan over its supervised half.
        collator (`SampleCollator`): What makes a pack of its samples.
        args (`MMProLongConfig`): Workers, device and rank.
    """
    loader = DataLoader(
        dataset,
        batch_sampler=PackSampler(plan, args.process_index),
        collate_fn=collator,
        num_workers=args.dataloader_num_workers,
        pin_memory=args.dataloader_pin_memory and torch.cuda.is_available(),
        persistent_workers=args.dataloader_persistent_workers,
        prefetch_factor=args.dataloader_prefetch_factor,
    )
    return prepare_data_loader(loader, device=args.device, num_processes=1, process_index=0, put_on_device=True)
