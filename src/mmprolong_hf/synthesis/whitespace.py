"""Reads a table without vertical lines: rows over or under a caption, whose words leave the same columns of white free."""

from statistics import median

from .elements import Box, Caption, Page, Word, union

CELL_GAP = 0.75  # of a word's height: wider than a space between words, narrower than between columns
ROW_GAP = 2.0  # of the usual distance of two rows: the table ends at a wider gap
FIRST_GAP = 3.5  # of a word's height: from the caption to the first row


def read_columns(page: Page, caption: Caption) -> tuple[tuple, tuple] | None:
    """
    The cells of the table that belongs to a caption, or None where anything is uncertain.

    Args:
        page (`Page`): The page, with its words.
        caption (`Caption`): Of the table.

    Returns:
        `tuple[tuple, tuple]` or `None`: (cells, boxes), both by row and column, the header first.
    """
    width, height = page.points
    words = [
        (w, (w.box[0] * width, w.box[1] * height, w.box[2] * width, w.box[3] * height))
        for w in page.words
        if not (caption.box[1] - 1e-3 <= (w.box[1] + w.box[3]) / 2 <= caption.box[3] + 1e-3)
    ]
    found = []
    for below in (True, False):
        edge = (caption.box[3] if below else caption.box[1]) * height
        rows = _rows([w for w in words if (w[1][1] >= edge - 2 if below else w[1][3] <= edge + 2)])
        rows = rows if below else rows[::-1]
        block, gap = _block(rows, edge, below)
        cells = _cells(sorted(block, key=lambda row: row[0][1][1])) if len(block) > 2 else None
        if cells:
            found.append((gap, cells))
    if not found:
        return None
    found.sort(key=lambda f: f[0])
    if len(found) == 2 and found[1][0] < 1.5 * found[0][0]:
        return None  # a table on both sides: whose caption it is cannot be told
    return found[0][1]


def _rows(words: list[tuple[Word, Box]]) -> list[list[tuple[Word, Box]]]:
    """Words whose middles stand at one height, from left to right; rows from top to bottom."""
    rows = []
    for item in sorted(words, key=lambda w: (w[1][1] + w[1][3]) / 2):
        middle = (item[1][1] + item[1][3]) / 2
        if rows and middle - (rows[-1][0][1][1] + rows[-1][0][1][3]) / 2 < 0.4 * (item[1][3] - item[1][1]):
            rows[-1].append(item)
        else:
            rows.append([item])
    return [sorted(row, key=lambda w: w[1][0]) for row in rows]


def _block(rows, edge: float, below: bool) -> tuple[list, float]:
    """Rows from the caption on, while they keep their distance and at least two columns; and how far the first is."""
    if not rows:
        return [], 0.0
    word_height = median(b[3] - b[1] for _, b in rows[0])
    first_gap = abs((rows[0][0][1][1] if below else rows[0][0][1][3]) - edge)
    if first_gap > FIRST_GAP * word_height:
        return [], first_gap
    block, columns, pitches = [], None, []
    for row in rows:
        if block:
            pitch = abs(_middle(row) - _middle(block[-1]))
            if pitch > ROW_GAP * (median(pitches) if pitches else 1.6 * word_height):
                break
            pitches.append(pitch)
        merged = _merge([_span(cell) for cell in _split(row)] + (columns or []))
        if len(merged) < 2:
            if block and pitches and pitches[-1] < 1.2 * median(pitches):
                return [], first_gap  # running text follows at the same distance: where the table ends is uncertain
            break
        columns = merged
        block.append(row)
    return block, first_gap


def _middle(row) -> float:
    return (row[0][1][1] + row[0][1][3]) / 2


def _split(row) -> list[list]:
    cells = [[row[0]]]
    for item in row[1:]:
        if item[1][0] - cells[-1][-1][1][2] > CELL_GAP * (item[1][3] - item[1][1]):
            cells.append([])
        cells[-1].append(item)
    return cells


def _span(cell) -> tuple[float, float]:
    return cell[0][1][0], cell[-1][1][2]


def _merge(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    merged = []
    for span in sorted(spans):
        if merged and span[0] <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], span[1]))
        else:
            merged.append(span)
    return merged


def _cells(rows) -> tuple[tuple, tuple] | None:
    """Put each row's cells under the columns; a row without a key goes on from the one above; gaps are not guessed."""
    columns = _merge([_span(cell) for row in rows for cell in _split(row)])
    grid = []
    for row in rows:
        cells = [[] for _ in columns]
        for cell in _split(row):
            at = next(k for k, (left, right) in enumerate(columns) if left <= cell[0][1][0] <= right)
            cells[at].extend(cell)
        filled = [bool(c) for c in cells]
        if grid and not filled[0] and len(grid) > 1 and sum(filled) == 1:
            for above, cell in zip(grid[-1], cells):
                above.extend(cell)
        elif all(filled[1:]) and (filled[0] or not grid):
            grid.append(cells)
        else:
            return None
    if not grid:
        return None
    texts = tuple(tuple(" ".join(w.text for w, _ in cell) for cell in row) for row in grid)
    corner = grid[0][0] or grid[0][1]  # an empty corner borrows a box; nothing is ever asked about it
    boxes = tuple(tuple(union([w.box for w, _ in cell or corner]) for cell in row) for row in grid)
    return texts, boxes
