"""The plan: which packs share a step and which rank takes them. A pure function over numbers, no data is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from mmprolong_hf.balance import deal, group_by_cost
from mmprolong_hf.packing import check_lengths, fill_packs, pack_in_order, pack_samples

STRATEGIES = ("random", "sequential")


@dataclass(frozen=True)
class PackingPlan:
    """
    Every pack of every epoch, for every rank, as a pure function of the fields: the same on every machine.

    A pack is made of parts (see [`~mmprolong_hf.sharing.Parts`]): samples alone, or documents with the samples that share them. A
    global step takes `packs_per_step` packs, over all ranks and accumulation together, so its packs do not depend on
    `world_size`. The last step of an epoch may be short. Where the ranks cannot share its packs equally, they get *fillers*,
    copies of the epoch's cheapest pack in which nothing is supervised, so that all ranks run equally many forward passes and no
    sample is trained twice. In a filler every entry is `~index` (negative); an entry below zero is read back with another `~`.

    Args:
        lengths (`Sequence[int]`): Tokens of each part.
        max_length (`int`): Most tokens in a pack.
        seed (`int`): With the epoch it decides which equally long parts share a pack and the order of packs.
        world_size (`int`, *optional*, defaults to `1`): Number of ranks that take packs of their own.
        packs_per_step (`int`, *optional*, defaults to `1`): Packs in an optimizer step, a multiple of `world_size`.
        strategy (`str`, *optional*, defaults to `"random"`): `"random"` packs best-fit decreasing and shuffles the packs in every
            epoch; `"sequential"` keeps the order of the dataset (a curriculum), next-fit, no shuffle.
        costs (`Sequence[float]`, *optional*): Of each part, in any unit, rounded to whole numbers; its tokens if not given.
        num_fill (`int`, *optional*, defaults to `0`): So many of the last parts only fill the room that the others leave: an epoch
            has as many of them as fit, others in each epoch, and no pack more for them.
        balance_window (`int`, *optional*, defaults to `1`): Steps whose packs are sorted by cost together, see
            [`~mmprolong_hf.balance.group_by_cost`]; `"sequential"` has none.

    Raises:
        ValueError: for no parts, a part that is empty or too long, an unknown strategy, numbers that do not fit each other, or a
            `packs_per_step` that the ranks cannot share.

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
    costs: Sequence[float] | None = None
    num_fill: int = 0
    balance_window: int = 1

    def __post_init__(self):
        sizes = np.asarray(self.lengths, dtype=np.int64)
        # Whole numbers: their sums are the same on every machine
        costs = sizes if self.costs is None else np.rint(np.asarray(self.costs, dtype=np.float64)).astype(np.int64)
        if len(sizes) <= self.num_fill:
            raise ValueError(
                f"lengths has {len(sizes)} parts, {self.num_fill} of them to fill with, expected at least one more; was every "
                "document rejected?"
            )
        if self.num_fill < 0 or len(costs) != len(sizes) or self.balance_window < 1:
            raise ValueError(
                f"there are {len(sizes)} lengths, {len(costs)} costs, num_fill={self.num_fill} and balance_window="
                f"{self.balance_window}; expected a cost for each length, no negative num_fill, and a window of at least 1"
            )
        check_lengths(sizes, self.max_length)
        if self.strategy not in STRATEGIES:
            raise ValueError(f"strategy is {self.strategy!r}, expected one of {', '.join(STRATEGIES)}")
        if self.world_size < 1 or self.packs_per_step < 1 or self.packs_per_step % self.world_size:
            raise ValueError(
                f"packs_per_step is {self.packs_per_step} with {self.world_size} ranks, expected a positive multiple of "
                "the number of ranks; change packs_per_step or the number of processes"
            )
        # Tuples are hashable, and no caller can change them later
        object.__setattr__(self, "lengths", tuple(sizes.tolist()))
        object.__setattr__(self, "costs", tuple(costs.tolist()))

    @cached_property
    def num_main(self) -> int:
        """Parts that every epoch has, which are all but those to fill with."""
        return len(self.lengths) - self.num_fill

    def packs(self, epoch: int) -> list[list[int]]:
        """The packs of an epoch in training order, without fillers: each part exactly once, those to fill with at most once."""
        return _packs(self, epoch)

    def _pack(self, epoch: int) -> list[list[int]]:
        # RandomState, not default_rng: NumPy promises this stream never changes (NEP 19), so a resumed run finds its
        # plan again under another NumPy.
        random = np.random.RandomState([self.seed, epoch])
        main = self.lengths[: self.num_main]
        if self.strategy == "sequential":
            packs = pack_in_order(main, self.max_length)
        else:
            packs = pack_samples(main, self.max_length, order=random.permutation(self.num_main))
        if self.num_fill:
            rooms = [self.max_length - sum(self.lengths[part] for part in pack) for pack in packs]
            taken = fill_packs(rooms, self.lengths[self.num_main :], order=random.permutation(self.num_fill).tolist())
            packs = [pack + [self.num_main + part for part in more] for pack, more in zip(packs, taken)]
        if self.strategy == "sequential":
            return packs
        order = group_by_cost(self.pack_costs(packs), self.packs_per_step, self.balance_window, random)
        return [packs[i] for i in order]

    def pack_costs(self, packs: Sequence[Sequence[int]]) -> np.ndarray:
        """`(num_packs,)`: the sum of the costs of each pack's parts; a filler costs what it copies."""
        return np.array([sum(self.costs[max(part, ~part)] for part in pack) for pack in packs])

    def pack_tokens(self, packs: Sequence[Sequence[int]]) -> np.ndarray:
        """`(num_packs,)`: the tokens of each pack."""
        return np.array([sum(self.lengths[max(part, ~part)] for part in pack) for pack in packs])

    def micro_steps(self, epoch: int) -> list[list[list[int]]]:
        """
        The forward passes of an epoch: for each the packs of all ranks, rank 0's first. The packs of a step are dealt by
        [`~mmprolong_hf.balance.deal`], fillers included.
        """
        return _micro_steps(self, epoch)

    def rank_packs(self, epoch: int, rank: int, start: int = 0) -> list[list[int]]:
        """
        What a rank runs in an epoch, one pack a micro-step, fillers included, from micro-step `start` on.

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
        return [packs[rank] for packs in self.micro_steps(epoch)[start:]]

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

    @cached_property
    def fill(self) -> float:
        """Share of the slots (packs times `max_length`) that hold a token, in the first epoch."""
        return float(self.pack_tokens(self.packs(epoch=0)).sum()) / (self.num_packs * self.max_length)


@lru_cache(maxsize=2)  # an epoch of training and one of evaluation
def _packs(plan: PackingPlan, epoch: int) -> list[list[int]]:
    return plan._pack(epoch)


@lru_cache(maxsize=2)
def _micro_steps(plan: PackingPlan, epoch: int) -> list[list[list[int]]]:
    packs = plan.packs(epoch)
    costs = plan.pack_costs(packs)
    cheapest = int(np.argmin(costs))
    filler = [~part for part in packs[cheapest]]
    passes = []
    for start in range(0, len(packs), plan.packs_per_step):
        step = packs[start : start + plan.packs_per_step]
        own = costs[start : start + plan.packs_per_step]
        num_fillers = -len(step) % plan.world_size
        step += [list(filler) for _ in range(num_fillers)]
        dealt = deal([*own, *[costs[cheapest]] * num_fillers], plan.world_size)
        passes += [[step[i] for i in together] for together in zip(*dealt)]
    return passes
