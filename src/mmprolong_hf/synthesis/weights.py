"""How much of a set each kind of sample is to be, where documents do not hold enough of every kind."""

from collections import Counter

import numpy as np

from .allocation import Allocation
from .mixture import MixtureOptions

FITTING_ROUNDS = 200

Cell = tuple[int, str, bool]  # (range of lengths, task, whether it is not answerable)


def weigh_cells(
    allocation: Allocation, cells: list[Cell], options: MixtureOptions, ranges: tuple
) -> tuple[dict[Cell, float], float]:
    """
    The share of each cell in a set: as it is asked for, or as near to that as the documents allow.

    Args:
        allocation (`Allocation`): What the documents hold; nothing is taken.
        cells (`list[Cell]`): All of their cells.
        options (`MixtureOptions`): What is wanted.
        ranges (`tuple`): Of `options.length_ranges` those that are to be filled.

    Returns:
        `tuple[dict[Cell, float], float]`: The weight of each cell that has one; and where lengths are asked for without a
        budget, how much there can be of all cells together, in the unit in which shares are counted, else infinity.

    Example:

    ```python
    >>> document = {(0, "reasoning", False): [0, 1], (0, "reasoning", True): [2]}
    >>> allocation = Allocation([document], tokens=[10, 10, 10], most=3)
    >>> options = MixtureOptions(shares={"reasoning": 1.0}, unanswerable_share=0.25)
    >>> weigh_cells(allocation, list(document), options, ())
    ({(0, 'reasoning', False): 0.75, (0, 'reasoning', True): 0.25}, inf)

    ```
    """
    absent = {task for _, task, unanswerable in cells if unanswerable}
    few = options.unanswerable_share
    columns = {(task, False): share * (1 - few * (task in absent)) for task, share in options.shares.items()}
    columns |= {(task, True): options.shares[task] * few for task in sorted(absent)}
    if not options.lengths:
        return {cell: columns[cell[1:]] for cell in cells if columns[cell[1:]]}, np.inf
    places = {key: place for place, key in enumerate(columns)}
    supply, counts, sizes, whole = np.zeros((len(ranges), len(columns))), *np.zeros((3, len(ranges)))
    for queues in allocation.documents:
        answerable = Counter()
        for (part, *key), rows in queues.items():
            supply[part, places[tuple(key)]] += min(options.questions_per_document, len(rows))
            counts[part] += len(rows)
            sizes[part] += sum(allocation.row_tokens[row] for row in rows)
            answerable[part] += 0 if key[1] else len(rows)
        for part, count in answerable.items():
            whole[part] += min(options.questions_per_document, count)
    shares = np.array([share for _, _, share, _ in ranges])
    means = sizes / np.maximum(counts, 1)  # tokens of a sample
    unit = means if options.share_unit == "tokens" else np.ones(len(ranges))
    largest = min((whole * unit / shares)[whole > 0], default=0.0)
    # How much the set will hold, in what shares are counted in: needed to see where the supply falls short of a share.
    budget = options.long_budget
    mean = (shares * (1 if options.share_unit == "tokens" else means)).sum()
    size = largest if budget is None else budget / max(mean, 1.0)
    fitted = _fit(shares, np.array(list(columns.values())), supply * unit[:, None] / max(size, 1e-9))
    weights = {cell: float(fitted[cell[0], places[cell[1:]]]) for cell in cells}
    return {cell: weight for cell, weight in weights.items() if weight}, largest if budget is None else np.inf


def _fit(rows: np.ndarray, columns: np.ndarray, supply: np.ndarray) -> np.ndarray:
    """
    A matrix with these sums of rows and columns, as near to their product as the supply lets it be.

    Iterative proportional fitting (Deming and Stephan, 1940), cut to the supply after every step.
    """
    fitted = np.minimum(np.outer(rows, columns), supply)
    for _ in range(FITTING_ROUNDS):
        fitted = np.minimum(fitted * (rows / np.maximum(fitted.sum(1), 1e-12))[:, None], supply)
        fitted = np.minimum(fitted * (columns / np.maximum(fitted.sum(0), 1e-12)), supply)
    return fitted
