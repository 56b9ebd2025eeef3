"""Questions about how far sections reach: their pages, and the numbered headings and captions on them."""

from collections.abc import Iterator
from itertools import pairwise

from ..elements import Caption, Section
from ..headings import MARGIN, split_number
from ..questions import Candidate, choose, pose
from .captions import caption_evidence
from .fulltext import FullText
from .naming import Names

LONG = range(2, 16)  # pages of a section that is asked for
MIN_LINES = 4  # of a page that is not left blank before a chapter
MAX_LISTED = 8
MAX_RANGE = 6  # pages on which headings are counted


def ask_about_extents(names: Names, text: FullText, segment: tuple[int, int]) -> Iterator[Candidate]:
    """
    Questions about whole sections and runs of pages inside one segment.

    Args:
        names (`Names`): The sections of the whole document.
        text (`FullText`): All its words.
        segment (`tuple[int, int]`): First and last page.
    """
    inside = [s for page in range(segment[0], segment[1] + 1) for s in names.sections_on(page)]
    yield from _lengths(names, text, inside, segment)
    yield from _numbered_headings(names, inside, segment)
    yield from _captions_of_sections(names, inside, segment)


def _next(inside: list[Section], section: Section) -> Section | None:
    """The section after the end of another."""
    after = inside[inside.index(section) + 1 :]
    return next((s for s in after if s.level <= section.level), None)


def _lengths(names: Names, text: FullText, inside: list[Section], segment) -> Iterator[Candidate]:
    """Only sections that fill whole pages: they and the next one start a page, and no page between is left blank."""
    for section in inside:
        following, phrase = _next(inside, section), names.phrase(section)
        if not phrase or not following or not names.is_sure(section) or not names.is_sure(following):
            continue
        length = following.page - section.page
        pages = text.lines[section.page - 1 : following.page - 1]
        starts = _starts_page(names, text, section) and _starts_page(names, text, following)
        between = any(s.serious for s in names.strays_between(section, following.page))
        if length in LONG and starts and not between and all(len(lines) >= MIN_LINES for lines in pages):
            evidence = [names.heading(section), names.heading(following)]
            slots = {"section": phrase, "expression": f"{following.page} - {section.page}"}
            yield pose("section-length", length, evidence, seed=names.seed, segment=segment, **slots)


def _starts_page(names: Names, text: FullText, section: Section) -> bool:
    """Whether at most a running head, one line in the margin, stands over a heading."""
    if not text.lines or names.sections_on(section.page)[0] is not section:
        return False
    over = [x for x in text.lines[section.page - 1] if (x.box[1] + x.box[3]) / 2 < section.box[1]]
    return len({round(x.box[1], 2) for x in over}) <= 1 and all(x.box[3] < MARGIN for x in over)


def _numbered_headings(names: Names, inside: list[Section], segment) -> Iterator[Candidate]:
    """Headings with a number, on runs of pages where their numbers leave none out."""
    numbered = [s for s in inside if s.number]
    for k, section in enumerate(numbered):
        later = [s for s in numbered[k + 1 :] if section.page < s.page < section.page + MAX_RANGE]
        if not later:
            continue
        first, last = section.page, choose(later, names.seed, "headings", section.page, section.number).page
        within = [s for page in range(first, last + 1) for s in names.sections_on(page)]
        strays = [s for page in range(first, last + 1) for s in names.strays_on(page)]
        if any(s.serious or split_number(s.text)[0] for s in strays) or not all(
            names.is_sure(s) and s.number for s in within
        ):
            continue
        if all(follows(a.number, b.number) for a, b in pairwise(within)):
            evidence = [names.heading(s) for s in within]
            slots = {"first": first, "last": last}
            yield pose("count-headings", len(within), evidence, seed=names.seed, segment=segment, **slots)


def follows(number: str, other: str) -> bool:
    """
    Whether one section's number comes right after another's.

    Args:
        number (`str`): E.g. `"3.2"`.
        other (`str`): Of the next heading.

    Example:

    ```python
    >>> follows("3.2", "3.3"), follows("3.2", "3.2.1"), follows("3.2.4", "4"), follows("3.2", "3.4")
    (True, True, True, False)

    ```
    """
    if not all(part.isdecimal() for part in (number + "." + other).split(".")):
        return False
    left, right = ([int(part) for part in n.split(".")] for n in (number, other))
    if len(right) > len(left):
        return right == [*left, 1]
    return right[:-1] == left[: len(right) - 1] and right[-1] == left[len(right) - 1] + 1


def _captions_of_sections(names: Names, inside: list[Section], segment) -> Iterator[Candidate]:
    """Figures and tables of whole sections, of kinds of which none was missed."""
    for section in inside:
        following, phrase = _next(inside, section), names.phrase(section)
        if not phrase or not following or not names.is_sure(section) or following.page == section.page:
            continue
        for kind in sorted(names.structure.countable):
            found = _captions_between(names, kind, section, following)
            if not found or len(found) < 2:
                continue
            evidence = [names.heading(section), *map(caption_evidence, found)]
            common = {"section": phrase, "kind": kind.lower(), "seed": names.seed, "segment": segment}
            yield pose("count-section-labels", len(found), evidence, **common)
            if len({c.page for c in found}) > 1 and len(found) <= MAX_LISTED:
                yield pose("section-labels", [c.label for c in found], evidence, **common)


def _captions_between(names: Names, kind: str, section: Section, following: Section) -> list[Caption] | None:
    """None if one of them stands where it could belong to the section before or after: floats move to a page's top."""
    pages = range(section.page, following.page + 1)
    captions = [c for page in pages for c in names.captions_on(page) if c.kind == kind]
    at_borders = [
        c for c in captions if c.page == following.page or (c.box[1] < section.box[1] and c.page == section.page)
    ]
    if at_borders or any(s.serious for s in names.strays_between(section, following.page)):
        return None
    return captions
