"""Headings of a document without an outline: numbered ones in sequence, or lines that are larger than the text."""

from collections import Counter

from .elements import Line
from .headings import LARGER, LEADER, MAX_TITLE, MAX_TITLE_LINES, NUMBER, joined, looks_like_heading, split_number
from .text import is_clean, join_lines

MIN_NUMBERED = 5  # fewer numbers in sequence may be a list
MIN_RECURRING = 3
MUCH_LARGER = 1.15


def by_typography(lines: dict[int, list[Line]], size: float) -> list[tuple]:
    """
    Headings by their look: those with numbers in sequence if there are any, else the large lines of recurring styles.

    Args:
        lines (`dict[int, list[Line]]`): Lines of each page, without running heads.
        size (`float`): Of the running text, in points.

    Returns:
        `list[tuple]`: (level, (number, title), page, line, parts, listed); `parts` are the lines that make the heading.
    """
    groups = _groups(lines, size)
    numbered = list(_in_sequence(groups))
    if len(numbered) >= MIN_NUMBERED:
        chapter_styles = {(h[3].font, h[3].size) for h in numbered if h[0] == 1}
        seen = {(h[2], h[3].box) for h in numbered}
        first = numbered[0][2]
        plain = [
            (1, (number, text), page, line, parts, True)
            for (number, text), page, line, parts in groups
            if (line.font, line.size) in chapter_styles and page >= first and (page, line.box) not in seen
        ]
        return numbered + [h for h in plain if not h[1][0][:1].isdigit()]
    styles = Counter((line.font, line.size) for _, _, line, _ in groups)
    recurring = {style for style, count in styles.items() if count >= MIN_RECURRING and style[1] >= MUCH_LARGER * size}
    sizes = sorted({style[1] for style in recurring}, reverse=True)
    return [
        (sizes.index(line.size) + 1, name, page, line, parts, False)
        for name, page, line, parts in groups
        if (line.font, line.size) in recurring
    ]


def _groups(lines: dict[int, list[Line]], size: float) -> list[tuple]:
    """((number, title), page, joined line, lines) of everything that may be a heading."""
    groups = []
    for page, page_lines in lines.items():
        k = 0
        while k < len(page_lines):
            parts = [page_lines[k]]
            k += 1
            if not _may_head(parts[0], size):
                continue
            while k < len(page_lines) and len(parts) < MAX_TITLE_LINES and _continues(parts[-1], page_lines[k]):
                parts.append(page_lines[k])
                k += 1
            name = split_number(join_lines([p.text for p in parts], hyphenated=False))
            letters = sum(c.isalpha() for c in name[1])
            if letters >= 3 and letters >= 0.5 * len(name[1]) and is_clean(name[1]):
                groups.append((name, page, joined(parts), parts))
    return groups


def _may_head(line: Line, size: float) -> bool:
    if not looks_like_heading(line, size) or len(line.text) > MAX_TITLE or LEADER.search(line.text):
        return False
    if NUMBER.match(line.text):
        return True
    return line.size >= LARGER * size and not line.text.endswith((".", ",", ";", ":"))


def _continues(above: Line, below: Line) -> bool:
    same = (above.font, above.size, above.block) == (below.font, below.size, below.block)
    return same and not NUMBER.match(below.text) and below.box[1] >= above.box[1]


def _in_sequence(groups: list[tuple]):
    """Numbered headings whose numbers only grow: a number in running text or in a list breaks the order and is left out."""
    last = (0,)
    for (number, title), page, line, parts in groups:
        digits = number.split(".")
        if not number or not all(d.isdigit() for d in digits):
            continue
        value = tuple(int(d) for d in digits)
        if value > last and _follows(last, value):
            last = value
            yield len(value), (number, title), page, line, parts, True


def _follows(last: tuple[int, ...], value: tuple[int, ...]) -> bool:
    """One step on at some level (one missed heading is forgiven), and a first child is 0 or 1.

    Example:

    ```python
    >>> _follows((3, 2), (3, 2, 1)), _follows((3, 2, 4), (3, 3)), _follows((3, 2), (3, 9))
    (True, True, False)

    ```
    """
    common = 0
    while common < min(len(last), len(value)) and last[common] == value[common]:
        common += 1
    step = value[common] - (last[common] if common < len(last) else 0)
    return step <= 2 and all(d <= 1 for d in value[common + 1 :])
