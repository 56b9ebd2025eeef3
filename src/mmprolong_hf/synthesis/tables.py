"""Tables whose every cell is certain: ruled ones from their drawn cells, others from the white space under a caption."""

from collections import Counter

from .elements import Box, Caption, Grid, Page, Table, union
from .text import fold, is_clean
from .whitespace import read_columns

MIN_ROWS = 2  # below the header
MAX_CELL = 120
NEAR_CAPTION = 0.08  # part of the page's height between a caption and its ruled table
BOTTOM = 0.85  # a table that ends lower may go on on the next page
TOP = 0.15  # and one without a caption that starts higher may have begun on the page before


def find_tables(page: Page, captions: tuple[Caption, ...]) -> list[Table]:
    """
    The certain tables of one page.

    Args:
        page (`Page`): One page.
        captions (`tuple[Caption]`): Of the whole document.
    """
    captions = [c for c in captions if c.page == page.number and c.kind == "Table"]
    tables, used = [], set()
    for grid in page.grids:
        near = [c for c in captions if _distance(c.box, grid.box) < NEAR_CAPTION]
        table = _from_cells(page, *_below_title(grid), near[0] if len(near) == 1 else None, ruled=True)
        if table:
            tables.append(table)
            used.update(c.label for c in near)
    for caption in captions:
        columns = None if caption.label in used else read_columns(page, caption)
        if columns:
            table = _from_cells(page, *columns, caption, ruled=False)
            if table:
                tables.append(table)
    return tables


def is_number(text: str) -> bool:
    """
    Whether a cell is a number, perhaps with a sign, thousands, a per cent or currency sign.

    Args:
        text (`str`): Text of one cell.

    Example:

    ```python
    >>> is_number("-1,204.5"), is_number("37 %"), is_number("5:06:00")
    (True, True, False)

    ```
    """
    digits = text.strip("+-−%$€£ ").replace(",", "")
    return digits.replace(".", "", 1).isdecimal()


def _below_title(grid: Grid):
    """A first row that is one cell over the whole width is the table's title."""
    skip = int(len(grid.cells[0]) > 1 and all(c is None for c in grid.cells[0][1:]))
    return grid.cells[skip:], grid.boxes[skip:]


def _from_cells(page: Page, cells, boxes, caption: Caption | None, *, ruled: bool) -> Table | None:
    if len(cells) < MIN_ROWS + 1 or len(cells[0]) < 2 or any(c is None for row in cells for c in row):
        return None
    header, rows = cells[0], cells[1:]
    names, keys = [fold(h) for h in header[1:]], [fold(row[0]) for row in rows]
    if not all(names) or not all(keys) or max(Counter(names).values()) > 1 or max(Counter(keys).values()) > 1:
        return None
    if any(len(c) > MAX_CELL or not is_clean(c) for row in cells for c in row):
        return None
    if not _has_header(page, cells, boxes):
        return None
    box = union([b for row in boxes for b in row])
    continued = box[3] > BOTTOM or (boxes[0][0][1] < TOP and caption is None)
    closed = not continued and (ruled or _is_closed(page, box))
    return Table(caption, page.number, box, tuple(header), tuple(map(tuple, rows)), boxes[1:], boxes[0], closed)


def _has_header(page: Page, cells, boxes) -> bool:
    """The first row is a header if it is bold, or ruled off from the rest alone, or words over a column of numbers."""
    for column in range(1, len(cells[0])):
        if not is_number(cells[0][column]) and all(is_number(row[column]) for row in cells[1:]):
            return True
    if any(is_number(c) for c in cells[0]):
        return False
    head, second = union(boxes[0]), union(boxes[1])
    if _is_bold(page, head) and not _is_bold(page, (boxes[1][1][0], second[1], second[2], second[3])):
        return True
    between = [r for r in page.rules if head[3] - 0.004 <= (r[1] + r[3]) / 2 <= second[1] + 0.004 and _covers(r, head)]
    others = [
        r for r in page.rules if second[3] < (r[1] + r[3]) / 2 < boxes[-1][0][1] and _covers(r, head)
    ]  # a line under every row sets no row apart
    return bool(between) and not others


def _is_bold(page: Page, box: Box) -> bool:
    inside = [line for line in page.lines if _centre_in(line.box, box)]
    return bool(inside) and all(line.bold for line in inside)


def _is_closed(page: Page, box: Box) -> bool:
    """A line is drawn under the last row, or nothing but white follows for a while."""
    if any(-0.004 < (r[1] + r[3]) / 2 - box[3] < 0.012 and _covers(r, box) for r in page.rules):
        return True
    return not any(0 < line.box[1] - box[3] < 0.02 for line in page.lines)


def _covers(rule: Box, box: Box) -> bool:
    return rule[0] <= box[0] + 0.02 and rule[2] >= box[2] - 0.05


def _centre_in(inner: Box, outer: Box) -> bool:
    x, y = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
    return outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3]


def _distance(a: Box, b: Box) -> float:
    """Vertical gap between two boxes, 0 if they overlap."""
    return max(a[1] - b[3], b[1] - a[3], 0.0)
