"""Finds the sections of a document: its outline first, typography second; each heading is located on its page."""

import math
import re

from .elements import Line, OutlineEntry, Section, Source, Stray
from .headings import (
    MAX_TITLE,
    MAX_TITLE_LINES,
    body_lines,
    body_size,
    is_contents,
    is_numbered_capitals,
    joined,
    looks_like_heading,
    running_lines,
    split_number,
)
from .text import clean, fold, is_clean, join_lines
from .typography import MUCH_LARGER, by_typography

WHOLE_PAGE = (0.0, 0.0, 1.0, 1.0)
MIN_LOCATED = 0.5  # an outline of which fewer titles are found on their pages says less than typography does


def find_sections(source: Source) -> tuple[tuple[Section, ...], tuple[Stray, ...]]:
    """
    The sections of a document in reading order, and the lines that look like headings but are none of them.

    Args:
        source (`Source`): The document as read.

    Returns:
        `tuple[tuple[Section], tuple[Stray]]`: Sections with parent and extent; strays.
    """
    size = body_size(source.pages)
    running = running_lines(source.pages, size)
    lines = {page.number: body_lines(page, running) for page in source.pages}
    outline = [e for e in source.outline if not _is_document_title(e, source.title)]
    located = [(entry, _locate(entry, lines[entry.page], size)) for entry in outline]
    headings = [heading for _, heading in located if heading]
    lost = [entry for entry, heading in located if not heading]
    if len(headings) < max(1, MIN_LOCATED * len(outline)):
        headings = by_typography({p: ls for p, ls in lines.items() if not is_contents(ls)}, size)
        lost = []
    used = {(page, line.box) for _, _, page, _, parts, _ in headings for line in parts}
    sections = _tree(headings, len(source.pages))
    # a reader takes a line for a section's heading if it is as large as one, or much larger than the text
    large = min([MUCH_LARGER * size, *(section.style[1] for section in sections)]) if sections else 0.0
    strays = [
        Stray(line.text, page, line.box, (line.font, line.size), _is_serious(line, large))
        for page, page_lines in lines.items()
        if not is_contents(page_lines)
        for line in page_lines
        if looks_like_heading(line, size) and (page, line.box) not in used
    ]
    # a bookmark whose heading was not found may stand anywhere on its page, and be of any size
    strays += [Stray(entry.title, entry.page, WHOLE_PAGE, ("", math.inf), True) for entry in lost]
    return sections, tuple(strays)


def _is_serious(line: Line, large: float) -> bool:
    """Whether a line is large enough for a heading, and says something."""
    return (
        (line.size >= large or is_numbered_capitals(line))
        and sum(c.isalpha() for c in line.text) >= 3
        and is_clean(line.text)
    )


def _is_document_title(entry: OutlineEntry, title: str) -> bool:
    name, whole = fold(entry.title), fold(title)
    return entry.page == 1 and name in whole and len(name) > 0.5 * len(whole)


def _locate(entry: OutlineEntry, lines: list[Line], size: float):
    """The heading that a bookmark names: one to three consecutive lines that say exactly its title."""
    wanted = fold(split_number(entry.title)[1])
    if not wanted:
        return None
    found = []
    for first in range(len(lines)):
        key = ""
        for last in range(first, min(first + MAX_TITLE_LINES, len(lines))):
            if lines[last].size != lines[first].size and not _is_label(lines[first : last + 1]):
                break
            key += fold(lines[last].text)
            if not key.endswith(wanted):  # of nearly all lines nothing more need be looked at
                continue
            parts = lines[first : last + 1]
            text = join_lines([p.text for p in parts], hyphenated=False)
            number, title = split_number(text)
            if wanted in (fold(title), fold(text)):
                if fold(text) == wanted:
                    number, title = split_number(entry.title) if fold(entry.title) == wanted else ("", text)
                found.append((max(p.size for p in parts), -len(parts), number, title, parts))
                break
    found = [f for f in found if all(looks_like_heading(p, size) for p in f[4][-1:]) or len(lines) == len(f[4])]
    if not found:
        return None
    best = max(f[0] for f in found)
    found = [f for f in found if f[0] == best]
    if len(found) > 1 and len({f[3] for f in found}) == 1 and len(found[0][4]) == 1:
        return None  # twice on one page in the same size: which one is meant cannot be told
    _, _, number, title, parts = found[0]
    if len(parts) > 1:  # the bookmark knows which hyphen at a line's end belongs to the title
        title = split_number(entry.title)[1]
    return entry.level, (number, title), entry.page, joined(parts), parts, True


def _is_label(parts: list[Line]) -> bool:
    """ "Chapter 3" alone on a line, its title on the next in another size."""
    return len(parts) == 2 and bool(
        re.fullmatch(r"(?i)(chapter|appendix|part)\s+\w+[.:]?|第\s*\w+\s*[章部]", parts[0].text)
    )


def _tree(headings: list[tuple], num_pages: int) -> tuple[Section, ...]:
    """Put headings into reading order, and give each its parent and its last page."""
    unique = {}
    for level, (number, title), page, line, _, listed in headings:
        unique.setdefault((page, line.box), (level, number, clean(title).rstrip("."), page, line, listed))
    kept = [
        h
        for h in sorted(unique.values(), key=lambda h: (h[3], h[4].box[1], h[4].box[0]))
        if is_clean(h[2]) and fold(h[2]) and len(h[2]) <= MAX_TITLE
    ]
    sections, stack = [], []
    for index, (level, number, title, page, line, listed) in enumerate(kept):
        while stack and sections[stack[-1]].level >= level:
            stack.pop()
        following = next((h for h in kept[index + 1 :] if h[0] <= level), None)
        last = following[3] if following else num_pages
        parent = stack[-1] if stack else -1
        sections.append(Section(title, number, level, page, last, parent, line.box, (line.font, line.size), listed))
        stack.append(index)
    return tuple(sections)
