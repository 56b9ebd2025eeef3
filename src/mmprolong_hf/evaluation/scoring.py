"""Is an answer right, how sure is the share of right ones, and how they spread over context length and depth."""

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal


def _plain(text: str) -> str:
    """One form for what reads the same: compatibility forms and case folded, white space single."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def check_needle(value: str, output: str, aliases: Iterable[str] = ()) -> int:
    """
    1 if the output holds the value, or one of its aliases, as words of its own; else 0.

    Args:
        value (`str`): What the needle says.
        output (`str`): What the model answered.
        aliases (`Iterable[str]`): Other spellings that count.

    Example:

    ```python
    >>> check_needle("6822442", "The number is 6822442."), check_needle("6822442", "68224421")
    (1, 0)
    >>> check_needle("Eiffel Tower", "eiffel  tower"), check_needle("euro", "5 €", aliases=["€"])
    (1, 1)

    ```
    """
    output = _plain(output)
    for needle in filter(None, map(_plain, (value, *aliases))):
        start = output.find(needle)
        while start >= 0:
            end = start + len(needle)
            grown_left = start > 0 and needle[0].isalnum() and output[start - 1].isalnum()
            grown_right = end < len(output) and needle[-1].isalnum() and output[end].isalnum()
            if not (grown_left or grown_right):
                return 1
            start = output.find(needle, start + 1)
    return 0


# Punctuation and articles do not count, but a number keeps its sign, its decimal point and its "%".
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_PUNCTUATION = re.compile(r"(?<=\d)[.,:/-](?=\d)|(?<![^\s(])[-+](?=[.\d])|%|([^\w\s]|_)")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def _normalize_answer(text: str) -> str:
    text = _THOUSANDS.sub(lambda number: number[0].replace(",", ""), _plain(text).replace("−", "-"))
    text = _PUNCTUATION.sub(lambda mark: " " if mark[1] else mark[0], text)
    return " ".join(_ARTICLES.sub(" ", text).split())


def exact_match(prediction: str, answer: str, answer_format: str = "String") -> int:
    """
    1 if the prediction is the answer, apart from case, articles, spacing and punctuation outside numbers; else 0.

    Args:
        prediction (`str`): What the model answered.
        answer (`str`): The right answer, as the data set writes it.
        answer_format (`str`): One of `ANSWER_FORMATS`. A `"List"` has "; " between its parts, in any order; an `"Integer"` or a
            `"Float"` also equals another spelling of the same number.

    Example:

    ```python
    >>> exact_match("The rain, by month.", "Rain by Month"), exact_match("3.10", "3.1"), exact_match("-42", "42")
    (1, 0, 0)
    >>> exact_match("1,250.50", "1250.5", "Float"), exact_match("May; April", "April; May", "List")
    (1, 1)

    ```
    """
    if answer_format == "List":
        parts = [sorted(map(_normalize_answer, text.split(";"))) for text in (prediction, answer)]
        return int(parts[0] == parts[1])
    prediction, answer = _normalize_answer(prediction), _normalize_answer(answer)
    number = re.compile(r"[-+]?\d+(?:\.\d+)?")
    if answer_format in ("Integer", "Float") and number.fullmatch(prediction) and number.fullmatch(answer):
        return int(Decimal(prediction) == Decimal(answer))
    return int(prediction == answer)


def wilson_interval(num_right: float, num: int) -> tuple[float, float]:
    """
    95 % confidence interval of a share (E. B. Wilson, 1927): it stays within 0 and 1 and is of use for few trials.

    Args:
        num_right (`float`): How many were right.
        num (`int`): How many were tried; with 0, nothing is known and the interval is all of 0 to 1.

    Example:

    ```python
    >>> [round(bound, 4) for bound in wilson_interval(77, 100)]
    [0.6785, 0.8416]

    ```
    """
    if num == 0:
        return 0.0, 1.0
    z = 1.959963984540054
    share = num_right / num
    center = share + z * z / (2 * num)
    half_width = z * math.sqrt(share * (1 - share) / num + z * z / (4 * num * num))
    return (center - half_width) / (1 + z * z / num), (center + half_width) / (1 + z * z / num)


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
        `dict` with `grid[row][column]` and `counts`, `per_length`, `per_depth`, `mean` and, as weighted means of the lengths,
        `wavg_inc` (1, 2, ... towards the longest) and `wavg_dec`. `effective_length_prefix` is the largest length up to which
        every one is mastered, `effective_length_max` the largest mastered one. Lengths without a record take no part.

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

    per_length = {
        length: _mean(record["score"] for record in records if record["length"] == length) for length in lengths
    }
    tested = [(length, score) for length, score in per_length.items() if score is not None]
    mastered = [length for length, score in tested if score >= threshold]
    prefix = [length for index, length in enumerate(mastered) if length == tested[index][0]]
    scores = [score for _, score in tested]
    return {
        "lengths": list(lengths),
        "grid": [[_mean(cell) for cell in row] for row in cells],
        "counts": [[len(cell) for cell in row] for row in cells],
        "per_length": per_length,
        "per_depth": [_mean(score for cell in row for score in cell) for row in cells],
        "effective_length_prefix": max(prefix, default=None),
        "effective_length_max": max(mastered, default=None),
        "wavg_inc": _mean(scores, range(1, len(scores) + 1)),
        "wavg_dec": _mean(scores, range(len(scores), 0, -1)),
        "mean": _mean(scores),
    }


def _mean(scores: Iterable[float], weights: Iterable[int] | None = None) -> float | None:
    scores = list(scores)
    weights = [1] * len(scores) if weights is None else list(weights)
    return sum(score * weight for score, weight in zip(scores, weights)) / sum(weights) if scores else None
