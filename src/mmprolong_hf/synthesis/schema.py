"""The columns of a published set: one row is one document with all its questions."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from datasets import Features, Image, List, Value

TASKS = ("extract-single", "extract-multi", "reasoning", "ocr-full", "ocr-needle")
ANSWER_FORMATS = ("String", "Integer", "Float", "List")
NOT_ANSWERABLE = "Not answerable"  # the answer where the document does not tell, as in MMLongBench-Doc
EVIDENCE_SOURCES = ("Text", "Layout", "Figure", "Table")
# What is checked of a question: the first six without a model, the others by a second model that sees only some pages.
VERDICTS = (
    "evidence_inside",  # evidence pages are pages of the document and of the segment
    "quotes_found",  # both PDF engines read each quoted evidence on its page
    "anchor_unique",  # the place that the question names is one place in the whole document
    "wording",  # no vague reference, no unreadable characters, an answer of usable length
    "answer_hidden",  # the question does not tell the answer
    "expression",  # a reasoning's arithmetic evaluates exactly to the answer
    "evidence_only",  # from the evidence pages alone comes the same answer
    "without_evidence",  # the segment without them does not answer
    "closed_book",  # no page at all does not answer
    "single_page",  # for extract-multi: no single page answers
)
VERDICT_VALUES = ("pass", "fail", "unchecked")


@dataclass(frozen=True)
class Question:
    """
    One question about one document, as MMLongBench-Doc names its parts.

    Args:
        question (`str`): The text as the model sees it; it names its own scope, so it has one answer in the whole document.
        answer (`str`): The answer as it is trained; a list is written with "; " between its parts.
        task (`str`): One of `TASKS`.
        answer_format (`str`): One of `ANSWER_FORMATS`.
        evidence_pages (`tuple[int]`): Pages that are needed to answer, 1-based as a reader counts the page images.
        evidence_sources (`tuple[str]`): Which of `EVIDENCE_SOURCES` carry the evidence.
        evidence_boxes (`tuple[tuple[float]]`): One (page, x0, y0, x1, y1) for each piece of evidence; the corners are fractions of
            the rendered page, origin at its top left.
        template (`str`): Which rule (or prompt) asked it, e.g. `"table-cell"`.
        segment (`tuple[int]`): First and last page that the teacher saw, 1-based.
        evidence_quotes (`tuple[str]`): What is printed at each of `evidence_boxes`, in the same order.
        anchor (`str`): The words of the question that name its place, e.g. `"page 12"`; empty where a rule made it unique.
        expression (`str`): Arithmetic whose exact value is the answer, e.g. `"12.5 - 7"`; empty where there is none.
        teacher (`str`): Who asked: `"extractive@VERSION"` or a model's name.
        verdicts (`Mapping[str, str]`): Of `VERDICTS` to one of `VERDICT_VALUES`; what is not named is `"unchecked"`.

    Raises:
        ValueError: for an unknown task, format, source or verdict, or when no evidence page is given.

    Example:

    ```python
    >>> q = Question("On page 3, what is the caption of Figure 2?", "Rain by month", "extract-single", "String", (3,), ("Layout",))
    >>> q.evidence_pages
    (3,)
    >>> Question("?", "a", "extract-single", "Text", (3,), ("Layout",))
    Traceback (most recent call last):
    ...
    ValueError: answer_format is 'Text', expected one of String, Integer, Float, List

    ```
    """

    question: str
    answer: str
    task: str
    answer_format: str
    evidence_pages: tuple[int, ...]
    evidence_sources: tuple[str, ...]
    evidence_boxes: tuple[tuple[float, float, float, float, float], ...] = ()
    template: str = ""
    segment: tuple[int, ...] = field(default=())
    evidence_quotes: tuple[str, ...] = ()
    anchor: str = ""
    expression: str = ""
    teacher: str = ""
    verdicts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self):
        for name, value, known in (
            ("task", (self.task,), TASKS),
            ("answer_format", (self.answer_format,), ANSWER_FORMATS),
            ("evidence_sources", self.evidence_sources, EVIDENCE_SOURCES),
            ("verdict", self.verdicts, VERDICTS),
            ("value of a verdict", self.verdicts.values(), VERDICT_VALUES),
        ):
            for v in value:
                if v not in known:
                    raise ValueError(f"{name} is {v!r}, expected one of {', '.join(known)}")
        if not self.evidence_pages or min(self.evidence_pages) < 1:
            raise ValueError(f"evidence_pages is {self.evidence_pages}, expected at least one page, counted from 1")

    def to_row(self) -> dict:
        """The struct that a row's `questions` list holds (tuples become lists)."""
        row = {
            k: [list(x) if isinstance(x, tuple) else x for x in v] if isinstance(v, tuple) else v
            for k, v in vars(self).items()
        }
        return row | {"verdicts": {name: self.verdicts.get(name, "unchecked") for name in VERDICTS}}


QUESTION_FEATURES = {
    "question": Value("string"),
    "answer": Value("string"),
    "task": Value("string"),
    "answer_format": Value("string"),
    "evidence_pages": List(Value("int32")),
    "evidence_sources": List(Value("string")),
    "evidence_boxes": List(List(Value("float32"))),
    "template": Value("string"),
    "segment": List(Value("int32")),
    "evidence_quotes": List(Value("string")),
    "anchor": Value("string"),
    "expression": Value("string"),
    "teacher": Value("string"),
    "verdicts": {name: Value("string") for name in VERDICTS},
}

# `default` config. A row holds its pages either as `images` or, in the compact form, as the `pdf` they are rendered from at
# load time (synthesis.render gives the same bytes). page_sizes is (width, height) in pixels of each image, and is all that token planning needs:
# no image has to be opened to know how long a sample is. page_tokens is that count under Qwen2.5-VL's own limits.
DOCUMENT_FEATURES = Features(
    {
        "doc_id": Value("string"),  # sha256 of the PDF file
        "source": Value("string"),  # file name
        "title": Value("string"),
        "url": Value("string"),  # where the file is from, as the list of PDFs tells it; "" where it does not
        "license": Value("string"),  # of the file, likewise
        "language": Value("string"),  # ISO 639-1
        "num_pages": Value("int32"),
        "dpi": Value("int32"),
        "engine": Value("string"),  # what rendered the pages, with its version
        "image_format": Value("string"),  # of the pages: one of images.IMAGE_FORMATS
        "page_sizes": List(List(Value("int32"))),
        "page_tokens": List(Value("int32")),
        "images": List(Image()),
        "pdf": Value("binary"),
        "questions": List(QUESTION_FEATURES),
    }
)

# `questions` config: a row is a question, without images, for browsing and filtering.
FLAT_FEATURES = Features(
    {"doc_id": Value("string"), "source": Value("string"), "num_pages": Value("int32"), **QUESTION_FEATURES}
)

# `rejected` config: the questions that a verdict or the mixture left out, and why.
REJECTED_FEATURES = Features({**FLAT_FEATURES, "reason": Value("string")})

# `elements` config: a row is a piece of a page, in reading order.
ELEMENT_FEATURES = Features(
    {
        "doc_id": Value("string"),
        "page": Value("int32"),  # 1-based
        "index": Value("int32"),  # in the document, from 0
        "kind": Value("string"),  # one of elements.ELEMENT_KINDS
        "text": Value("string"),
        "box": List(Value("float32")),
        "level": Value("int32"),  # of a section, from 1; 0 for everything else
        "cells": List(List(Value("string"))),  # of a table
    }
)
