"""The columns of a published set: one row is one document with all its questions."""

from dataclasses import asdict, dataclass, field

from datasets import Features, Image, List, Value

TASKS = ("extract-single", "extract-multi", "reasoning", "ocr-full", "ocr-needle")
ANSWER_FORMATS = ("String", "Integer", "Float", "List")
EVIDENCE_SOURCES = ("Text", "Layout", "Figure", "Table")


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

    Raises:
        ValueError: for an unknown task, format or source, or when no evidence page is given.

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

    def __post_init__(self):
        for name, value, known in (
            ("task", (self.task,), TASKS),
            ("answer_format", (self.answer_format,), ANSWER_FORMATS),
            ("evidence_sources", self.evidence_sources, EVIDENCE_SOURCES),
        ):
            for v in value:
                if v not in known:
                    raise ValueError(f"{name} is {v!r}, expected one of {', '.join(known)}")
        if not self.evidence_pages or min(self.evidence_pages) < 1:
            raise ValueError(f"evidence_pages is {self.evidence_pages}, expected at least one page, counted from 1")

    def to_row(self) -> dict:
        """The struct that a row's `questions` list holds (tuples become lists)."""
        return {
            k: [list(x) if isinstance(x, tuple) else x for x in v] if isinstance(v, tuple) else v
            for k, v in asdict(self).items()
        }


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
}

# `default` config. page_sizes is (width, height) in pixels of each image, and is all that token planning needs:
# no image has to be opened to know how long a sample is. page_tokens is that count under Qwen2.5-VL's own limits.
DOCUMENT_FEATURES = Features(
    {
        "doc_id": Value("string"),  # sha256 of the PDF file
        "source": Value("string"),  # file name
        "title": Value("string"),
        "num_pages": Value("int32"),
        "dpi": Value("int32"),
        "engine": Value("string"),  # what rendered the pages, with its version
        "page_sizes": List(List(Value("int32"))),
        "page_tokens": List(Value("int32")),
        "images": List(Image()),
        "questions": List(QUESTION_FEATURES),
    }
)

# `questions` config: a row is a question, without images, for browsing and filtering.
FLAT_FEATURES = Features(
    {"doc_id": Value("string"), "source": Value("string"), "num_pages": Value("int32"), **QUESTION_FEATURES}
)
