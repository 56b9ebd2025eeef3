"""The numbers of a report: a cell for each dataset and context length, their averages, judge beside rule."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from mmprolong_hf.evaluation.agreement import compare_with_rule
from mmprolong_hf.evaluation.known_results import Method
from mmprolong_hf.evaluation.metrics.statistics import (
    bootstrap_interval,
    smallest_detectable_difference,
    standard_error,
    wilson_interval,
)
from mmprolong_hf.evaluation.scoring_run import ScoreRecord

DOCUMENT_SETS = ("longdocurl", "mmlongdoc", "slidevqa")  # what "AVG" is the mean of
HEADLINE_LENGTHS = (65536, 131072)  # what "ALL" is the mean of, in tokens

Cell = tuple[str, int | None]


def by_method(scores: Iterable[ScoreRecord]) -> dict[Method, list[ScoreRecord]]:
    """Scores that may stand in one table, rules first, in an order that does not depend on when they were answered."""
    found = defaultdict(list)
    for record in sorted(scores, key=lambda record: (record.method.judge or "", str(record.method), record.id)):
        found[record.method].append(record)
    return dict(found)


def by_cell(scores: Iterable[ScoreRecord]) -> dict[Cell, list[ScoreRecord]]:
    """The scores of each dataset and context length; a document without a length to fill has `None`."""
    found = defaultdict(list)
    for record in scores:
        found[record.dataset, record.context_length].append(record)
    return dict(sorted(found.items(), key=lambda item: (item[0][0], item[0][1] or 0)))


def reasons(texts: Iterable[str | None]) -> dict[str, int]:
    """
    Each reason with its count, the most frequent first.

    Example:

    ```python
    >>> reasons(["timed out", None, "no score", "no score"])
    {'no score': 2, 'timed out': 1}

    ```
    """
    found = Counter(text for text in texts if text is not None)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def interval(values: Sequence[float]) -> tuple[float, float, str]:
    """
    The 95 % interval of a mean, and its name: Wilson's where every score is 0 or 1, else the bootstrap.

    Args:
        values (`Sequence[float]`): Scores, 0 to 1; at least one.

    Example:

    ```python
    >>> [round(bound, 2) for bound in interval([1.0, 1.0, 1.0])[:2]]
    [0.44, 1.0]

    ```
    """
    if set(values) <= {0.0, 1.0}:
        return *wilson_interval(sum(values), len(values)), "Wilson"
    return *bootstrap_interval({"": values}), "bootstrap"


def cell_row(cell: Cell, scores: Sequence[ScoreRecord], num_skipped: int) -> dict:
    """
    A line of the report: scores from 0 to 100, failures counted as 0.

    Args:
        cell (`tuple[str, int | None]`): Dataset and context length in tokens.
        scores (`Sequence[ScoreRecord]`): Of its questions; at least one.
        num_skipped (`int`): Questions that could not be asked at this length; no mean has them.

    Returns:
        `dict`. `score_upstream` leaves out questions with an empty answer, as EdinburghNLP/MMLongBench at 22b9f27 does
        (eval_api.py); `detectable` is the smallest true difference to another run of other questions that is seen 4
        times in 5, and `None` where all scores are equal, so that nothing is known of their spread.
    """
    values = [record.score for record in scores]
    low, high, kind = interval(values)
    said = [record.score for record in scores if not record.empty]
    return {
        "dataset": cell[0],
        "context_length": cell[1],
        "num": len(values),
        "num_failed": sum(record.error is not None for record in scores),
        "num_skipped": num_skipped,
        "score": 100 * sum(values) / len(values),
        "low": 100 * low,
        "high": 100 * high,
        "interval": kind,
        "score_upstream": 100 * sum(said) / len(said) if said else None,
        "num_upstream": len(said),
        "detectable": _detectable({"": values}),
    }


def average_rows(cells: Mapping[Cell, Sequence[ScoreRecord]]) -> list[dict]:
    """
    MMProLong's averages (arXiv 2605.13831) with their intervals: "AVG" of the three document sets at each length, and
    "ALL", the mean of two of those. An average with a missing part is left out.

    Args:
        cells (`Mapping`): From [`by_cell`].

    Returns:
        `list[dict]` with `name`, `context_length` (`None` for "ALL"), `num`, `score`, `low`, `high` and
        `detectable`, 0 to 100. `low` and `high` are `None` where the interval has no width: equal scores do not make a
        mean certain.
    """
    lengths = sorted({length for _, length in cells if length is not None})
    full = [length for length in lengths if all((dataset, length) in cells for dataset in DOCUMENT_SETS)]
    rows = [_average("AVG", length, cells, [length]) for length in full]
    if set(HEADLINE_LENGTHS) <= set(full):
        rows.append(_average("ALL", None, cells, HEADLINE_LENGTHS))
    return rows


def _average(
    name: str, length: int | None, cells: Mapping[Cell, Sequence[ScoreRecord]], lengths: Sequence[int]
) -> dict:
    strata = {
        f"{dataset} {at}": [record.score for record in cells[dataset, at]]
        for dataset in DOCUMENT_SETS
        for at in lengths
    }
    low, high = (100 * bound for bound in bootstrap_interval(strata))
    mean = sum(sum(values) / len(values) for values in strata.values()) / len(strata)
    row = {"name": name, "context_length": length, "num": sum(map(len, strata.values())), "interval": "bootstrap"}
    row |= {"score": 100 * mean, "low": None if low == high else low, "high": None if low == high else high}
    return row | {"detectable": _detectable(strata)}


def _detectable(strata: Mapping[str, Sequence[float]]) -> float | None:
    """Of two runs on different questions, in points of 100; `None` where the spread of the scores is not known."""
    if min(map(len, strata.values())) < 2 or not (error := standard_error(strata)):
        return None
    return 100 * smallest_detectable_difference(error * 2**0.5)


def agreement_rows(rule: Iterable[ScoreRecord], judge: Iterable[ScoreRecord]) -> list[dict]:
    """
    Where a judge and a rule differ on the same answers.

    Args:
        rule, judge (`Iterable[ScoreRecord]`): Scores of the same questions. Those that the judge failed on say
            nothing.

    Returns:
        `list[dict]` for each dataset and length: what [`~mmprolong_hf.evaluation.agreement.compare_with_rule`] finds.
    """
    ruled, rows = by_cell(rule), []
    for cell, records in by_cell(record for record in judge if record.error is None).items():
        found = compare_with_rule(
            {record.id: record.score for record in records}, {record.id: record.score for record in ruled[cell]}
        )
        rows.append({"dataset": cell[0], "context_length": cell[1], **asdict(found)})
    return rows
