"""Questions that compare entries of one table, or look one up in two tables."""

import re
from collections.abc import Iterator
from decimal import Decimal

from ..elements import Table
from ..questions import Candidate, choose, pose
from ..text import fold
from .naming import Names, quotable
from .tables import YEAR, cell_evidence, cell_format, column_values, plain, tables_in

PAIRS_PER_COLUMN = 3
_UNIT = re.compile(r"\(([^()]+)\)\s*$")  # "Height (m)"


def ask_about_comparisons(names: Names, segment: tuple[int, int]) -> Iterator[Candidate]:
    """
    Questions whose evidence are numbers of tables inside one segment.

    Args:
        names (`Names`): The whole document.
        segment (`tuple[int, int]`): First and last page.
    """
    inside = tables_in(names, segment)
    for k, table in enumerate(inside):
        yield from _larger_entries(names, table, segment)
        yield from _columns(names, table, segment)
        later = [t for t in inside[k + 1 :] if t.page > table.page]
        if later:
            other = choose(later, names.seed, "same key", table.page, table.box)
            yield from _same_keys(names, table, other, segment)


def _numbers(table: Table) -> dict[int, list[Decimal]]:
    """The columns of a table that hold numbers alone."""
    columns = {c: column_values([row[c] for row in table.rows]) for c in range(1, len(table.header))}
    return {c: values for c, values in columns.items() if values}


def _larger_entries(names: Names, table: Table, segment) -> Iterator[Candidate]:
    for column, values in _numbers(table).items():
        for row in range(min(len(values) - 1, PAIRS_PER_COLUMN)):
            other = choose(range(row + 1, len(values)), names.seed, "larger", table.page, row, column)
            if values[row] == values[other]:
                continue
            answer = plain(max(values[row], values[other]))
            yield pose(
                "table-larger-entry",
                answer,
                cell_evidence(table, (row, column), (other, column)),
                seed=names.seed,
                segment=segment,
                answer_format=cell_format(answer),
                expression=f"max({plain(values[row])}, {plain(values[other])})",
                table=table.caption.label,
                column=quotable(table.header[column]),
                row=quotable(table.rows[row][0]),
                other_row=quotable(table.rows[other][0]),
            )


def same_unit(header: str, other: str) -> bool:
    """
    Whether two columns count the same, as far as their names tell: one unit in parentheses, or both are years.

    Args:
        header (`str`): Name of a column.
        other (`str`): Name of another.

    Example:

    ```python
    >>> same_unit("Length (m)", "Width (m)"), same_unit("2019", "2020"), same_unit("Height", "Visitors")
    (True, True, False)

    ```
    """
    if YEAR.fullmatch(header) and YEAR.fullmatch(other):
        return True
    units = [_UNIT.search(name) for name in (header, other)]
    return all(units) and units[0][1] == units[1][1]


def _columns(names: Names, table: Table, segment) -> Iterator[Candidate]:
    """In how many rows one column is larger than the next that counts the same."""
    numbers = _numbers(table) if table.closed else {}
    for column, values in numbers.items():
        same = [c for c in numbers if c > column and same_unit(table.header[column], table.header[c])]
        if not same or len(values) < 3:
            continue
        other = same[0]
        larger = [row for row, pair in enumerate(zip(values, numbers[other])) if pair[0] > pair[1]]
        evidence = cell_evidence(table, *((row, c) for row in range(len(values)) for c in (column, other)))
        slots = {"column": quotable(table.header[column]), "other_column": quotable(table.header[other])}
        slots |= {"table": table.caption.label, "seed": names.seed, "segment": segment}
        yield pose("table-compare-columns", len(larger), evidence, **slots)


def _same_keys(names: Names, table: Table, other: Table, segment) -> Iterator[Candidate]:
    """A row of one name in two tables: both entries, and, under one column name, how far apart they are."""
    rows = {fold(row[0]): k for k, row in enumerate(other.rows)}
    shared = [(k, rows[fold(row[0])]) for k, row in enumerate(table.rows) if fold(row[0]) in rows]
    common = {"seed": names.seed, "segment": segment}
    common |= {"table": table.caption.label, "other": other.caption.label}
    for row, same in shared[:PAIRS_PER_COLUMN]:
        column = choose(range(1, len(table.header)), names.seed, "column", table.page, row)
        second = choose(range(1, len(other.header)), names.seed, "other column", other.page, same)
        answers = [table.rows[row][column], other.rows[same][second]]
        evidence = cell_evidence(table, (row, column)) + cell_evidence(other, (same, second))
        slots = {"row": quotable(table.rows[row][0]), "column": quotable(table.header[column])}
        yield pose(
            "tables-same-row", answers, evidence, other_column=quotable(other.header[second]), **slots, **common
        )
    for column, values in _numbers(table).items():
        for second, others in _numbers(other).items():
            if not shared or table.header[column] != other.header[second]:
                continue
            row, same = choose(shared, names.seed, "apart", table.page, column)
            answer = plain(abs(values[row] - others[same]))
            pair = sorted((values[row], others[same]), reverse=True)
            yield pose(
                "tables-difference",
                answer,
                cell_evidence(table, (row, column)) + cell_evidence(other, (same, second)),
                answer_format=cell_format(answer),
                expression=f"{plain(pair[0])} - {plain(pair[1])}",
                row=quotable(table.rows[row][0]),
                column=quotable(table.header[column]),
                **common,
            )
