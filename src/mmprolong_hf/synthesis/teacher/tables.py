"""Questions about cells, rows and columns of tables."""

import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import product

from ..elements import Table
from ..questions import Candidate, Evidence, choose, pose
from ..tables import is_number
from ..text import fold
from .naming import Names, quotable

CELLS_PER_TABLE = 12
MAX_ANSWER = 100
YEAR = re.compile(r"(?:1[5-9]|20)\d\d")
MIN_ROWS = 3  # a sum or a maximum over fewer is no question
# rows that already aggregate others
_TOTALS = ("total", "sum", "all", "average", "mean", "overall", "totals", "subtotal")


def tables_in(names: Names, segment: tuple[int, int]) -> list[Table]:
    """
    The tables of a segment that a question may name cells of.

    It has a label: what else is on its page may not have been read, so "the table on page 3" may be one of two. A column
    called "12" reads like an entry, so its table is left out, unless the name is a year.

    Args:
        names (`Names`): The whole document.
        segment (`tuple[int, int]`): First and last page.
    """
    tables = [t for page in range(segment[0], segment[1] + 1) for t in names.tables_on(page)]
    return [t for t in tables if t.caption and not any(is_number(h) and not YEAR.fullmatch(h) for h in t.header)]


def ask_about_tables(names: Names, segment: tuple[int, int]) -> Iterator[Candidate]:
    """
    Questions whose evidence are tables inside one segment.

    Args:
        names (`Names`): The whole document.
        segment (`tuple[int, int]`): First and last page.
    """
    inside = tables_in(names, segment)
    for table in inside:
        yield from _cells(names, table, segment)
        yield from _columns(names, table, segment)
    for k, table in enumerate(inside):
        later = [t for t in inside[k + 1 :] if t.page > table.page]
        if later:
            yield from _two_cells(names, table, choose(later, names.seed, "table", table.page, table.box), segment)


def cell_evidence(table: Table, *cells: tuple[int, int]) -> list[Evidence]:
    """
    What has to be read for some cells of a table: header and key of each, and the cell itself.

    Args:
        table (`Table`): Of the document.
        *cells (`tuple[int, int]`): Row below the header and column, from 0.
    """
    places = {}
    for row, column in cells:
        places[("head", column)] = (table.header_boxes[column], table.header[column])
        places[(row, 0)] = (table.boxes[row][0], table.rows[row][0])
        places[(row, column)] = (table.boxes[row][column], table.rows[row][column])
    return [Evidence(table.page, box, text, "Table") for box, text in places.values()]


def _askable(table: Table) -> list[tuple[int, int]]:
    """(row, column) of cells that make an answer."""
    places = product(range(len(table.rows)), range(1, len(table.header)))
    return [
        (r, c) for r, c in places if any(x.isalnum() for x in table.rows[r][c]) and len(table.rows[r][c]) <= MAX_ANSWER
    ]


def cell_format(text: str) -> str:
    """
    The answer_format of a cell.

    Args:
        text (`str`): What stands in it.

    Example:

    ```python
    >>> cell_format("-4.5"), cell_format("12"), cell_format("12 m")
    ('Float', 'Integer', 'String')

    ```
    """
    return ("Float" if "." in text else "Integer") if text.lstrip("-").replace(".", "", 1).isdecimal() else "String"


def _cells(names: Names, table: Table, segment) -> Iterator[Candidate]:
    places = sorted(_askable(table), key=lambda p: choose(range(2**32), names.seed, "cell", table.page, p))
    for row, column in places[:CELLS_PER_TABLE]:
        answer = table.rows[row][column]
        yield pose(
            "table-cell",
            answer,
            cell_evidence(table, (row, column)),
            seed=names.seed,
            segment=segment,
            answer_format=cell_format(answer),
            table=table.caption.label,
            row=quotable(table.rows[row][0]),
            column=quotable(table.header[column]),
        )


def _two_cells(names: Names, table: Table, other: Table, segment) -> Iterator[Candidate]:
    for first in _askable(table)[:: max(1, len(table.rows) // 3)]:
        second = choose(_askable(other) or [None], names.seed, "second cell", first)
        answers = [table.rows[first[0]][first[1]], second and other.rows[second[0]][second[1]]]
        if second is None:
            continue
        yield pose(
            "table-cells",
            answers,
            cell_evidence(table, first) + cell_evidence(other, second),
            seed=names.seed,
            segment=segment,
            table=table.caption.label,
            other=other.caption.label,
            row=quotable(table.rows[first[0]][0]),
            column=quotable(table.header[first[1]]),
            other_row=quotable(other.rows[second[0]][0]),
            other_column=quotable(other.header[second[1]]),
        )


def _columns(names: Names, table: Table, segment) -> Iterator[Candidate]:
    if not table.closed or len(table.rows) < MIN_ROWS:
        return
    common = {"seed": names.seed, "segment": segment, "table": table.caption.label}
    keys = [Evidence(table.page, b[0], r[0], "Table") for b, r in zip(table.boxes, table.rows)]
    yield pose("table-rows", len(table.rows), keys, **common)
    if any(fold(row[0]).startswith(_TOTALS) for row in table.rows):
        return
    for column in range(1, len(table.header)):
        values = column_values([row[column] for row in table.rows])
        if values is None or len(set(values)) < 2:
            continue
        evidence = cell_evidence(table, *((row, column) for row in range(len(values))))
        slots = {**common, "column": quotable(table.header[column])}
        total, added = plain(sum(values)), " + ".join(map(plain, values))
        yield pose("table-sum", total, evidence, answer_format=cell_format(total), expression=added, **slots)
        for kind, best in (("table-maximum", max(values)), ("table-minimum", min(values))):
            if values.count(best) == 1:
                yield pose(kind, table.rows[values.index(best)][0], evidence, **slots)
        yield from _differences(names, table, column, values, slots)


def _differences(names: Names, table: Table, column: int, values: list[Decimal], slots: dict) -> Iterator[Candidate]:
    for row in range(len(values) - 1):
        other = choose(range(row + 1, len(values)), names.seed, "difference", row, column)
        if values[row] != values[other]:
            larger, smaller = sorted((values[row], values[other]), reverse=True)
            answer, expression = plain(larger - smaller), f"{plain(larger)} - {plain(smaller)}"
            rows = {"row": quotable(table.rows[row][0]), "other_row": quotable(table.rows[other][0])}
            evidence = cell_evidence(table, (row, column), (other, column))
            answer_format = cell_format(answer)
            yield pose(
                "table-difference",
                answer,
                evidence,
                answer_format=answer_format,
                expression=expression,
                **rows,
                **slots,
            )


def column_values(cells: list[str]) -> list[Decimal] | None:
    """
    A column as exact numbers, or None unless every cell is a plain number.

    Args:
        cells (`list[str]`): Texts below the header.

    Example:

    ```python
    >>> column_values(["1,204.5", "0.25"])
    [Decimal('1204.5'), Decimal('0.25')]
    >>> column_values(["12 %", "7"]) is None
    True

    ```
    """
    if not all(is_number(c) and c.lstrip("+-−")[:1].isdecimal() and c[-1].isdecimal() for c in cells):
        return None
    return [Decimal(c.replace(",", "").replace("−", "-")) for c in cells]


def plain(value: Decimal) -> str:
    """
    A number written out, without exponent; decimals as the cells have them.

    Args:
        value (`Decimal`): Exact.

    Example:

    ```python
    >>> plain(Decimal("1E+3")), plain(Decimal("12.50"))
    ('1000', '12.50')

    ```
    """
    return f"{value:f}"
