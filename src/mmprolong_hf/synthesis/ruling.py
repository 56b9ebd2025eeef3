"""Where drawn lines make a table: several of one width under each other, crossed by a line between their ends."""

from itertools import pairwise
from statistics import mean, median

from .text import clean, join_lines

TOUCHING = 3.0  # points between pieces of one line
MIN_ROW = 8.0  # points from line to line; staves of music are closer, and hold no text
INSIDE = 5.0  # points from the ends of the lines, beyond which a crossing line parts columns


def ruled_cells(horizontal: list[tuple], vertical: list[tuple]) -> list[list[list[tuple | None]]]:
    """
    The cells of each table that at least three horizontal lines of one extent and an inner vertical line make.

    A frame around a code listing, or the axes of a plot, is none. Nor is a table in which a shorter horizontal line
    stands: which rows its cells belong to is not certain.

    Args:
        horizontal (`list[tuple]`): Boxes of thin horizontal lines, in points.
        vertical (`list[tuple]`): Boxes of thin vertical lines, in points.

    Returns:
        `list[list[list[tuple | None]]]`: For each table, from top to bottom, its rows of boxes in points; None where the
        cell at the left goes on.

    Example:

    ```python
    >>> rows = [(0, y - 1, 100, y + 1) for y in (10, 30, 50)]
    >>> ruled_cells(rows, [(0, 10, 1, 50), (49, 30, 51, 50)])
    [[[(0, 10.0, 100, 30.0), None], [(0, 30.0, 50.0, 50.0), (50.0, 30.0, 100, 50.0)]]]
    >>> ruled_cells(rows, [(0, 10, 1, 50), (99, 10, 100, 50)])
    []

    ```
    """
    groups: dict[tuple, list[tuple]] = {}
    joined = _joined(horizontal)
    for line in joined:
        key = next((k for k in groups if max(abs(k[0] - line[0]), abs(k[1] - line[2])) < TOUCHING), (line[0], line[2]))
        groups.setdefault(key, []).append(line)
    tables = []
    for (left, right), lines in groups.items():
        if len(lines) < 3:
            continue
        for run in _runs(lines, vertical):
            if len(run) < 3 or median(b[1] - a[1] for a, b in pairwise(run)) < MIN_ROW:
                continue
            top, bottom = run[0][1], run[-1][3]
            crossing = [v for v in vertical if v[1] < bottom - TOUCHING and v[3] > top + TOUCHING]
            crossing = [v for v in crossing if left - TOUCHING < v[0] < right + TOUCHING]
            inner = any(left + INSIDE < v[0] < right - INSIDE for v in crossing)
            if inner and not any(_is_inside(line, left, right, run) for line in joined):
                tables.append(_cells(run, left, right, crossing))
    return sorted(tables, key=lambda rows: rows[0][0][1])


def read_cells(rows: list[list[tuple | None]], words: list[tuple]) -> list[list[str | None]]:
    """
    The texts of a table's cells: of each the words whose middle lies in it, line by line.

    Args:
        rows (`list[list[tuple | None]]`): As [`ruled_cells`] returns them for one table.
        words (`list[tuple]`): (x0, y0, x1, y1, text, ...) of the page, as PyMuPDF's `"words"`.

    Example:

    ```python
    >>> words = [(1, 1, 9, 9, "two"), (11, 1, 19, 9, "words,"), (1, 11, 9, 19, "below"), (40, 1, 49, 9, "beside")]
    >>> read_cells([[(0, 0, 30, 20), None, (35, 0, 60, 20)]], words)
    [['two words, below', None, 'beside']]

    ```
    """
    texts = []
    for row in rows:
        top, bottom = row[0][1], row[0][3]
        inside = [w for w in words if top <= _middle(w) < bottom]
        texts.append([cell and _text([w for w in inside if cell[0] <= (w[0] + w[2]) / 2 < cell[2]]) for cell in row])
    return texts


def _text(words: list[tuple]) -> str:
    lines = []
    for word in sorted(words, key=_middle):
        if lines and word[1] - lines[-1][-1][1] <= TOUCHING:
            lines[-1].append(word)
        else:
            lines.append([word])
    return join_lines([clean(" ".join(w[4] for w in sorted(line, key=lambda w: w[0]))) for line in lines])


def _joined(horizontal: list[tuple]) -> list[tuple]:
    """Pieces of one line, as drawn cell by cell, become one."""
    joined = []
    for line in sorted(horizontal, key=lambda b: (round(b[1]), b[0])):
        last = joined[-1] if joined else None
        if last and abs(last[1] - line[1]) < 1.5 and line[0] - last[2] < TOUCHING:
            joined[-1] = (last[0], min(last[1], line[1]), max(last[2], line[2]), max(last[3], line[3]))
        else:
            joined.append(line)
    return joined


def _runs(lines: list[tuple], vertical: list[tuple]) -> list[list[tuple]]:
    """Lines that some vertical line ties to the next; a gap that none crosses parts two tables of one width."""
    runs = [[lines[0]]]
    for above, below in pairwise(lines):
        tied = any(v[1] < above[3] + TOUCHING and v[3] > below[1] - TOUCHING for v in vertical)
        if tied:
            runs[-1].append(below)
        else:
            runs.append([below])
    return runs


def _is_inside(line: tuple, left: float, right: float, run: list[tuple]) -> bool:
    """Whether a line that is none of the table's own ones parts some of its cells."""
    y = _middle(line)
    across = min(line[2], right) - max(line[0], left)
    between = run[0][3] + TOUCHING < y < run[-1][1] - TOUCHING
    return across > TOUCHING and between and all(abs(y - _middle(own)) > TOUCHING for own in run)


def _cells(run: list[tuple], left: float, right: float, crossing: list[tuple]) -> list[list[tuple | None]]:
    columns = _clusters([((v[0] + v[2]) / 2, v) for v in crossing])
    columns = [(x, lines) for x, lines in columns if left + TOUCHING < x < right - TOUCHING]
    heights = [y for y, _ in _clusters([(_middle(line), line) for line in run])]
    rows = []
    for top, bottom in pairwise(heights):
        row, borders = [], [left, *(x for x, lines in columns if _covers(lines, top, bottom)), right]
        for x in [left, *(x for x, _ in columns)]:
            row.append((x, top, borders[borders.index(x) + 1], bottom) if x in borders else None)
        rows.append(row)
    return rows


def _middle(box: tuple) -> float:
    return (box[1] + box[3]) / 2


def _clusters(places: list[tuple[float, tuple]]) -> list[tuple[float, list[tuple]]]:
    """Lines that are drawn over each other, or nearly so, as one in their middle."""
    clusters = []
    for place, line in sorted(places):
        if clusters and place - clusters[-1][-1][0] <= TOUCHING:
            clusters[-1].append((place, line))
        else:
            clusters.append([(place, line)])
    return [(mean(place for place, _ in cluster), [line for _, line in cluster]) for cluster in clusters]


def _covers(lines: list[tuple], top: float, bottom: float) -> bool:
    """Whether vertical lines, piece by piece, reach from one height to another."""
    for line in sorted(lines, key=lambda v: v[1]):
        if line[1] <= top + TOUCHING:
            top = max(top, line[3])
    return top >= bottom - TOUCHING
