"""The plan: which samples share a pack and which packs share a step. Pure functions over integers, no data is read."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

STRATEGIES = ("random", "sequential")


def pack_samples(lengths: Sequence[int], max_length: int, *, order: Sequence[int] | None = None) -> list[list[int]]:
    """
    Best-fit decreasing: longest sample first, each into the fullest pack that still takes it.

    The free room of every pack after each placement follows from the lengths alone, whatever `order` is: the number of
    packs and their loads never depend on it, only which of several equally long samples stands where.

    Args:
        lengths (`Sequence[int]`): Tokens of each sample.
        max_length (`int`): Most tokens in a pack.
        order (`Sequence[int]`, *optional*): A permutation of the samples that decides between equally long ones; their
            own order if not given.

    Returns:
        `list[list[int]]`: The samples of each pack, longest first, packs in the order they were opened.

    Raises:
        ValueError: if a sample is empty or longer than `max_length`, or `order` is not a permutation.

    Example:

    ```python
    >>> pack_samples([30, 60, 90, 40, 10], max_length=100)
    [[2, 4], [1, 3], [0]]
    >>> pack_samples([60, 120], max_length=100)
    Traceback (most recent call last):
    ...
    ValueError: sample 1 has 120 tokens, expected at most max_length=100; see `overlong_documents` for rejecting or shortening such documents before the plan is made, or raise max_length

    ```
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    _check_lengths(sizes, max_length)
    if order is None:
        order = range(len(sizes))
    order = np.asarray(order, dtype=np.int64)
    if not np.array_equal(np.sort(order), np.arange(len(sizes))):
        raise ValueError(f"order is not a permutation of the {len(sizes)} samples, expected each index once")

    longest_first = order[np.argsort(-sizes[order], kind="stable")]
    shortest = int(sizes.min(initial=max_length))
    packs: list[list[int]] = []
    rooms: list[int] = []  # the distinct free rooms of open packs, ascending
    open_packs: dict[int, list[list[int]]] = defaultdict(list)  # free room -> packs
    for index, size in zip(longest_first.tolist(), sizes[longest_first].tolist(), strict=True):
        fit = bisect_left(rooms, size)
        if fit == len(rooms):
            room, pack = max_length, []
            packs.append(pack)
        else:
            room = rooms[fit]
            pack = open_packs[room].pop()
            if not open_packs[room]:
                del rooms[fit], open_packs[room]
        pack.append(index)
        room -= size
        if room >= shortest:  # else nothing can follow: forgetting such packs keeps `rooms` short
            if room not in open_packs:
                insort(rooms, room)
            open_packs[room].append(pack)
    return packs


def _next_fit(lengths: Sequence[int], max_length: int) -> list[list[int]]:
    """Packs in dataset order: a new pack begins where the next sample does not fit."""
    packs: list[list[int]] = []
    room = 0
    for index, size in enumerate(lengths):
        if size > room:
            packs.append([])
            room = max_length
        packs[-1].append(index)
        room -= size
    return packs


def _check_lengths(sizes: np.ndarray, max_length: int) -> None:
    empty, overlong = np.flatnonzero(sizes < 1), np.flatnonzero(sizes > max_length)
    if len(empty):
        raise ValueError(f"sample {empty[0]} has {sizes[empty[0]]} tokens, expected at least 1; remove it")
    if len(overlong):
        raise ValueError(
            f"sample {overlong[0]} has {sizes[overlong[0]]} tokens, expected at most max_length={max_length}; see "
            "`overlong_documents` for rejecting or shortening such documents before the plan is made, or raise "
            "max_length"
        )


@dataclass(frozen=True)
class PackingPlan:
    """
    Every pack of every epoch, for every rank, as a pure function of the fields: the same on every machine.

    A global step takes `packs_per_step` packs, over all ranks and accumulation together, so its packs do not depend on
    `world_size`. The last step of an epoch may be short. Where the ranks cannot share its packs equally, the last ranks
    get *fillers*, copies of the epoch's shortest pack in which nothing is supervised, so that all ranks run equally many
    forward passes and no sample is trained twice. In a filler every entry is `~index` (negative); an entry below zero is
    read back with another `~`.

    Args:
        lengths (`Sequence[int]`): Tokens of each sample.
        max_length (`int`): Most tokens in a pack.
        seed (`int`): With the epoch it decides which equally long samples share a pack and the order of packs.
        world_size (`int`, *optional*, defaults to `1`): Number of ranks that take packs of their own.
        packs_per_step (`int`, *optional*, defaults to `1`): Packs in an optimizer step, a multiple of `world_size`.
        strategy (`str`, *optional*, defaults to `"random"`): `"random"` packs best-fit decreasing and shuffles the
            packs in every epoch; `"sequential"` keeps the order of the dataset (a curriculum), next-fit, no shuffle.

    Raises:
        ValueError: for no samples, a sample that is empty or too long, an unknown strategy, or a `packs_per_step` that
            the ranks cannot share.

    Example:

    ```python
    >>> plan = PackingPlan([30, 60, 90, 40, 10], 100, seed=0, world_size=2, packs_per_step=2, strategy="sequential")
    >>> plan.packs(epoch=0)
    [[0, 1], [2], [3, 4]]
    >>> plan.rank_packs(epoch=0, rank=0)
    [[0, 1], [3, 4]]
    >>> plan.rank_packs(epoch=0, rank=1)  # the second step is one pack short: a filler, [3, 4] unsupervised
    [[2], [-4, -5]]
    >>> plan.rank_packs(epoch=0, rank=1, start=1)  # resumed after one micro-step
    [[-4, -5]]
    >>> plan.num_packs, plan.steps_per_epoch, plan.micro_steps_per_epoch, round(plan.fill, 3)
    (3, 2, 2, 0.767)

    ```
    """

    lengths: Sequence[int]
    max_length: int
    seed: int
    world_size: int = 1
    packs_per_step: int = 1
    strategy: str = "random"

    def __post_init__(self):
        sizes = np.asarray(self.lengths, dtype=np.int64)
        if len(sizes) == 0:
            raise ValueError("lengths is empty, expected at least one sample; was every document rejected?")
        _check_lengths(sizes, self.max_length)
        if self.strategy not in STRATEGIES:
            raise ValueError(f"strategy is {self.strategy!r}, expected one of {', '.join(STRATEGIES)}")
        if self.world_size < 1 or self.packs_per_step < 1 or self.packs_per_step % self.world_size:
            raise ValueError(
                f"packs_per_step is {self.packs_per_step} with {self.world_size} ranks, expected a positive multiple of "
                "the number of ranks; change packs_per_step or the number of processes"
            )
        object.__setattr__(self, "lengths", tuple(sizes.tolist()))  # hashable, and no caller can change it later

    def packs(self, epoch: int) -> list[list[int]]:
        """The packs of an epoch in training order, each sample exactly once, without fillers."""
        if self.strategy == "sequential":
            return _next_fit(self.lengths, self.max_length)
        # RandomState, not default_rng: NumPy promises this stream never changes (NEP 19), so a resumed run finds its
        # plan again under another NumPy.
        random = np.random.RandomState([self.seed, epoch])
        packs = pack_samples(self.lengths, self.max_length, order=random.permutation(len(self.lengths)))
        return [packs[i] for i in random.permutation(len(packs))]

    def rank_packs(self, epoch: int, rank: int, start: int = 0) -> list[list[int]]:
        """
        What a rank runs in an epoch, one pack a micro-step, fillers included, from micro-step `start` on.

        The packs of a step are dealt in turn: rank r takes r, r + world_size, ... Balancing the ranks of a step by FLOPs
        would reorder the packs within each step before this deal and change nothing else.

        Args:
            epoch (`int`): Epoch, from 0.
            rank (`int`): Rank, from 0.
            start (`int`, *optional*, defaults to `0`): Micro-steps of this epoch that are already done.

        Raises:
            ValueError: if `rank` or `start` lies outside the plan.
        """
        if not 0 <= rank < self.world_size:
            raise ValueError(f"rank is {rank}, expected 0 to {self.world_size - 1}")
        if not 0 <= start <= self.micro_steps_per_epoch:
            raise ValueError(
                f"start is {start}, expected 0 to the {self.micro_steps_per_epoch} micro-steps of an epoch"
            )
        packs = self.packs(epoch)
        shortest = min(packs, key=lambda pack: sum(self.lengths[i] for i in pack))
        packs += [[~index for index in shortest] for _ in range(-len(packs) % self.world_size)]
        return packs[rank :: self.world_size][start:]

    @cached_property
    def num_packs(self) -> int:
        """Packs in an epoch, without fillers; the same in every epoch."""
        return len(self.packs(epoch=0))

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in an epoch, a short last one counted."""
        return -(-self.num_packs // self.packs_per_step)

    @property
    def micro_steps_per_epoch(self) -> int:
        """Forward passes of each rank in an epoch."""
        return -(-self.num_packs // self.world_size)

    @property
    def fill(self) -> float:
        """Share of the slots (packs times `max_length`) that hold a token."""
        return sum(self.lengths) / (self.num_packs * self.max_length)
