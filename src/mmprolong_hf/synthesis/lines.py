"""Puts the spans of text that MuPDF returns together into printed lines."""

import re
from collections.abc import Callable
from functools import cache

from .elements import Box, Line, union
from .text import clean

SUPERSCRIPT = 1  # MuPDF's flag of a span
WIDE_GAP = 4  # times the size of the text: wider gaps part columns
_BOLD = re.compile(r"bold|black|heavy|demi|CMBX", re.IGNORECASE)


def read_lines(blocks: list[dict], place: Callable[[tuple], Box]) -> tuple[Line, ...]:
    """
    Printed lines of one page.

    MuPDF cuts a line at a wide gap ("3.2" and its title); pieces at one height, close to each other, are joined again.
    A superscript is written after a caret, so that 10 to the 10th does not read 1010.

    Args:
        blocks (`list[dict]`): As in the `"dict"` form of PyMuPDF's text.
        place (`Callable[[tuple], Box]`): From the engine's boxes to ours.

    Example:

    ```python
    >>> def span(text, x, flags=0):
    ...     return {"text": text, "bbox": (x, 10, x + 9, 20), "size": 10.0, "font": "Sans-Bold", "flags": flags}
    >>> lines = [{"spans": [span("3.2", 0)]}, {"spans": [span("Title", 30), span("1", 40, flags=1)]}]
    >>> (line,) = read_lines([{"number": 0, "lines": lines}], lambda box: box)
    >>> line.text, line.bold, line.box
    ('3.2 Title^1', True, (0, 10, 49, 20))

    ```
    """
    lines = []
    for block in blocks:
        pieces = []  # the spans of each of MuPDF's lines that make one of ours
        for line in block["lines"]:
            spans = [span for span in line["spans"] if span["text"].strip()]
            if not spans:
                continue
            if pieces and not _same_line(pieces[-1][-1], spans[0]):
                lines.append(_line(pieces, block["number"], place))
                pieces = []
            pieces.append(spans)
        if pieces:
            lines.append(_line(pieces, block["number"], place))
    return tuple(line for line in lines if line.text)


def _same_line(left: dict, right: dict) -> bool:
    a, b = left["bbox"], right["bbox"]
    overlap = min(a[3], b[3]) - max(a[1], b[1])
    size = left["size"]
    return overlap > 0.6 * min(a[3] - a[1], b[3] - b[1]) and -size < b[0] - a[2] < WIDE_GAP * size


def _line(pieces: list[list[dict]], block: int, place) -> Line:
    """One line of its spans; a TeX document has a span for each word, so this loop is most of the work on a page."""
    text, boxes, longest = "", [], None
    total = bold = most = 0
    for spans in pieces:
        before = None
        for span in spans:
            piece, box = span["text"], span["bbox"]
            if before is None:
                text += " " if text else ""
            elif box[0] - before > 0.2 * span["size"]:
                text += " "
            before = box[2]
            text += "^" + piece if span["flags"] & SUPERSCRIPT else piece
            boxes.append(box)
            total += len(piece)
            if _is_bold(span["font"]):
                bold += len(piece)
            if len(piece) > most and len(piece.strip()) > most:
                most, longest = len(piece.strip()), span
    box = place(union(boxes))
    return Line(clean(text), box, round(longest["size"], 1), bold > 0.5 * total, longest["font"], block)


@cache
def _is_bold(font: str) -> bool:
    return bool(_BOLD.search(font))
