"""Which samples share a pack. Pure functions over integers, no data is read."""

from bisect import bisect_left, insort
from collections.abc import Sequence

import numpy as np


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
    check_lengths(sizes, max_length)
    if order is None:
        order = range(len(sizes))
    order = np.asarray(order, dtype=np.int64)
    if not np.array_equal(np.sort(order), np.arange(len(sizes))):
        raise ValueError(f"order is not a permutation of the {len(sizes)} samples, expected each index once")

    longest_first = order[np.argsort(-sizes[order], kind="stable")]
    rooms = _Rooms(shortest=int(sizes.min(initial=max_length)))
    packs: list[list[int]] = []
    for index, size in zip(longest_first.tolist(), sizes[longest_first].tolist(), strict=True):
        found = rooms.take(size)
        if found is None:
            room, pack = max_length, len(packs)
            packs.append([])
        else:
            room, pack = found
        packs[pack].append(index)
        rooms.add(room - size, pack)
    return packs


def fill_packs(rooms: Sequence[int], lengths: Sequence[int], *, order: Sequence[int]) -> list[list[int]]:
    """
    Puts further samples into the room that packs have left, each into the fullest pack that still takes it. None is cut, and
    those that fit nowhere are left out.

    Args:
        rooms (`Sequence[int]`): Tokens that each pack has left.
        lengths (`Sequence[int]`): Tokens of each further sample.
        order (`Sequence[int]`): The samples in the order in which they are tried.

    Returns:
        `list[list[int]]`: For each pack the further samples that it takes.

    Example:

    ```python
    >>> fill_packs([30, 5, 12], [10, 12, 40, 7], order=[0, 1, 2, 3])  # the third fits nowhere
    [[1, 3], [], [0]]

    ```
    """
    left = _Rooms(shortest=min(lengths, default=1))
    for pack, room in enumerate(rooms):
        left.add(room, pack)
    taken: list[list[int]] = [[] for _ in rooms]
    for index in order:
        if (found := left.take(lengths[index])) is not None:
            room, pack = found
            taken[pack].append(index)
            left.add(room - lengths[index], pack)
    return taken


class _Rooms:
    """Packs by the room they have left. Those with less than `shortest` are forgotten, which keeps the list of rooms short."""

    def __init__(self, shortest: int):
        self.shortest = shortest
        self.sizes: list[int] = []  # distinct, ascending
        self.packs: dict[int, list[int]] = {}

    def add(self, room: int, pack: int) -> None:
        if room >= self.shortest:
            if room not in self.packs:
                insort(self.sizes, room)
                self.packs[room] = []
            self.packs[room].append(pack)

    def take(self, size: int) -> tuple[int, int] | None:
        """The smallest room of at least `size`, and a pack that has it; `None` if there is none."""
        fit = bisect_left(self.sizes, size)
        if fit == len(self.sizes):
            return None
        room = self.sizes[fit]
        pack = self.packs[room].pop()
        if not self.packs[room]:
            del self.packs[room], self.sizes[fit]
        return room, pack


def pack_in_order(lengths: Sequence[int], max_length: int) -> list[list[int]]:
    """
    Next-fit: packs in the order of the samples, a new one where the next sample does not fit.

    Example:

    ```python
    >>> pack_in_order([30, 60, 90, 40, 10], max_length=100)
    [[0, 1], [2], [3, 4]]

    ```
    """
    packs: list[list[int]] = []
    room = 0
    for index, size in enumerate(lengths):
        if size > room:
            packs.append([])
            room = max_length
        packs[-1].append(index)
        room -= size
    return packs


def check_lengths(lengths: Sequence[int], max_length: int) -> None:
    """
    Raises:
        ValueError: if a sample is empty or longer than `max_length`.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    empty, overlong = np.flatnonzero(sizes < 1), np.flatnonzero(sizes > max_length)
    if len(empty):
        raise ValueError(f"sample {empty[0]} has {sizes[empty[0]]} tokens, expected at least 1; remove it")
    if len(overlong):
        raise ValueError(
            f"sample {overlong[0]} has {sizes[overlong[0]]} tokens, expected at most max_length={max_length}; see "
            "`overlong_documents` for rejecting or shortening such documents before the plan is made, or raise "
            "max_length"
        )
