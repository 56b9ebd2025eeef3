"""Finds what a teacher quotes on its page, so that a question carries the place of its evidence."""

import re

from rapidfuzz import fuzz

from ..elements import Box, Line, Page, Source, Structure, union
from ..questions import Candidate, Evidence
from ..schema import Question
from ..text import fold
from .raw_question import Quote, RawQuestion

WHOLE_PAGE: Box = (0.0, 0.0, 1.0, 1.0)
MIN_INSIDE = 8  # letters and digits; a shorter quote must be whole words, else "12" would be found in "2012"
MIN_FUZZY = 20  # letters and digits; a shorter quote has to fit exactly
MIN_SIMILARITY = 90  # percent of them
_ELLIPSIS = re.compile(r"\[?(?:\.\.\.+|…)\]?")


def to_candidate(
    raw: RawQuestion,
    *,
    task: str,
    segment: tuple[int, int],
    source: Source,
    structure: Structure,
    teacher: str,
    template: str,
) -> Candidate:
    """
    A question of a model with its evidence on the pages.

    A quote that is not found keeps its words and gets the whole page as its box: whether it may stay is for the
    verification to say.

    Args:
        raw (`RawQuestion`): As the model wrote it, its pages inside the segment.
        task (`str`): One of `schema.TASKS`.
        segment (`tuple[int, int]`): First and last page that the model saw.
        source (`Source`): The document's pages.
        structure (`Structure`): Its figures: evidence in one has the box of the figure.
        teacher (`str`): Name of the model.
        template (`str`): Name of the prompt.
    """
    evidence = tuple(
        Evidence(q.page, _box(q, source.pages[q.page - 1], structure), q.text, q.source) for q in raw.quotes
    )
    question = Question(
        question=raw.question,
        answer=raw.answer,
        task=task,
        answer_format=raw.answer_format,
        evidence_pages=raw.pages,
        evidence_sources=tuple(sorted({e.source for e in evidence})),
        evidence_boxes=tuple((float(e.page), *e.box) for e in evidence),
        template=template,
        segment=segment,
        evidence_quotes=tuple(e.text for e in evidence),
        anchor=raw.anchor,
        expression=raw.expression,
        teacher=teacher,
    )
    return Candidate(question, evidence, raw.parts)


def locate(quote: str, page: Page) -> Box | None:
    """
    Box of the lines that print a quote, or None if the page does not print it.

    Letters and digits are compared, in order; a few may differ in a long quote, and "..." stands for words left out.

    Args:
        quote (`str`): As a model copied it.
        page (`Page`): Where it should be printed.

    Example:

    ```python
    >>> lines = [Line(t, (0.1, y, 0.9, y + 0.02), 10.0, False, "Serif", 0) for t, y in [("It rained in 2012, and", 0.1), ("in May.", 0.2)]]
    >>> page = Page(1, 100, 100, (50.0, 50.0), b"", tuple(lines))
    >>> locate("2012 and in May", page)
    (0.1, 0.1, 0.9, 0.22)
    >>> locate("in May", page), locate("12", page)
    ((0.1, 0.2, 0.9, 0.22), None)

    ```
    """
    pieces = [fold(piece) for piece in _ELLIPSIS.split(quote)]
    found = [_lines(piece, page) for piece in pieces if piece]
    if not found or not all(found):
        return None
    return union([line.box for lines in found for line in lines])


def _box(quote: Quote, page: Page, structure: Structure) -> Box:
    box = locate(quote.text, page)
    if box is None:
        return WHOLE_PAGE
    if quote.source != "Figure":
        return box
    figures = [
        union([f.box, f.caption.box])
        for f in structure.figures
        if f.page == quote.page and (_overlap(box, f.box) or _overlap(box, f.caption.box))
    ]
    return union([box, *figures])


def _overlap(a: Box, b: Box) -> bool:
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])


def _lines(piece: str, page: Page) -> list[Line]:
    """The lines on which the letters and digits of a piece stand."""
    text, words, spans = "", {0}, []
    for line in page.lines:
        start = len(text)
        for word in line.text.split():
            text += fold(word)
            words.add(len(text))
        spans.append((start, len(text), line))
    found = _find(piece, text, words)
    return [] if found is None else [line for start, end, line in spans if start < found[1] and end > found[0]]


def _find(piece: str, text: str, words: set[int]) -> tuple[int, int] | None:
    """First and last position of a piece: best as whole words, else anywhere if it is long enough, else nearly."""
    start = first = text.find(piece)
    while start >= 0:
        if _is_border(start, text, words) and _is_border(start + len(piece), text, words):
            return start, start + len(piece)
        start = text.find(piece, start + 1)
    if first >= 0 and len(piece) >= MIN_INSIDE:
        return first, first + len(piece)
    if not MIN_FUZZY <= len(piece) <= len(text):
        return None
    near = fuzz.partial_ratio_alignment(piece, text, score_cutoff=MIN_SIMILARITY)
    return None if near is None else (near.dest_start, near.dest_end)


def _is_border(position: int, text: str, words: set[int]) -> bool:
    """Chinese has no spaces between words: there any position is one."""
    return position in words or not (text[position - 1].isascii() and text[position].isascii())
