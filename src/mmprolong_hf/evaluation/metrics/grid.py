"""How scores spread over context length and depth: the grid, and what it comes to."""

from collections.abc import Callable, Iterable, Mapping, Sequence


def depth_bin(depth: float, num_bins: int) -> int:
    """
    Which of `num_bins` equal parts of a context a depth in [0, 1] falls into.

    Example:

    ```python
    >>> depth_bin(0.0, 5), depth_bin(0.2, 5), depth_bin(1.0, 5)
    (0, 1, 4)

    ```
    """
    return min(int(depth * num_bins), num_bins - 1)


def heatmap(records: Sequence[dict], n_depth_bins: int = 10, threshold: float = 0.85) -> dict:
    """
    [`summarize_grid`] of the lengths that the records have, over equal parts of the depth.

    Args:
        records (`Sequence[dict]`): As in [`summarize_grid`].
        n_depth_bins (`int`): Number of rows.
        threshold (`float`): As in [`summarize_grid`].

    Example:

    ```python
    >>> heatmap([{"length": 8192, "depth": 0.9, "score": 1}], n_depth_bins=2)["grid"]
    [[None], [1.0]]

    ```
    """
    lengths = sorted({record["length"] for record in records})
    return summarize_grid(records, lengths, n_depth_bins, lambda depth: depth_bin(depth, n_depth_bins), threshold)


def summarize_grid(
    records: Sequence[dict],
    lengths: Sequence[int],
    num_rows: int,
    row_of: Callable[[float], int],
    threshold: float = 0.85,
) -> dict:
    """
    Mean scores over context length and depth. A cell without a record is `None`: not measured is not zero.

    Args:
        records (`Sequence[dict]`): `length` (tokens), `depth` (0 to 1) and `score` (0 to 1) of each question.
        lengths (`Sequence[int]`): Context lengths in tokens, increasing: the columns.
        num_rows (`int`): Number of rows.
        row_of (`Callable`): The row of a depth.
        threshold (`float`): Least mean score at which a length counts as mastered.

    Returns:
        `dict` with `grid[row][column]` and `counts`, `per_length`, `per_depth`, `mean` and, as weighted means of the
        lengths, `wavg_inc` (1, 2, ... towards the longest) and `wavg_dec`; `effective_length_prefix` and
        `effective_length_max` as in [`effective_lengths`], and [`lost_in_the_middle`]. Lengths without a record take
        no part.

    Example:

    ```python
    >>> records = [{"length": 8192, "depth": 0.0, "score": 1}, {"length": 8192, "depth": 1.0, "score": 0}]
    >>> summary = summarize_grid(records, [8192, 16384], 2, lambda depth: depth_bin(depth, 2))
    >>> summary["grid"], summary["per_length"]
    ([[1.0, None], [0.0, None]], {8192: 0.5, 16384: None})

    ```
    """
    cells = [[[] for _ in lengths] for _ in range(num_rows)]
    for record in records:
        cells[row_of(record["depth"])][lengths.index(record["length"])].append(record["score"])
    by_length = [[value for row in cells for value in row[column]] for column in range(len(lengths))]
    per_length = dict(zip(lengths, map(_mean, by_length)))
    per_depth = [_mean(value for cell in row for value in cell) for row in cells]
    prefix, longest = effective_lengths(per_length, threshold)
    means = [mean for mean in per_length.values() if mean is not None]
    return {
        "lengths": list(lengths),
        "grid": [[_mean(cell) for cell in row] for row in cells],
        "counts": [[len(cell) for cell in row] for row in cells],
        "per_length": per_length,
        "per_depth": per_depth,
        "effective_length_prefix": prefix,
        "effective_length_max": longest,
        "wavg_inc": _mean(means, range(1, len(means) + 1)),
        "wavg_dec": _mean(means, range(len(means), 0, -1)),
        "mean": _mean(means),
        "lost_in_the_middle": lost_in_the_middle(per_depth),
    }


def effective_lengths(
    per_length: Mapping[int, float | None], threshold: float = 0.85
) -> tuple[int | None, int | None]:
    """
    How long a context may be: the largest length up to which every one is mastered, and the largest mastered one.

    The second is RULER's (arXiv 2404.06654), which does not ask what shorter contexts do.

    Args:
        per_length (`Mapping[int, float]`): Mean score of each length in tokens, increasing; `None` was not measured
            and takes no part.
        threshold (`float`): Least mean score at which a length counts as mastered.

    Example:

    ```python
    >>> effective_lengths({8192: 1.0, 16384: 0.8, 32768: 0.9}), effective_lengths({8192: 0.5})
    ((8192, 32768), (None, None))

    ```
    """
    tested = [(length, mean) for length, mean in per_length.items() if mean is not None]
    mastered = [length for length, mean in tested if mean >= threshold]
    prefix = [length for index, length in enumerate(mastered) if length == tested[index][0]]
    return max(prefix, default=None), max(mastered, default=None)


def lost_in_the_middle(per_depth: Sequence[float | None]) -> float | None:
    """
    Mean of the first and the last depth less the mean of those between: above 0, a model reads the edges of its
    context better.

    Args:
        per_depth (`Sequence[float]`): Mean score of each depth, from the first page to the last; `None` was not
            measured.

    Returns:
        `float` or `None`: From -1 to 1; `None` if neither edge, or nothing between, was measured.

    Example:

    ```python
    >>> lost_in_the_middle([1.0, 0.25, None, 0.25, 0.5]), lost_in_the_middle([1.0, 0.5])
    (0.5, None)

    ```
    """
    edges = _mean(mean for mean in (*per_depth[:1], *per_depth[1:][-1:]) if mean is not None)
    middle = _mean(mean for mean in per_depth[1:-1] if mean is not None)
    return None if edges is None or middle is None else edges - middle


def _mean(values: Iterable[float], weights: Iterable[int] | None = None) -> float | None:
    values = list(values)
    weights = [1] * len(values) if weights is None else list(weights)
    return sum(value * weight for value, weight in zip(values, weights)) / sum(weights) if values else None
