"""Where drawn lines make a table: several of one width under each other, crossed by a line between their ends."""

from itertools import pairwise
from statistics import median

TOUCHING = 3.0  # points between pieces of one line
MIN_ROW = 8.0  # points from line to line; staves of music are closer, and hold no text
INSIDE = 5.0  # points from the ends of the lines, beyond which a crossing line parts columns


def ruled_areas(horizontal: list[tuple], vertical: list[tuple]) -> list[tuple]:
    """
    Areas in which at least three horizontal lines of one extent are crossed by an inner vertical line.

    A frame around a code listing, or the axes of a plot, is none: reading cells costs twenty times as much as reading
    the page.

    Args:
        horizontal (`list[tuple]`): Boxes of thin horizontal lines, in points.
        vertical (`list[tuple]`): Boxes of thin vertical lines, in points.

    Returns:
        `list[tuple]`: Boxes of the areas, a little larger than their lines, from top to bottom.

    Example:

    ```python
    >>> rows = [(0, y, 100, y + 1) for y in (0, 20, 40)]
    >>> ruled_areas(rows, [(0, 0, 1, 40), (50, 0, 51, 40), (99, 0, 100, 40)])
    [(-3.0, -3.0, 103.0, 44.0)]
    >>> ruled_areas(rows, [(0, 0, 1, 40), (99, 0, 100, 40)])
    []

    ```
    """
    groups: dict[tuple, list[tuple]] = {}
    for line in _joined(horizontal):
        key = next((k for k in groups if max(abs(k[0] - line[0]), abs(k[1] - line[2])) < TOUCHING), (line[0], line[2]))
        groups.setdefault(key, []).append(line)
    areas = []
    for (left, right), lines in groups.items():
        for run in _runs(lines, vertical):
            top, bottom = run[0][1], run[-1][3]
            inner = any(
                left + INSIDE < v[0] < right - INSIDE and v[1] < bottom - TOUCHING and v[3] > top + TOUCHING
                for v in vertical
            )
            if len(run) >= 3 and inner and median(b[1] - a[1] for a, b in pairwise(run)) >= MIN_ROW:
                areas.append((left - TOUCHING, top - TOUCHING, right + TOUCHING, bottom + TOUCHING))
    return sorted(areas, key=lambda area: area[1])


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
