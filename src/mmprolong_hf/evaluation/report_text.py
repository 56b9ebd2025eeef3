"""The report as Markdown: `report.md.jinja` filled in."""

from collections.abc import Callable, Mapping, Sequence
from importlib import resources

from jinja2 import Environment, StrictUndefined

from mmprolong_hf.evaluation.examples import length_name
from mmprolong_hf.evaluation.guards import MOST_SPRAYS, SPARE_NUMBERS, SPARE_WORDS, STRATEGIES


def report_text(report: Mapping, figure: str) -> str:
    """
    The Markdown of a report.

    Args:
        report (`Mapping`): From [`~mmprolong_hf.evaluation.report.build_report`].
        figure (`str`): File of the picture beside it.
    """
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {
        "points": _points,
        "signed": _signed,
        "span": span,
        "signed_span": lambda row: span(row, _signed),
        "length": length_name,
        "number": _number,
        "cell": _cell,
    }
    template = resources.files(__package__).joinpath("report.md.jinja").read_text(encoding="utf-8")
    limits = {"spare_numbers": SPARE_NUMBERS, "spare_words": SPARE_WORDS, "most_sprays": f"{MOST_SPRAYS:.0%}"}
    known = [[known_table(table["rows"]) for table in part["known"]] for part in report["methods"]]
    values = {"figure": figure, "strategies": list(STRATEGIES), "known_tables": known}
    return environment.from_string(template).render(report, **values, **limits)


def span(row: Mapping, number: Callable[[float], str] = lambda value: f"{value:.1f}") -> str:
    """
    An interval as it is printed.

    Args:
        row (`Mapping`): With `low` and `high`, both `None` where the interval is not known.
        number (`Callable`): Writes a bound.

    Example:

    ```python
    >>> span({"low": 1.0, "high": 2.55}), span({"low": None, "high": None})
    ('1.0 to 2.5', '-')

    ```
    """
    return "-" if row["low"] is None else f"{number(row['low'])} to {number(row['high'])}"


def known_table(rows: Sequence[Mapping]) -> dict:
    """
    Differences to a paper as a table: a line for each model, a column for each length. Where the run has averages, of
    these alone; the report's JSON has the datasets too.

    Args:
        rows (`Sequence[Mapping]`): From [`~mmprolong_hf.evaluation.known_results.differences`].

    Returns:
        `dict` with `columns` (dataset and length of each) and `lines` (model -> a row or `None` for each column).

    Example:

    ```python
    >>> row = {"model": "M", "dataset": "AVG", "context_length": 8192, "known": 40.0, "difference": 2.0}
    >>> known_table([row])["columns"]
    [('AVG', 8192)]

    ```
    """
    if any(row["dataset"] == "AVG" for row in rows):
        rows = [row for row in rows if row["dataset"] == "AVG"]
    columns = sorted({(row["dataset"], row["context_length"]) for row in rows})
    found = {(row["model"], row["dataset"], row["context_length"]): row for row in rows}
    models = dict.fromkeys(row["model"] for row in rows)
    return {
        "columns": columns,
        "lines": {model: [found.get((model, *column)) for column in columns] for model in models},
    }


def _points(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _signed(value: float) -> str:
    return f"{value:+.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _cell(text: str) -> str:
    """A text that does not end its cell of a table."""
    return " ".join(text.replace("|", "\\|").split())
