"""Questions with planted faults, and right ones in unusual forms, to measure what the checks find and what they wrongly find."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import islice, pairwise

from ..questions import Candidate, Evidence, choose
from ..schema import NOT_ANSWERABLE, Question
from ..text import fold
from .anchors import QUOTED
from .changes import CHANGES, changed_fields
from .document_text import DocumentText

TEACHER = "planted"  # not a teacher that copies its quotes: they are looked for with a model's liberties


@dataclass(frozen=True)
class Plant:
    """
    One question whose fault, or soundness, is known.

    Args:
        kind (`str`): What was planted.
        is_wrong (`bool`): Whether a check should fail.
        candidate (`Candidate`): The question.
        answer (`str`): What a reader would answer.
        sufficient (`tuple[tuple[int]]`): Sets of pages, each of which is enough to answer; the empty set if it can be guessed.
    """

    kind: str
    is_wrong: bool
    candidate: Candidate
    answer: str
    sufficient: tuple[tuple[int, ...], ...]


def plant(candidates: list[Candidate], text: DocumentText, *, seed: str, per_kind: int) -> list[Plant]:
    """
    Planted questions of every kind, made from right ones, and those as they are.

    Args:
        candidates (`list[Candidate]`): Right questions of one document.
        text (`DocumentText`): The document.
        seed (`str`): Of which questions are used, and how they are changed.
        per_kind (`int`): At most so many of each kind.
    """
    ours = [changed_fields(c, teacher=TEACHER) for c in candidates if c.question.answer != NOT_ANSWERABLE]
    plants = []
    for kind, (is_wrong, change) in CHANGES.items():
        order = sorted(ours, key=lambda c: choose(range(2**32), seed, kind, c.question.question))
        made = (_plant(kind, is_wrong, change, candidate, ours, text, seed) for candidate in order)
        plants += islice(filter(None, made), per_kind)
    for kind, make in _WHOLE_DOCUMENT.items():
        made = sorted(make(text), key=lambda p: choose(range(2**32), seed, kind, p.candidate.question.question))
        plants += made[:per_kind]
    return plants


def _plant(kind, is_wrong, change, candidate, others, text, seed) -> Plant | None:
    changed = change(candidate, others, text, seed)
    if changed is None:
        return None
    enough = candidate.question.evidence_pages
    return Plant(kind, is_wrong, changed, candidate.question.answer, (enough,))


def _twice_titled(text: DocumentText) -> list[Plant]:
    """Where does a section start whose title stands twice?"""
    same = defaultdict(list)
    for section in text.structure.sections:
        same[fold(section.title)].append(section)
    plants = []
    for sections in same.values():
        for s in sections if len({s.page for s in sections}) > 1 and not QUOTED.search(sections[0].title) else ():
            words = f'On which page does the section "{s.title}" start?'
            evidence = Evidence(s.page, s.box, s.title, "Layout")
            candidate = _posed(words, str(s.page), "Integer", evidence, text)
            plants.append(
                Plant("title that stands twice", True, candidate, str(s.page), tuple((o.page,) for o in sections))
            )
    return plants


def _guessable(text: DocumentText) -> list[Plant]:
    """How many letters has a word?"""
    plants = []
    for page in text.pages:
        for line in page.lines:
            word = next((w for w in line.text.split() if w.isascii() and w.isalpha() and len(w) > 7), None)
            if word:
                words = f'On page {page.number}, how many letters has the word "{word}"?'
                evidence = Evidence(page.number, line.box, line.text, "Text")
                candidate = _posed(words, str(len(word)), "Integer", evidence, text, task="reasoning")
                plants.append(Plant("guessable without the document", True, candidate, str(len(word)), ((),)))
                break
    return plants


def _twice_printed(text: DocumentText) -> list[Plant]:
    """The last word of a line that stands on two neighbouring pages."""
    plants = []
    for page, following in pairwise(text.pages):
        again = {line.text for line in following.lines}
        for line in page.lines:
            first, _, last = line.text.rpartition(" ")
            if (
                line.text in again
                and len(first) > 15
                and last.isalpha()
                and last.lower() not in first.lower()
                and '"' not in first
            ):
                pages = (page.number, following.number)
                words = f'On pages {pages[0]} to {pages[1]}, which word comes after "{first}"?'
                candidate = _posed(words, last, "String", Evidence(pages[0], line.box, line.text, "Text"), text)
                plants.append(Plant("answer on another page too", True, candidate, last, tuple((p,) for p in pages)))
                break
    return plants


def _posed(words, answer, answer_format, evidence, text, *, task="extract-single") -> Candidate:
    segment = (max(1, evidence.page - 4), min(text.num_pages, evidence.page + 5))
    question = Question(
        words, answer, task, answer_format, (evidence.page,), (evidence.source,), segment=segment, teacher=TEACHER
    )
    return Candidate(question, (evidence,), (answer,))


_WHOLE_DOCUMENT = {
    "title that stands twice": _twice_titled,
    "guessable without the document": _guessable,
    "answer on another page too": _twice_printed,
}
