"""Near misses: good questions of which exactly one thing was changed, so that the document does not answer them."""

import re
from collections.abc import Iterator

from ..questions import ABSENT, Absence, Candidate, Evidence, choose, pose
from ..schema import NOT_ANSWERABLE
from ..text import fold
from .captions import caption_evidence
from .gaps import Prose
from .naming import Names, quotable
from .tables import tables_in


def ask_about_absences(names: Names, prose: Prose, segment: tuple[int, int]) -> Iterator[Candidate]:
    """
    Questions that are not answerable; evidence is where a reader would look. At most a few for each segment.

    Args:
        names (`Names`): The whole document.
        prose (`Prose`): Its sentences.
        segment (`tuple[int, int]`): First and last page.
    """
    for near_miss in (_sections, _captions, _cells):
        yield from near_miss(names, prose, segment)


def _pose(names: Names, kind: str, evidence: list[Evidence], segment, absent: list[Absence], **slots) -> Candidate:
    return pose(kind + ABSENT, NOT_ANSWERABLE, evidence, seed=names.seed, segment=segment, absent=absent, **slots)


def _sections(names: Names, prose: Prose, segment) -> Iterator[Candidate]:
    """The number after the last of some siblings, where it stands nowhere in the document."""
    inside = [s for page in range(segment[0], segment[1] + 1) for s in names.sections_on(page)]
    last = {s.parent: s for s in inside if re.fullmatch(r"\d+(?:\.\d+)+", s.number)}
    wanted = sorted(last.values(), key=lambda s: choose(range(2**32), names.seed, "absent section", s.number))
    for section in wanted[:1]:
        number = _successor(section.number)
        if not prose.text.holds(number):
            evidence = [names.heading(section)]
            yield _pose(names, "title-of-number", evidence, segment, [Absence(number)], number=f"section {number}")


def _captions(names: Names, prose: Prose, segment) -> Iterator[Candidate]:
    """The label after the last one of a kind (or of a chapter), if no other was missed."""
    inside = [c for page in range(segment[0], segment[1] + 1) for c in names.captions_on(page)]
    for last in inside:
        following = _successor(last.number)
        if last.kind not in names.structure.countable or names.is_label(last.kind, following):
            continue
        label = _successor(last.label)
        absent = [Absence(label), Absence(f"{last.kind} {following}")]
        if not any(prose.text.holds(a.words) for a in absent):
            yield _pose(names, "caption-of-label", [caption_evidence(last)], segment, absent, label=label)


def _successor(number: str) -> str:
    return re.sub(r"\d+$", lambda digits: str(int(digits[0]) + 1), number)


def _cells(names: Names, prose: Prose, segment) -> Iterator[Candidate]:
    """The row of another table, where this one's page does not name it."""
    for table in tables_in(names, segment):
        own = {fold(row[0]) for row in table.rows}
        other = choose(names.structure.tables, names.seed, "absent table", table.page, table.box)
        keys = [row[0] for row in other.rows if fold(row[0]) not in own and any(map(str.isalpha, row[0]))]
        row = choose(keys or [None], names.seed, "absent row", table.page, table.box)
        column = choose(range(1, len(table.header)), names.seed, "absent column", table.page, table.box)
        if row and not prose.text.holds(row, (table.page,)):
            evidence = [Evidence(table.page, table.header_boxes[column], table.header[column], "Table")]
            slots = {
                "table": table.caption.label,
                "row": quotable(row),
                "column": quotable(table.header[column]),
            }
            yield _pose(names, "table-cell", evidence, segment, [Absence(row, (table.page,))], **slots)
