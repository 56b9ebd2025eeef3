"""What a heading looks like: numbers, sizes, running heads."""

import re
from collections import Counter
from itertools import filterfalse, pairwise

from .elements import Line, Page, union
from .text import fold, join_lines

MARGIN = 0.1  # part of the page at its top and bottom in which running heads stand
REPEATED = 3  # pages on which a line in the margin makes it a running head
MIN_CONTENTS = 5
REPEATED_LARGE = 8  # a slide's title stands in the margin too, and goes over a few slides
MAX_TITLE = 100
MAX_TITLE_LINES = 3
LARGER = 1.08  # headings are at least so much larger than the text, or bold
NUMBER = re.compile(
    r"^(?:(?:chapter|appendix|part|section)\s+(?:\d+|[A-Z]|[IVXL]+)(?:\.\d+)*[.:]?(?=\s|$)"
    r"|第\s*[\d一二三四五六七八九十]+\s*[章节節部]"
    r"|附录\s*[A-Z\d]"
    r"|\d+(?:\.\d+)*[.)]?(?=\s)"
    r"|[A-Z](?:\.\d+)+[.)]?(?=\s)"
    r"|[A-Z]\.(?=\s))\s*",
    re.IGNORECASE,
)
_NUMBERED_CAPITALS = re.compile(r"\d+(?:\.\d+)*\.?\s+[A-Z]{3}[A-Z ,&'-]*")
_PAGE_AT_END = re.compile(r"[^\W\d_].*[\s.…](\d{1,3})$")
LEADER = re.compile(r"\.\.\.|\. \. \. |…")  # literals only: a search for repetitions is five times as slow


def split_number(text: str) -> tuple[str, str]:
    """
    Take the printed number off a heading.

    Args:
        text (`str`): A heading as printed.

    Returns:
        `tuple[str, str]`: (number, title); the number is empty where none is printed.

    Example:

    ```python
    >>> split_number("3.2. Data Structures"), split_number("Chapter 4 Results"), split_number("A Tutorial")
    (('3.2', 'Data Structures'), ('Chapter 4', 'Results'), ('', 'A Tutorial'))

    ```
    """
    match = NUMBER.match(text)
    if not match or not text[match.end() :].strip():
        return "", text.strip()
    return match.group().strip().rstrip(".:)"), text[match.end() :].strip()


def running_lines(pages: tuple[Page, ...], size: float) -> set[str]:
    """
    Keys of lines that stand at one height in the margin of several pages: running heads and page numbers.

    Args:
        pages (`tuple[Page]`): All pages of the document.
        size (`float`): Of the running text in points; a larger line is a heading unless it recurs on many pages.
    """
    seen = Counter()
    large = set()
    for page in pages:
        margin = [line for line in page.lines if line.box[1] < MARGIN or line.box[3] > 1 - MARGIN]
        seen.update({_head_key(line) for line in margin})
        large.update(_head_key(line) for line in margin if line.size >= LARGER * size)
    return {key for key, count in seen.items() if count >= (REPEATED_LARGE if key in large else REPEATED)}


def body_lines(page: Page, running: set[str]) -> list[Line]:
    """
    The lines of a page without its running heads.

    Args:
        page (`Page`): One page.
        running (`set[str]`): As [`running_lines`] returns it.
    """
    kept = [
        line
        for line in page.lines
        if not ((line.box[1] < MARGIN or line.box[3] > 1 - MARGIN) and _head_key(line) in running)
    ]
    return kept or list(page.lines)  # a page of nothing but a number says just that


def body_size(pages: tuple[Page, ...]) -> float:
    """
    Size in points of the running text: the largest in which a tenth of all characters are set.

    Args:
        pages (`tuple[Page]`): All pages of the document.
    """
    count = Counter()
    for page in pages:
        for line in page.lines:
            count[line.size] += len(line.text)
    if not count:
        return 0.0  # a scan has no text
    return max((size for size, n in count.items() if n >= 0.1 * count.total()), default=count.most_common(1)[0][0])


def looks_like_heading(line: Line, size: float) -> bool:
    """
    Whether a line is larger than the text, or bold and not smaller.

    Args:
        line (`Line`): Any line.
        size (`float`): Of the running text.
    """
    return line.size >= LARGER * size or (line.bold and line.size >= size - 0.5) or is_numbered_capitals(line)


def is_numbered_capitals(line: Line) -> bool:
    """Whether a line is a number and capitals, as licences head their sections in the size of the text: "0. PREAMBLE"."""
    return bool(_NUMBERED_CAPITALS.fullmatch(line.text))


def is_contents(lines: list[Line]) -> bool:
    """
    Whether a page is a list of contents or figures: its lines end in page numbers that only grow, or in leaders.

    Args:
        lines (`list[Line]`): Of one page, without running heads.
    """
    # a search looks at every letter, and most lines end as prose does
    ends_open = [line.text for line in lines if not line.text[-1:].islower()]
    leaders = sum(bool(LEADER.search(text)) and not any(c.islower() for c in text[-3:]) for text in ends_open)
    # the search is quadratic where it fails, and most lines end in no digit
    ends = [int(m.group(1)) for line in lines if line.text[-1:].isdecimal() and (m := _PAGE_AT_END.search(line.text))]
    growing = sum(a <= b for a, b in pairwise(ends))
    return max(leaders, len(ends) if growing >= 0.8 * len(ends) else 0) >= max(MIN_CONTENTS, 0.25 * len(lines))


def _head_key(line: Line) -> str:
    return f"{line.box[1]:.2f} " + "".join(filterfalse(str.isdigit, fold(line.text)))


def joined(parts: list[Line]) -> Line:
    last = parts[-1]
    return Line(
        join_lines([p.text for p in parts], hyphenated=False),
        union([p.box for p in parts]),
        last.size,
        last.bold,
        last.font,
        last.block,
    )
