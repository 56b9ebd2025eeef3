"""Finds numbered captions and the pictures they belong to."""

import re
from collections import Counter
from itertools import pairwise

from .elements import Caption, Figure, Line, Page, union
from .headings import LEADER, body_lines, is_contents
from .text import clean, is_clean, join_lines

NEAR = 0.12  # part of a page's height within which a picture and its caption stand
_KINDS = {
    "figure": "Figure",
    "fig": "Figure",
    "图": "Figure",
    "圖": "Figure",
    "table": "Table",
    "tab": "Table",
    "表": "Table",
}
# A number, then a mark that a sentence about the figure does not have ("Figure 3 shows" is no caption)
_CAPTION = re.compile(
    r"^(?P<label>(?P<kind>figure|fig\.?|table|tab\.?|图|圖|表)\s*(?P<number>[A-Z]?\d+(?:[.-]\d+)*))\s*"
    r"(?P<mark>[:：.])?\s*(?P<text>.*)$",
    re.IGNORECASE,
)
_MENTION = re.compile(r"\b(?P<kind>figures?|tables?)\s+(?P<number>\d+(?:[.-]\d+)*)", re.IGNORECASE)


def find_captions(pages: tuple[Page, ...], running: set[str]) -> tuple[Caption, ...]:
    """
    Captions whose number is theirs alone in the whole document, in reading order.

    Args:
        pages (`tuple[Page]`): All pages of the document.
        running (`set[str]`): Keys of running heads, as `headings.running_lines` returns them.
    """
    found = []
    for page in pages:
        lines = body_lines(page, running)
        if is_contents(lines):
            continue
        for k, line in enumerate(lines):
            caption = _caption(lines, k, page.number)
            if caption and not (k > 0 and _continues_sentence(lines[k - 1], line)):
                found.append(caption)
    count = Counter((c.kind, c.number) for c in found)
    unique = [c for c in found if count[c.kind, c.number] == 1]
    return tuple(sorted(unique, key=lambda c: (c.page, c.box[1], c.box[0])))


def find_figures(pages: tuple[Page, ...], captions: tuple[Caption, ...]) -> tuple[Figure, ...]:
    """
    For each figure's caption the picture over or under it: all drawings between the caption and the next text.

    Args:
        pages (`tuple[Page]`): All pages of the document.
        captions (`tuple[Caption]`): As [`find_captions`] returns them.
    """
    figures = []
    for caption in captions:
        if caption.kind != "Figure":
            continue
        boxes = pages[caption.page - 1].figures
        over = [b for b in boxes if -0.02 < caption.box[1] - b[3] < NEAR and _share_x(b, caption.box)]
        under = [b for b in boxes if -0.02 < b[1] - caption.box[3] < NEAR and _share_x(b, caption.box)]
        if over or under:
            figures.append(Figure(caption, caption.page, union(over or under)))
    return tuple(figures)


def countable_kinds(pages: tuple[Page, ...], captions: tuple[Caption, ...]) -> frozenset[str]:
    """
    Kinds of captions of which certainly none was missed: numbers without a gap, and no other number mentioned anywhere.

    Args:
        pages (`tuple[Page]`): All pages of the document.
        captions (`tuple[Caption]`): As [`find_captions`] returns them.
    """
    mentioned = {"Figure": set(), "Table": set()}
    for page in pages:
        text = "\n".join(line.text for line in page.lines)
        # most pages mention none, and the expression looks at every letter
        mentions = _MENTION.finditer(text) if any(word in text.lower() for word in ("figure", "table")) else ()
        for match in mentions:
            mentioned[_KINDS[match["kind"].rstrip("s").casefold()]].add(match["number"])
    kinds = set()
    for kind, numbers in mentioned.items():
        of_kind = [c for c in captions if c.kind == kind]
        if of_kind and is_gap_free(of_kind) and numbers <= {c.number for c in of_kind}:
            kinds.add(kind)
    return frozenset(kinds)


def is_gap_free(captions: list[Caption]) -> bool:
    """
    Whether the numbers of captions in reading order leave none out, so that the captions may be counted.

    Args:
        captions (`list[Caption]`): Of one kind.

    Example:

    ```python
    >>> def numbered(*numbers):
    ...     return [Caption("Figure", f"Figure {n}", n, "", 1, (0, 0, 1, 1)) for n in numbers]
    >>> is_gap_free(numbered("1", "2", "3")), is_gap_free(numbered("2-1", "2-2", "3-1")), is_gap_free(numbered("1", "3"))
    (True, True, False)

    ```
    """
    values = [tuple(int(d) for d in re.findall(r"\d+", c.number)) for c in captions]
    for left, right in pairwise(values):
        next_in_chapter = right[:-1] == left[:-1] and right[-1] == left[-1] + 1
        next_chapter = len(right) == len(left) > 1 and right[-1] == 1 and right[:-1] > left[:-1]
        if not (next_in_chapter or next_chapter):
            return False
    return True


def _caption(lines: list[Line], k: int, page: int) -> Caption | None:
    line = lines[k]
    match = _CAPTION.match(line.text)
    if not match or LEADER.search(line.text):
        return None
    mark, text = match["mark"], match["text"]
    if not mark or (mark == "." and text and not text[0].isupper()):
        return None
    parts = [line]
    for following in lines[k + 1 :]:
        if following.block != line.block or _CAPTION.match(following.text):
            break
        parts.append(following)
    text = clean(join_lines([text] + [p.text for p in parts[1:]]) if text else join_lines([p.text for p in parts[1:]]))
    if not is_clean(text):
        return None
    kind = _KINDS[match["kind"].rstrip(".").casefold()]
    right = max(other.box[2] for other in lines)
    whole = text.endswith((".", "!", "?", "。")) or parts[-1].box[2] < 0.85 * right
    return Caption(kind, clean(match["label"]), match["number"], text, page, union([p.box for p in parts]), whole)


def _continues_sentence(above: Line, line: Line) -> bool:
    """A line of text that happens to begin with "Figure 3." goes on from the line above it."""
    return above.block == line.block and not above.text.endswith((".", ":", "!", "?"))


def _share_x(a, b) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0])
