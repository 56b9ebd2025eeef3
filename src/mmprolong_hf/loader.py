"""One rank's packs, read from the plan and encoded in worker processes."""

import math
from typing import Any

import torch
from accelerate.data_loader import prepare_data_loader
from datasets import Dataset
from torch.utils.data import DataLoader, Sampler

from mmprolong_hf.broken_pages import REJECTED, BrokenPage
from mmprolong_hf.collator import PackCollator
from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.plan import PackingPlan
from mmprolong_hf.preemption import leave_signals_to_the_trainer
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
        return len(self.dataset) // 2  # samples: the other half are the same ones, with nothing supervised

    def read(self, parts: list[list[int]]) -> tuple[list[list[dict[str, Any]]], list[BrokenPage]]:
        """
        The samples of each part, but for those whose pages cannot be read, and why these were left out: a page for each. There is
        always a sample; see [`~mmprolong_hf.sample_encoder.SampleEncoder`].
        """
        rows = iter(self.dataset.__getitems__([row for part in parts for row in part]))
        read = [[next(rows) for _ in part] for part in parts]
        samples = [[row["sample"] for row in part if row["sample"] is not None] for part in read]
        rejected = [row["rejected"] for part in read for row in part if row["rejected"] is not None]
        return [part for part in samples if part], rejected

    def __getitems__(self, parts: list[list[int]]) -> list[list[dict[str, Any]]]:
        return self.read(parts)[0]


class Packs(PartRows):
    """
    The packs of a table of samples, made where they are read: in a worker of the loader.

    Args:
        dataset (`Dataset`): From [`~mmprolong_hf.sample_encoder.samples_dataset`].
        collator (`PackCollator`): What makes a pack of its samples.
    """

    def __init__(self, dataset: Dataset, collator: PackCollator):
        super().__init__(dataset)
        self.collator = collator

    def __getitems__(self, parts: list[list[int]]) -> list[dict[str, Any]]:
        samples, rejected = self.read(parts)
        pack = self.collator(samples)
        return [pack | {REJECTED: rejected}] if rejected else [pack]


def pack_loader(
    dataset: Dataset, plan: PackingPlan, parts: Parts, collator: PackCollator, args: MMProLongConfig
) -> DataLoader:
    """
    A loader of this rank's packs, prepared for accelerate. Each rank draws its own packs from the plan, so accelerate is told
    of one process only: it would shard them again.

    Packs stay in host memory, for Trainer takes all of a step's at once (it counts their targets) and moves each to the device
    when it is computed. A pack of 131,072 tokens has 0.3 GB of page images as uint8, and 2.4 GB as float32. Workers
    prepare at most `dataloader_num_workers * dataloader_prefetch_factor` packs, in `/dev/shm` (a container's is small if nobody
    says otherwise), and hand them over in the order of the plan. As many as a step takes, and the one that accelerate reads
    ahead, where no `dataloader_prefetch_factor` is given: with fewer, every step would begin by waiting for the rest.

    Args:
        dataset (`Dataset`): From [`~mmprolong_hf.sample_encoder.samples_dataset`].
        plan (`PackingPlan`): The plan over `parts`.
        parts (`Parts`): Made of the dataset's supervised half.
        collator (`PackCollator`): What makes a pack of its samples.
        args (`MMProLongConfig`): Workers, packs in a step, and rank.
    """
    workers, prefetch = args.dataloader_num_workers, args.dataloader_prefetch_factor
    if workers and prefetch is None:
        prefetch = max(2, math.ceil((args.gradient_accumulation_steps + 1) / workers))
    loader = DataLoader(
        Packs(dataset, collator),
        batch_sampler=PackSampler(plan, parts, args.process_index),
        collate_fn=_only_pack,
        num_workers=workers,
        worker_init_fn=leave_signals_to_the_trainer,
        pin_memory=args.dataloader_pin_memory and torch.cuda.is_available(),
        persistent_workers=args.dataloader_persistent_workers,
        prefetch_factor=prefetch,
    )
    return prepare_data_loader(loader, num_processes=1, process_index=0, put_on_device=False)


def _only_pack(packs: list[dict[str, Any]]) -> dict[str, Any]:
    return packs[0]
