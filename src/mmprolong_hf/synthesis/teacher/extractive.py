"""A teacher without a model: it asks what a document's own structure and text can answer exactly."""

from collections.abc import Iterable
from itertools import chain

from ..elements import Line, Structure
from ..questions import Candidate
from ..segments import sample_segments
from .absences import ask_about_absences
from .captions import ask_about_captions
from .comparisons import ask_about_comparisons
from .extents import ask_about_extents
from .fulltext import FullText
from .gaps import ask_about_gaps, read_prose
from .mentions import ask_about_mentions
from .naming import Names
from .passages import ask_about_passages
from .sections import ask_about_sections
from .tables import ask_about_tables


def ask(
    structure: Structure, *, seed: str, kinds: Iterable[str] | None = None, lines: Iterable[tuple[Line, ...]] = ()
) -> list[Candidate]:
    """
    Every question that the extractive teacher can ask about a document, segment by segment.

    Names and words are checked in the whole document, evidence stays inside one segment.

    Args:
        structure (`Structure`): The document.
        seed (`str`): Chooses segments, partners and wordings.
        kinds (`Iterable[str]`, *optional*): Only these kinds of question; all if not given.
        lines (`Iterable[tuple[Line]]`, *optional*): Every printed line of each page; without them nothing is asked about
            text, because nothing can be known to stand there once.
    """
    text = FullText(tuple(lines))
    names, prose = Names(structure, seed), read_prose(structure, text, seed)
    found = {}
    for segment in sample_segments(structure.sections, structure.num_pages, seed=seed):
        for candidate in chain(
            ask_about_sections(names, segment),
            ask_about_extents(names, text, segment),
            ask_about_captions(names, segment),
            ask_about_tables(names, segment),
            ask_about_comparisons(names, segment),
            ask_about_gaps(prose, segment),
            ask_about_passages(names, prose, segment),
            ask_about_mentions(prose, segment),
            ask_about_absences(names, prose, segment),
        ):
            if kinds is None or candidate.question.template in kinds:
                found.setdefault(candidate.question.question, candidate)  # segments may overlap at the end
    return list(found.values())
