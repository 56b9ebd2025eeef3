"""A teacher without a model: it asks what a document's own structure can answer exactly."""

from collections.abc import Iterable

from ..elements import Structure
from ..questions import Candidate
from ..segments import sample_segments
from .captions import ask_about_captions
from .naming import Names
from .sections import ask_about_sections
from .sentences import ask_about_sentences
from .tables import ask_about_tables


def ask(structure: Structure, *, seed: str, kinds: Iterable[str] | None = None) -> list[Candidate]:
    """
    Every question that the extractive teacher can ask about a document, segment by segment.

    Names are checked in the whole document, evidence stays inside one segment.

    Args:
        structure (`Structure`): The document.
        seed (`str`): Chooses segments, partners and wordings.
        kinds (`Iterable[str]`, *optional*): Only these kinds of question; all if not given.
    """
    names = Names(structure, seed)
    found = {}
    for segment in sample_segments(structure.sections, structure.num_pages, seed=seed):
        for source in (ask_about_sections, ask_about_captions, ask_about_tables, ask_about_sentences):
            for candidate in source(names, segment):
                if kinds is None or candidate.question.template in kinds:
                    found.setdefault(candidate.question.question, candidate)  # segments may overlap at the end
    return list(found.values())
