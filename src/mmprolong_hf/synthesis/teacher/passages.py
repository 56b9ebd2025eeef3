"""Questions for which two places of the running text have to be read, or a sentence and the heading over it."""

import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby

from ..elements import Section
from ..questions import LIST_SEPARATOR, MAX_ANSWER, Candidate, choose, pose
from ..sections import WHOLE_PAGE
from .gaps import GAP, Gap, Prose
from .naming import Names, quotable
from .sentences import Sentence, is_statement
from .tables import YEAR

QUOTED_NAMES = 12  # of a segment
START_WORDS = 7
_PLAIN = re.compile(r"[1-9]\d*(?:\.\d+)?")
_UNIT = re.compile(r"%|\s[^\W\d_]+")
_BEFORE_YEAR = re.compile(
    r"\b(?:in|since|until|January|February|March|April|May|June|July|August|September|October|November|December),?\s$"
)


def ask_about_passages(names: Names, prose: Prose, segment: tuple[int, int]) -> Iterator[Candidate]:
    """
    Questions whose evidence is text on two pages of one segment.

    Args:
        names (`Names`): The sections of the whole document.
        prose (`Prose`): Its sentences.
        segment (`tuple[int, int]`): First and last page.
    """
    pages = range(segment[0], segment[1] + 1)
    gaps = [gap for page in pages for gap in prose.gaps.get(page, ())]
    yield from _two_gaps(prose, gaps, segment)
    yield from _two_numbers(prose, [gap for gap in gaps if _PLAIN.fullmatch(gap.answer)], segment)
    yield from _quoted(prose, pages, segment)
    yield from _headings_over(names, prose, pages, segment)


def _partners(gaps: list[Gap], seed: str) -> Iterator[tuple[Gap, Gap]]:
    """One partner on a later page for each, chosen by chance: all pairs would be quadratic."""
    for k, gap in enumerate(gaps):
        later = [other for other in gaps[k + 1 :] if other.sentence.page > gap.sentence.page]
        if later:
            yield gap, choose(later, seed, "partner", gap.wording)


def _slots(gap: Gap, other: Gap) -> dict:
    return {
        "page": gap.sentence.page,
        "sentence": gap.wording,
        "other": other.sentence.page,
        "other_sentence": other.wording,
    }


def _two_gaps(prose: Prose, gaps: list[Gap], segment) -> Iterator[Candidate]:
    for gap, other in _partners(gaps, prose.seed):
        evidence = [gap.sentence.evidence, other.sentence.evidence]
        if gap.answer not in other.wording and other.answer not in gap.wording:
            common = {"seed": prose.seed, "segment": segment}
            yield pose("sentence-gaps", [gap.answer, other.answer], evidence, **_slots(gap, other), **common)


def _two_numbers(prose: Prose, gaps: list[Gap], segment) -> Iterator[Candidate]:
    """Two plain numbers are compared only if both certainly count the same."""
    of_unit = groupby(sorted((gap for gap in gaps if unit(gap)), key=unit), key=unit)  # stable: still in reading order
    for gap, other in (pair for _, same in of_unit for pair in _partners(list(same), prose.seed)):
        first, second = Decimal(gap.answer), Decimal(other.answer)
        if first == second:
            continue
        evidence = [gap.sentence.evidence, other.sentence.evidence]
        common = {"seed": prose.seed, "segment": segment, **_slots(gap, other)}
        larger, smaller = (gap, other) if first > second else (other, gap)
        yield pose(
            "larger-number",
            larger.answer,
            evidence,
            answer_format=larger.answer_format,
            expression=f"max({gap.answer}, {other.answer})",
            **common,
        )
        answer = f"{abs(first - second):f}"
        yield pose(
            "number-difference",
            answer,
            evidence,
            answer_format="Float" if "." in answer else "Integer",
            expression=f"{larger.answer} - {smaller.answer}",
            **common,
        )


def unit(gap: Gap) -> str:
    """
    What the number of a gap counts: "year", "%" or the word after it; empty if that is not certain.

    Args:
        gap (`Gap`): For a number.

    Example:

    ```python
    >>> def gap(answer, wording):
    ...     return Gap(None, "sentence-number", answer, wording)
    >>> unit(gap("1987", "It was built in ____ by hand.")), unit(gap("24", "It has ____ rooms and a hall."))
    ('year', 'rooms')

    ```
    """
    before, after = gap.wording.split(GAP)
    if YEAR.fullmatch(gap.answer) and _BEFORE_YEAR.search(before):
        return "year"
    found = _UNIT.match(after)
    word = found.group().strip() if found else ""
    return word if word == "%" or (word.endswith("s") and len(word) > 3) else ""


def _quoted(prose: Prose, pages: range, segment) -> Iterator[Candidate]:
    """Names that stand once on each of two pages, both times in a sentence that can be quoted."""
    places: dict[str, list[Sentence]] = {}
    for page in pages:
        for sentence in prose.sentences.get(page, ()):
            for name in sentence.names if is_statement(sentence.text) else ():
                if prose.text.count(name, page) == 1 and not prose.text.is_common(name):
                    places.setdefault(name, []).append(sentence)
    wanted = sorted(name for name, found in places.items() if len(found) > 1)
    wanted.sort(key=lambda name: choose(range(2**32), prose.seed, "quoted", segment, name))
    for name in wanted[:QUOTED_NAMES]:
        first, *later = places[name]
        second = choose(later, prose.seed, "second", name)
        answers = [first.text, second.text]
        if len(LIST_SEPARATOR.join(answers)) <= MAX_ANSWER:
            slots = {"name": name, "page": first.page, "other": second.page}
            evidence = [first.evidence, second.evidence]
            yield pose("name-sentences", answers, evidence, seed=prose.seed, segment=segment, **slots)


def _headings_over(names: Names, prose: Prose, pages: range, segment) -> Iterator[Candidate]:
    """The section of a sentence whose heading is on an earlier page, where nothing between looks like a heading."""
    inside = [s for page in pages for s in names.sections_on(page)]
    for page in pages[1:]:
        above = [s for s in inside if s.page < page]
        if not above or not prose.sentences.get(page):
            continue
        section = max(above, key=lambda s: (s.page, s.box[1]))
        first = min((s.box[1] for s in names.sections_on(page)), default=1.0)
        over = [s for s in prose.sentences[page] if s.paragraph.lines[-1].box[3] <= first]
        if (
            not over
            or not names.is_sure(section)
            or not all(names.is_single_column(p) for p in range(section.page, page + 1))
        ):
            continue
        sentence = choose(over, prose.seed, "heading over", page)
        start = " ".join(sentence.text.split()[:START_WORDS])
        if not _strays_between(names, section, sentence) and prose.text.count(start, page) == 1:
            evidence = [names.heading(section), sentence.evidence]
            slots = {"page": page, "start": quotable(start)}
            yield pose("section-of-sentence", section.title, evidence, seed=prose.seed, segment=segment, **slots)


def _strays_between(names: Names, section: Section, sentence: Sentence) -> bool:
    """Whether anything between looks like a heading; a lost bookmark may stand anywhere on its page."""
    start, end = (section.page, section.box[1]), (sentence.page, sentence.paragraph.lines[-1].box[3])
    strays = [s for page in range(section.page, sentence.page + 1) for s in names.strays_on(page)]
    return any(start < (s.page, s.box[1]) < end or s.box == WHOLE_PAGE for s in strays)
