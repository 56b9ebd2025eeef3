"""Questions about where sections start, what they are called, and how they hang together."""

from collections.abc import Iterator
from itertools import pairwise

from ..elements import Section
from ..questions import Candidate, choose, pose
from .naming import Names, quotable

TOP = 0.25  # part of a page's height in which its heading stands
MAX_LISTED = 8  # more titles make an answer nobody would write


def ask_about_sections(names: Names, segment: tuple[int, int]) -> Iterator[Candidate]:
    """
    Questions whose evidence are headings inside one segment.

    Args:
        names (`Names`): The sections of the whole document.
        segment (`tuple[int, int]`): First and last page.
    """
    inside = [s for page in range(segment[0], segment[1] + 1) for s in names.sections_on(page)]
    yield from _titles_and_pages(names, inside, segment)
    yield from _pages_with_headings(names, inside, segment)
    yield from _pairs(names, inside, segment)
    yield from _families(names, inside, segment)
    yield from _orders(names, inside, segment)


def _titles_and_pages(names: Names, inside: list[Section], segment) -> Iterator[Candidate]:
    common = {"seed": names.seed, "segment": segment}
    for section in inside:
        evidence = [names.heading(section)]
        phrase, number = names.phrase(section), names.numbered(section)
        if phrase:
            yield pose("section-page", section.page, evidence, section=phrase, **common)
        if number:
            yield pose("title-of-number", section.title, evidence, number=number, **common)
        if number and number.startswith("section") and names.is_unique(section):
            title = quotable(section.title)
            yield pose("number-of-title", section.number, evidence, title=title, answer_format="String", **common)


def _only_heading(names: Names, page: int) -> Section | None:
    """The section that starts on a page if nothing else there looks like the start of one."""
    starts = names.sections_on(page)
    return starts[0] if len(starts) == 1 and not _strays_on(names, page) else None


def _is_on_top(names: Names, section: Section) -> bool:
    """Whether a heading that only its look tells is the first text of its page, and large."""
    lines = [p.lines[0] for p in names.paragraphs_on(section.page)]
    return section.level == 1 and section.box[1] < TOP and all(line.box[1] > section.box[1] for line in lines)


def _strays_on(names: Names, page: int) -> list:
    return [s for s in names.strays_on(page) if s.serious]


def _pages_with_headings(names: Names, inside: list[Section], segment) -> Iterator[Candidate]:
    common = {"seed": names.seed, "segment": segment}
    single = [s for page in sorted({s.page for s in inside}) if (s := _only_heading(names, page))]
    single = [s for s in single if names.is_sure(s) or (not s.listed and _is_on_top(names, s))]
    for section in single:
        kind = "section-title-on-page" if section.listed else "heading-on-page"
        yield pose(kind, section.title, [names.heading(section)], page=section.page, **common)
    for page in sorted({s.page for s in inside}):
        starts = names.sections_on(page)
        above = [s for s in _strays_on(names, page) if s.box[1] <= starts[0].box[1]]
        if len(starts) > 1 and not above and all(map(names.is_sure, starts)):
            evidence = [names.heading(s) for s in starts[:2]]
            yield pose("first-section-on-page", starts[0].title, evidence[:1], page=page, **common)
    for section, other in _spread_pairs(single, names.seed):
        kind = "titles-on-pages" if section.listed and other.listed else "headings-on-pages"
        evidence = [names.heading(section), names.heading(other)]
        slots = {"page": section.page, "other": other.page}
        yield pose(kind, [section.title, other.title], evidence, **slots, **common)


def _spread_pairs(sections: list, seed: str) -> Iterator[tuple]:
    """One partner for each, on a later page, chosen by chance: all pairs would be quadratic."""
    for k, item in enumerate(sections):
        later = [other for other in sections[k + 1 :] if other.page > item.page]
        if later:
            yield item, choose(later, seed, "pair", item.page, item.box)


def _pairs(names: Names, inside: list[Section], segment) -> Iterator[Candidate]:
    common = {"seed": names.seed, "segment": segment}
    for section, other in _spread_pairs([s for s in inside if names.phrase(s)], names.seed):
        evidence = [names.heading(section), names.heading(other)]
        slots = {"section": names.phrase(section), "other": names.phrase(other, like=section)}
        expression = f"{other.page} - {section.page}"
        distance = other.page - section.page
        yield pose("section-distance", distance, evidence, expression=expression, **slots, **common)
        if choose([True, False], names.seed, "swap", section.page, other.page):
            section, other, slots = other, section, {"section": slots["other"], "other": slots["section"]}
        yield pose("section-pages", [str(section.page), str(other.page)], evidence, **slots, **common)
    for section, other in _spread_pairs([s for s in inside if names.numbered(s)], names.seed):
        evidence = [names.heading(section), names.heading(other)]
        slots = {"number": names.numbered(section), "other": names.numbered(other)}
        yield pose("titles-of-numbers", [section.title, other.title], evidence, **slots, **common)


def _families(names: Names, inside: list[Section], segment) -> Iterator[Candidate]:
    common = {"seed": names.seed, "segment": segment}
    sections = names.structure.sections
    for section in inside:
        phrase = names.phrase(section)
        children = names.children(section)
        pages = {s.page for s in children}
        if phrase and len(children) > 1 and max(pages) <= segment[1] and _all_known(names, section, children):
            evidence = [names.heading(s) for s in (section, *children)]
            yield pose("count-subsections", len(children), evidence, section=phrase, **common)
            if len(pages) > 1 and len(children) <= MAX_LISTED:
                yield pose("subsection-titles", [s.title for s in children], evidence, section=phrase, **common)
        if section.parent < 0:
            continue
        parent = sections[section.parent]
        plain = names.phrase(section, nested=False)
        if (
            plain
            and names.is_sure(parent)
            and segment[0] <= parent.page < section.page
            and section.level == parent.level + 1
        ):
            evidence = [names.heading(parent), names.heading(section)]
            yield pose("parent-section", parent.title, evidence, section=plain, **common)


def _all_known(names: Names, section: Section, children: list[Section]) -> bool:
    """Children may be counted if they look alike, their numbers run on, and nothing else looks like one of them."""
    numbers = [s.number.split(".")[-1] for s in children]
    if any(numbers) and numbers != [
        str(k) for k in range(int(numbers[0] != "0"), len(numbers) + int(numbers[0] != "0"))
    ]:
        return False
    if any(s.level != section.level + 1 for s in children) or not all(map(names.is_sure, children)):
        return False
    smallest = min(s.style[1] for s in children)
    return not any(s.style[1] >= smallest for s in names.strays_between(section, section.last_page))


def _orders(names: Names, inside: list[Section], segment) -> Iterator[Candidate]:
    common = {"seed": names.seed, "segment": segment}
    named = [s for s in inside if names.phrase(s)]
    for k, section in enumerate(named):
        others = [s for s in named if s.page != section.page]
        if len({s.page for s in others}) < 2:
            continue
        other = choose(others, names.seed, "second", k, section.title)
        third = choose([s for s in others if s.page != other.page], names.seed, "third", k, section.title)
        trio = (section, other, third)
        kind = choose(["earliest-page", "latest-page"], names.seed, section.title, k)
        page = (min if kind == "earliest-page" else max)(s.page for s in trio)
        slots = dict(zip(("section", "other", "third"), (names.phrase(s, like=section) for s in trio)))
        yield pose(kind, page, [names.heading(s) for s in sorted(trio, key=lambda s: s.page)], **slots, **common)
    for siblings in _sibling_runs(names, inside):
        for left, right in pairwise(siblings):
            phrase = names.phrase(left)
            if phrase and left.page < right.page:
                yield pose("next-section", right.title, map(names.heading, (left, right)), section=phrase, **common)
        for k, left in enumerate(siblings[:-2]):
            right = choose(siblings[k + 2 : k + 7], names.seed, "between", left.title, left.page)
            between = siblings[k + 1 : siblings.index(right)]
            slots = {"section": names.phrase(left), "other": names.phrase(right, like=left)}
            if all(slots.values()):
                evidence = map(names.heading, (left, *between, right))
                yield pose("count-sections-between", len(between), evidence, **slots, **common)


def _sibling_runs(names: Names, inside: list[Section]) -> Iterator[list[Section]]:
    """Runs of sections of one parent and one level, between which nothing else looks like one of them."""
    groups = {}
    for section in inside:
        if names.is_sure(section):
            groups.setdefault((section.parent, section.level), []).append(section)
    for run in groups.values():
        while len(run) > 1:
            size = min(s.style[1] for s in run)
            end = next((k for k, (a, b) in enumerate(pairwise(run), 1) if not _adjacent(names, a, b, size)), len(run))
            yield run[:end]
            run = run[end:]


def _adjacent(names: Names, left: Section, right: Section, size: float) -> bool:
    if bool(left.number) != bool(right.number):
        return False
    strays = [s for s in names.strays_between(left, right.page) if s.style[1] >= size]
    if any((s.page, s.box[1]) < (right.page, right.box[1]) or s.box[3] == 1.0 for s in strays):
        return False
    tails = [s.number.split(".")[-1] for s in (left, right)]
    return not all(t.isdigit() for t in tails) or int(tails[1]) == int(tails[0]) + 1
