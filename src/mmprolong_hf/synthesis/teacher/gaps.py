"""Gaps that may be cut into sentences because one word alone fills them, and the questions about one such gap."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ..elements import Structure
from ..questions import Candidate, choose, pose
from ..text import fold
from .fulltext import FullText
from .naming import quotable
from .sentences import NUMBER, Sentence, find_names, is_statement, is_told, only_number, sentences

GAP = "____"
MIN_WORDS = 8  # of a sentence that lacks a name
NAMES_PER_PAGE = 3  # gaps for names on one page: more would crowd out the other questions


@dataclass(frozen=True)
class Gap:
    """A sentence without one of its words; `kind` is the kind of question that asks for the word."""

    sentence: Sentence
    kind: str
    answer: str
    wording: str

    @property
    def answer_format(self) -> str:
        """Of a number what it looks like."""
        if not self.answer.replace(".", "", 1).isdecimal():
            return "String"
        return "Float" if "." in self.answer else "Integer"


@dataclass(frozen=True)
class Prose:
    """
    The sentences of a document that stand in it once, and the gaps that have one filling, by page.

    Args:
        seed (`str`): Chooses which gaps are kept where a page has many.
        text (`FullText`): The whole document.
        sentences (`dict[int, list[Sentence]]`): Of each page.
        gaps (`dict[int, list[Gap]]`): Of each page.
    """

    seed: str
    text: FullText
    sentences: dict[int, list[Sentence]]
    gaps: dict[int, list[Gap]]


def read_prose(structure: Structure, text: FullText, seed: str) -> Prose:
    """
    Find the sentences of a document, once for all of its segments.

    Args:
        structure (`Structure`): The document.
        text (`FullText`): All its words.
        seed (`str`): Of the choice of gaps.
    """
    found = [(s, p) for p in structure.paragraphs for s in sentences(p)]
    everywhere = Counter(fold(s) for s, _ in found)
    by_page, gaps = {}, {}
    for sentence, paragraph in found:
        if everywhere[fold(sentence)] == 1 and text.count(sentence, paragraph.page) == 1:
            by_page.setdefault(paragraph.page, []).append(Sentence(sentence, paragraph, find_names(sentence)))
    for page, of_page in by_page.items():
        named = [gap for s in of_page if (gap := _name_gap(s, text))]
        named.sort(key=lambda gap: choose(range(2**32), seed, "gap", gap.wording))
        gaps[page] = [gap for s in of_page if (gap := _number_gap(s, text))] + named[:NAMES_PER_PAGE]
    return Prose(seed, text, by_page, gaps)


def ask_about_gaps(prose: Prose, segment: tuple[int, int]) -> Iterator[Candidate]:
    """
    Questions whose evidence is one sentence inside one segment.

    Args:
        prose (`Prose`): Of the whole document.
        segment (`tuple[int, int]`): First and last page.
    """
    for page in range(segment[0], segment[1] + 1):
        for gap in prose.gaps.get(page, ()):
            yield pose(
                gap.kind,
                gap.answer,
                [gap.sentence.evidence],
                seed=prose.seed,
                segment=segment,
                answer_format=gap.answer_format,
                page=page,
                sentence=gap.wording,
            )


def _number_gap(sentence: Sentence, text: FullText) -> Gap | None:
    number = only_number(sentence.text)
    return number and _gap(sentence, "sentence-number", number, *NUMBER.split(sentence.text), text)


def _name_gap(sentence: Sentence, text: FullText) -> Gap | None:
    """The name may stand on no page near; in doubt are hyphens at a line's end and capitals that only stress a word."""
    if len(sentence.text.split()) < MIN_WORDS or not is_statement(sentence.text):
        return None
    for name in sentence.names:
        near = sum(text.count(name, page) for page in (sentence.page - 1, sentence.page, sentence.page + 1))
        whole = any(name in line.text for line in sentence.paragraph.lines)
        if near == 1 and whole and not text.is_common(name) and not is_told(name, sentence.text):
            before, _, after = sentence.text.partition(name)
            return _gap(sentence, "sentence-name", name, before, after, text)
    return None


def _gap(sentence: Sentence, kind: str, answer: str, before: str, after: str, text: FullText) -> Gap | None:
    if "__" in sentence.text or text.count_gap(before, after, sentence.page) != 1:  # a form has gaps of its own
        return None
    return Gap(sentence, kind, answer, quotable(before + GAP + after))
