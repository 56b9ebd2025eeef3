"""Which pages a judge is shown for each check of a question."""

from collections.abc import Collection, Iterable

from ..schema import NOT_ANSWERABLE, Question
from .checks import TRANSCRIPTIONS


def shown_pages(question: Question, num_pages: int) -> range:
    """
    The pages that a judge may be shown for a question: those of its segment.

    Args:
        question (`Question`): The question.
        num_pages (`int`): Of its document.

    Example:

    ```python
    >>> question = Question("Which?", "B", "reasoning", "String", (3,), ("Layout",), segment=(2, 9))
    >>> shown_pages(question, 30)
    range(2, 10)

    ```
    """
    first, last = question.segment or (1, num_pages)
    return range(first, min(last, num_pages) + 1)


def views(question: Question, pages: Collection[int], checks: Iterable[str]) -> list[tuple[str, tuple[int, ...]]]:
    """
    What the judge is shown: one request for each entry.

    Args:
        question (`Question`): The question.
        pages (`Collection[int]`): 1-based; those of its segment.
        checks (`Iterable[str]`): Some of `judge.CHECKS`.

    Returns:
        `list[tuple[str, tuple[int, ...]]]`: Check and pages; nothing for a transcription.

    Example:

    ```python
    >>> question = Question("Do pages 2 and 3 agree?", "Yes", "extract-multi", "String", (2, 3), ("Layout",))
    >>> views(question, range(1, 5), ("without_evidence", "closed_book", "single_page"))
    [('without_evidence', (1, 4)), ('closed_book', ()), ('single_page', (2,)), ('single_page', (3,))]

    ```
    """
    if question.task in TRANSCRIPTIONS:
        return []
    return [(name, shown) for name in checks for shown in _views(name, question, pages)]


def _views(name: str, question: Question, pages: Collection[int]) -> list[tuple[int, ...]]:
    answerable = question.answer != NOT_ANSWERABLE
    evidence = question.evidence_pages
    if name == "evidence_only":
        return [evidence]
    if name == "without_evidence":
        segment = range(question.segment[0], question.segment[-1] + 1) if question.segment else sorted(pages)
        rest = tuple(p for p in segment if p in pages and p not in evidence)
        return [rest] if rest else []
    if name == "closed_book":  # without a page nothing is answerable, so there is nothing to learn of such a question
        return [()] if answerable else []
    return [(p,) for p in evidence] if answerable and question.task == "extract-multi" and len(evidence) > 1 else []
