"""Puts the spans of text that MuPDF returns together into printed lines."""

import re
from collections.abc import Callable

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
        group = []
        for index, line in enumerate(block["lines"]):
            for span in line["spans"]:
                if not span["text"].strip():
                    continue
                if group and not _same_line(group[-1], (index, span)):
                    lines.append(_line(group, block["number"], place))
                    group = []
                group.append((index, span))
        if group:
            lines.append(_line(group, block["number"], place))
    return tuple(line for line in lines if line.text)


def _same_line(left: tuple[int, dict], right: tuple[int, dict]) -> bool:
    (i, first), (j, second) = left, right
    if i == j:
        return True
    a, b = first["bbox"], second["bbox"]
    overlap = min(a[3], b[3]) - max(a[1], b[1])
    size = first["size"]
    return overlap > 0.6 * min(a[3] - a[1], b[3] - b[1]) and -size < b[0] - a[2] < WIDE_GAP * size


def _line(group: list[tuple[int, dict]], block: int, place) -> Line:
    text = ""
    for k, (index, span) in enumerate(group):
        before = group[k - 1]
        if k and (index != before[0] or span["bbox"][0] - before[1]["bbox"][2] > 0.2 * span["size"]):
            text += " "
        text += "^" + span["text"] if span["flags"] & SUPERSCRIPT else span["text"]
    spans = [span for _, span in group]
    longest = max(spans, key=lambda span: len(span["text"].strip()))
    bold = sum(len(s["text"]) for s in spans if _BOLD.search(s["font"])) > 0.5 * sum(len(s["text"]) for s in spans)
    box = place(union([s["bbox"] for s in spans]))
    return Line(clean(text), box, round(longest["size"], 1), bold, longest["font"], block)
