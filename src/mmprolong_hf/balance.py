"""Which packs meet in a step, and which rank takes which, so that no rank waits long for another. Pure functions over numbers."""

from collections.abc import Sequence

import numpy as np


def group_by_cost(
    costs: Sequence[float], packs_per_step: int, window: int, random: np.random.RandomState
) -> list[int]:
    """
    An order of packs in which packs of like cost share a step, and steps follow each other at random.

    The packs are shuffled; in every `window` steps of them they are sorted by cost and cut into steps, and the steps are shuffled.
    A step then holds packs of like cost: ranks wait less, but its lengths vary less than those of the whole set, and the mean
    length varies more from step to step. With `window=1` the shuffle alone decides which packs share a step.

    Args:
        costs (`Sequence[float]`): Of each pack.
        packs_per_step (`int`): Packs in a step.
        window (`int`): Steps whose packs are sorted together, at least 1.
        random (`np.random.RandomState`): Of the shuffles.

    Returns:
        `list[int]`: A permutation of the packs, step by step. Where the last step is short, it holds what is left of the last
        window, and stays last.

    Example:

    ```python
    >>> group_by_cost([5, 1, 4, 2], packs_per_step=2, window=2, random=np.random.RandomState(1))
    [0, 2, 3, 1]

    ```
    """
    costs = np.asarray(costs, dtype=np.float64)
    order = random.permutation(len(costs))
    if window == 1:
        return order.tolist()
    steps: list[np.ndarray] = []
    for start in range(0, len(order), window * packs_per_step):
        block = order[start : start + window * packs_per_step]
        block = block[np.argsort(-costs[block], kind="stable")]
        own = [block[i : i + packs_per_step] for i in range(0, len(block), packs_per_step)]
        last = [own.pop()] if len(own[-1]) < packs_per_step else []
        steps += [own[i] for i in random.permutation(len(own))] + last
    return np.concatenate(steps).tolist()


def deal(costs: Sequence[float], world_size: int) -> list[list[int]]:
    """
    Shares the packs of one step among ranks: costliest first, as many to each rank, packs of like cost at the same time.

    Ranks that share their weights wait for each other in every forward pass, not only at the end of a step; so pack by pack the
    ranks should have equal work. The direction changes from one to the next, which evens out what a rank has in all.

    Args:
        costs (`Sequence[float]`): Of the step's packs, a multiple of `world_size`.
        world_size (`int`): Number of ranks.

    Returns:
        `list[list[int]]`: The packs of each rank, in order.

    Example:

    ```python
    >>> deal([10, 70, 40, 30], world_size=2)  # 70 beside 40, then 10 beside 30
    [[1, 0], [2, 3]]

    ```
    """
    order = np.argsort(-np.asarray(costs, dtype=np.float64), kind="stable").reshape(-1, world_size)
    order[1::2] = order[1::2, ::-1]
    return order.T.tolist()


def rank_balance(costs: np.ndarray) -> float:
    """
    The share of the ranks' time that is not spent waiting: mean over largest cost of each forward pass, weighted by its time.

    Args:
        costs (`np.ndarray` of shape `(num_micro_steps, world_size)`): Of the packs that are computed at the same time.

    Example:

    ```python
    >>> rank_balance(np.array([[4, 2], [3, 3]]))  # 12 of 14
    0.8571428571428571

    ```
    """
    costs = np.asarray(costs, dtype=np.float64)  # whole numbers of FLOPs overflow
    return float(costs.mean(axis=1).sum() / costs.max(axis=1).sum())
