"""Questions about a number in a sentence that stands only once in the document."""

import re
from collections import Counter
from collections.abc import Iterator

from ..elements import Box, Paragraph, union
from ..questions import Candidate, Evidence, pose
from ..text import fold, join_lines
from .naming import Names, quotable

GAP = "____"
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LENGTH = range(50, 220)
_NUMBER = re.compile(r"(?<=\s)\d+(?:[.,]\d+)*(?=\s|[,;.](?:\s|$)|%)")  # a word of its own
_SENTENCE = re.compile(r"(?<=[.!?]) +(?=[A-Z])")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|cf|vs|etc|Fig|Figs|Sec|Eq|No|al|pp|p|Dr|St|Ref)\.$")
# a number after one of these names a place, not a fact
_REFERENCE = re.compile(
    r"(?:sections?|chapters?|figures?|tables?|pages?|appendix|equations?|eq\.|step|part|version|listing|example|line|no\.)\s*\(?$",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"\b(?:is|are|was|were|has|have|had|can|could|may|must|should|will|would|contains?|uses?|takes?|needs?|gives?|holds?"
    r"|means?|requires?|allows?|returns?|shows?|became|began|made)\b"
)


def ask_about_sentences(names: Names, segment: tuple[int, int]) -> Iterator[Candidate]:
    """
    Questions whose evidence is one sentence inside one segment.

    Args:
        names (`Names`): The whole document.
        segment (`tuple[int, int]`): First and last page.
    """
    everywhere = Counter(fold(s) for p in names.structure.paragraphs for s in sentences(p))
    for paragraph in names.structure.paragraphs:
        if not segment[0] <= paragraph.page <= segment[1]:
            continue
        for sentence in sentences(paragraph):
            number = only_number(sentence)
            if number is None or everywhere[fold(sentence)] > 1:
                continue
            evidence = [Evidence(paragraph.page, _box(paragraph, sentence), sentence, "Text")]
            yield pose(
                "sentence-number",
                number,
                evidence,
                seed=names.seed,
                segment=segment,
                answer_format="Float" if "." in number else "Integer" if number.isdigit() else "String",
                page=paragraph.page,
                sentence=quotable(_NUMBER.sub(GAP, sentence)),
            )


def sentences(paragraph: Paragraph) -> list[str]:
    """
    The whole sentences of a paragraph that read as prose.

    Args:
        paragraph (`Paragraph`): Lines of one block.
    """
    pieces = _SENTENCE.split(join_lines([line.text for line in paragraph.lines]))
    found = []
    for before, piece in zip(["", *pieces], pieces):
        whole = piece[:1].isupper() and piece.endswith((".", "!", "?")) and not _ABBREVIATION.search(piece)
        letters = sum(c.isalpha() or c == " " for c in piece)
        if whole and not _ABBREVIATION.search(before) and len(piece) in LENGTH and letters >= 0.85 * len(piece):
            found.append(piece)
    return found


def only_number(sentence: str) -> str | None:
    """
    The number of a sentence that has exactly one, of two digits or more, which states something.

    Args:
        sentence (`str`): One sentence.

    Example:

    ```python
    >>> only_number("The oldest of the 127 stations was built by hand."), only_number("See Section 12 for details.")
    ('127', None)
    >>> only_number("For process 1230 it would contain the characters one, two, three, zero and a newline.") is None
    True

    ```
    """
    numbers = list(_NUMBER.finditer(sentence))
    if len(numbers) != 1 or sum(c.isdigit() for c in numbers[0].group()) < 2:
        return None
    if len(re.findall(r"\d+", sentence)) != len(re.findall(r"\d+", numbers[0].group())):
        return None
    if not _VERB.search(sentence):
        return None  # an address or a reference, which reads as no statement
    if re.search(r"[.:;]\s*$", sentence[: numbers[0].start()]):
        return None  # the number of the next item of a list
    spelled = " ".join(_DIGITS[int(c)] for c in numbers[0].group() if c.isdigit())
    if spelled in " ".join(re.findall(r"[a-z]+", sentence.lower())):
        return None  # "contains 1230 as one, two, three, zero": the rest gives it away
    return None if _REFERENCE.search(sentence[: numbers[0].start()]) else numbers[0].group()


def _box(paragraph: Paragraph, sentence: str) -> Box:
    """Around the lines that hold a part of the sentence."""
    start = fold(join_lines([line.text for line in paragraph.lines])).find(fold(sentence))
    end = start + len(fold(sentence))
    at, boxes = 0, []
    for line in paragraph.lines:
        length = len(fold(line.text))
        if at < end and at + length > start:
            boxes.append(line.box)
        at += length
    return union(boxes)
