"""One rank's packs, read from the plan and encoded in worker processes."""

from typing import Any

import torch
from accelerate.data_loader import prepare_data_loader
from datasets import Dataset
from torch.utils.data import DataLoader, Sampler

from mmprolong_hf.collator import PackCollator
from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.plan import PackingPlan
from mmprolong_hf.sharing import Parts


class PackSampler(Sampler):
    """
    One rank's batches of an epoch: a pack is a list of parts, a part a list of rows of the table that
    [`~mmprolong_hf.sample_encoder.samples_dataset`] returns.

    Args:
        plan (`PackingPlan`): The plan of all ranks.
        parts (`Parts`): What it was made of.
        rank (`int`): Whose batches these are.
    """

    batch_size = 1  # accelerate's count of packs, not of samples

    def __init__(self, plan: PackingPlan, parts: Parts, rank: int):
        self.plan, self.parts, self.rank, self.epoch = plan, parts, rank, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.plan.micro_steps_per_epoch

    def __iter__(self):
        for pack in self.plan.rank_packs(self.epoch, self.rank):
            yield pack_rows(pack, self.parts)


def pack_rows(pack: list[int], parts: Parts) -> list[list[int]]:
    """
    The rows of each part of a pack; those of a filler, written as `~part`, lie in the unsupervised half of the table.

    Example:

    ```python
    >>> from mmprolong_hf.sharing import share_prefixes
    >>> parts = share_prefixes([7, 9, 8], [0, 1, 0], [5, 5, 5], max_length=20, max_questions=2, seed=0)
    >>> pack_rows([0, 1], parts), pack_rows([~1], parts)
    ([[2, 0], [1]], [[4]])

    ```
    """
    num_samples = len(parts.samples)
    return [parts[part] if part >= 0 else [num_samples + row for row in parts[~part]] for part in pack]


class PartRows(torch.utils.data.Dataset):
    """
    A table of samples, read part by part: all rows of a pack at once, so that each document in it is encoded once.

    Args:
        dataset (`Dataset`): From [`~mmprolong_hf.sample_encoder.samples_dataset`].
    """

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, parts: list[list[int]]) -> list[list[dict[str, Any]]]:
        rows = iter(self.dataset.__getitems__([row for part in parts for row in part]))
        return [[next(rows)["sample"] for _ in part] for part in parts]


def pack_loader(
    dataset: Dataset, plan: PackingPlan, parts: Parts, collator: PackCollator, args: MMProLongConfig
) -> DataLoader:
    """
    A loader of this rank's packs, prepared for accelerate. Each rank draws its own packs from the plan, so accelerate is told
    of one process only: it would shard them again.

    Args:
        dataset (`Dataset`): From [`~mmprolong_hf.sample_encoder.samples_dataset`].
        plan (`PackingPlan`): The plan over `parts`.
        parts (`Parts`): Made of the dataset's supervised half.
        collator (`PackCollator`): What makes a pack of its samples.
        args (`MMProLongConfig`): Workers, device and rank.
    """
    loader = DataLoader(
        PartRows(dataset),
        batch_sampler=PackSampler(plan, parts, args.process_index),
        collate_fn=collator,
        num_workers=args.dataloader_num_workers,
        pin_memory=args.dataloader_pin_memory and torch.cuda.is_available(),
        persistent_workers=args.dataloader_persistent_workers,
        prefetch_factor=args.dataloader_prefetch_factor,
    )
    return prepare_data_loader(loader, device=args.device, num_processes=1, process_index=0, put_on_device=True)
