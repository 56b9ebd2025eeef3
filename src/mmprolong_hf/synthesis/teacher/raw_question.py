"""One question as a teacher wrote it: its fields in one form, and whether it is of the task that was set."""

from dataclasses import dataclass

from ..questions import LIST_SEPARATOR
from ..schema import EVIDENCE_SOURCES
from .fields import ParseError, excerpt, read_answer, read_pages, read_text

MAX_QUOTES = 50  # of one question


@dataclass(frozen=True)
class Quote:
    """What a teacher says is printed on a page: 1-based page, one of `schema.EVIDENCE_SOURCES`, the words."""

    page: int
    source: str
    text: str


@dataclass(frozen=True)
class RawQuestion:
    """
    One question as a teacher wrote it: in form, but not yet compared with any page.

    Args:
        question (`str`): On one line.
        parts (`tuple[str]`): Of the answer: one, unless it is a List.
        answer_format (`str`): One of `schema.ANSWER_FORMATS`.
        quotes (`tuple[Quote]`): The evidence, at least one.
        anchor (`str`): The words of the question that name its place; empty if the teacher gave none.
        expression (`str`): Arithmetic whose value is the answer, or empty.
    """

    question: str
    parts: tuple[str, ...]
    answer_format: str
    quotes: tuple[Quote, ...]
    anchor: str = ""
    expression: str = ""

    @property
    def answer(self) -> str:
        """As it is trained."""
        return LIST_SEPARATOR.join(self.parts)

    @property
    def pages(self) -> tuple[int, ...]:
        """Pages of the evidence, sorted."""
        return tuple(sorted({quote.page for quote in self.quotes}))

    def to_record(self) -> dict:
        """The fields as a teacher is asked to write them; [`read_question`] reads them back."""
        return {
            "evidence": [{"page": q.page, "source": q.source, "quote": q.text} for q in self.quotes],
            "question": self.question,
            "anchor": self.anchor,
            "answer": self.answer,
            "answer_format": self.answer_format,
            "expression": self.expression,
        }


def read_question(record: object) -> RawQuestion:
    """
    One question from its fields. What a model writes in other words is understood: pages as "12", [12] or "12-13", a
    format as "int", an Integer as "1,250". An anchor or an expression may be missing.

    Args:
        record (`dict`): question, answer, answer_format, evidence (page, source, quote), anchor and expression.

    Raises:
        ParseError: not_an_object, no_question, no_answer, no_quote, no_evidence, wrong_type, too_long, bad_page,
            bad_source, bad_answer_format, not_a_number, not_a_list, separator_in_answer, control_tokens,
            unreadable_characters.

    Example:

    ```python
    >>> evidence = [{"page": "12-13", "source": "text", "quote": "from May to July"}]
    >>> fields = {"question": "Which two months does page 12 name?", "answer": ["May", "July"], "answer_format": "list"}
    >>> question = read_question(fields | {"evidence": evidence})
    >>> question.answer, question.parts, question.pages
    ('May; July', ('May', 'July'), (12, 13))

    ```
    """
    if not isinstance(record, dict):
        raise ParseError("not_an_object", f"found {excerpt(record)}, expected an object with the fields of a question")
    evidence = record.get("evidence")
    if not isinstance(evidence, list) or not evidence:
        raise ParseError("no_evidence", f"evidence is {excerpt(evidence)}, expected a list of quotes with their pages")
    quotes = tuple(quote for piece in evidence[: MAX_QUOTES + 1] for quote in _quotes(piece))
    if len(quotes) > MAX_QUOTES:
        raise ParseError("too_long", f"the evidence has more than {MAX_QUOTES} quotes, expected fewer")
    answer_format, parts = read_answer(record)
    return RawQuestion(
        question=read_text(record, "question", required=True),
        parts=parts,
        answer_format=answer_format,
        quotes=quotes,
        anchor=read_text(record, "anchor"),
        expression=read_text(record, "expression"),
    )


def check_task(question: RawQuestion, task: str, segment: tuple[int, int]) -> None:
    """
    Whether a question is of the task that was set, as far as that can be seen without the pages.

    Args:
        question (`RawQuestion`): As the teacher wrote it.
        task (`str`): extract-single, extract-multi or reasoning.
        segment (`tuple[int, int]`): First and last page that the teacher saw.

    Raises:
        ParseError: page_outside_segment, several_pages, one_page, no_expression.

    Example:

    ```python
    >>> question = RawQuestion("Which station does Table 4 name first?", ("North",), "String", (Quote(12, "Table", "North 1,250"),))
    >>> check_task(question, "extract-single", (8, 15))
    >>> check_task(question, "extract-multi", (8, 15))
    Traceback (most recent call last):
    ...
    mmprolong_hf.synthesis.teacher.fields.ParseError: one_page: all evidence is on page 12, expected two pages or more

    ```
    """
    first, last = segment
    pages = question.pages
    outside = [page for page in pages if not first <= page <= last]
    if outside:
        raise ParseError("page_outside_segment", f"evidence on page {outside[0]}, expected pages {first} to {last}")
    if task == "extract-single" and len(pages) > 1:
        raise ParseError("several_pages", f"evidence is on pages {', '.join(map(str, pages))}, expected one page")
    if task == "extract-multi" and len(pages) == 1:
        raise ParseError("one_page", f"all evidence is on page {pages[0]}, expected two pages or more")
    if task == "reasoning" and question.answer_format in ("Integer", "Float") and not question.expression:
        raise ParseError("no_expression", f"the answer {question.answer} has no expression, expected a calculation")


def _quotes(piece: object) -> list[Quote]:
    """A quote that names several pages has to be found on each of them."""
    if not isinstance(piece, dict):
        raise ParseError("no_evidence", f"found {excerpt(piece)}, expected an object with page, source and quote")
    source = read_text(piece, "source").capitalize()
    if source not in EVIDENCE_SOURCES:
        raise ParseError("bad_source", f"source is {excerpt(source)}, expected one of {', '.join(EVIDENCE_SOURCES)}")
    quote = read_text(piece, "quote", required=True)
    return [Quote(page, source, quote) for page in read_pages(piece.get("page"))]
