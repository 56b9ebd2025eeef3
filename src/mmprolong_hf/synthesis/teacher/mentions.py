"""Questions about where a name is mentioned: names that the document uses on a few pages only."""

import re
from collections.abc import Iterator
from itertools import pairwise

from ..questions import Absence, Candidate, Evidence, choose, pose
from .gaps import Prose

NAMES = 8  # of a segment that stand on one page, and as many that stand on several
FEW = range(2, 6)  # pages


def ask_about_mentions(prose: Prose, segment: tuple[int, int]) -> Iterator[Candidate]:
    """
    Questions whose evidence are all places in the document where a name stands, if they lie inside one segment.

    Args:
        prose (`Prose`): Of the whole document.
        segment (`tuple[int, int]`): First and last page.
    """
    within = range(segment[0], segment[1] + 1)
    found = {name for page in within for s in prose.sentences.get(page, ()) for name in s.names}
    found = sorted(name for name in found if not prose.text.is_common(name))
    found.sort(key=lambda name: choose(range(2**32), prose.seed, "mention", segment, name))
    pages = {name: prose.text.pages_of(name) for name in found}
    once = [name for name in found if len(pages[name]) == 1][:NAMES]
    few = [n for n in found if len(set(pages[n])) in FEW and all(p in within for p in pages[n])][:NAMES]
    common = {"seed": prose.seed, "segment": segment}
    for name in once:
        if evidence := _evidence(prose, name, pages[name]):
            yield pose(
                "name-page", pages[name][0], evidence, name=name, absent=_elsewhere(prose, name, pages), **common
            )
    for name, other in pairwise(sorted(once, key=lambda name: pages[name])):
        distance = pages[other][0] - pages[name][0]
        evidence = _evidence(prose, name, pages[name]) + _evidence(prose, other, pages[other])
        if distance and len(evidence) == 2:
            expression = f"{pages[other][0]} - {pages[name][0]}"
            absent = _elsewhere(prose, name, pages) + _elsewhere(prose, other, pages)
            slots = {"name": name, "other": other, "expression": expression, "absent": absent}
            yield pose("name-distance", distance, evidence, **slots, **common)
    for name in few:
        numbers = sorted(set(pages[name]))
        evidence = _evidence(prose, name, numbers)
        if len(evidence) == len(numbers):
            absent = _elsewhere(prose, name, pages)
            kind = choose(["name-pages", "name-pages", "count-name-pages"], prose.seed, "few", name)
            answer = len(numbers) if kind == "count-name-pages" else map(str, numbers)
            yield pose(kind, answer, evidence, name=name, absent=absent, **common)


def _evidence(prose: Prose, name: str, pages) -> list[Evidence]:
    """The first line of each page that holds the name whole."""
    word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)
    lines = [(page, next((x for x in prose.text.lines[page - 1] if word.search(x.text)), None)) for page in pages]
    return [Evidence(page, line.box, name, "Text") for page, line in lines if line]


def _elsewhere(prose: Prose, name: str, pages: dict) -> tuple[Absence, ...]:
    """The name must stand on no other page."""
    others = tuple(p for p in range(1, len(prose.text.lines) + 1) if p not in pages[name])
    return (Absence(name, others),) if others else ()
