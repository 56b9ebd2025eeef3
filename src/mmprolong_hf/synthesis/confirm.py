"""A second look: what the first engine read must also be read, on the same page, by PDFium."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pypdfium2

from .questions import Candidate
from .rejected import RejectedDocument
from .text import fold


def confirm(path: str | Path, candidates: Iterable[Candidate]) -> tuple[list[Candidate], Counter]:
    """
    Keep the questions whose every piece of evidence is on its page for PDFium too.

    Letters and digits are compared, in order: the engines differ in spaces, hyphens and ligatures.

    Args:
        path (`str` or `Path`): The PDF.
        candidates (`Iterable[Candidate]`): Questions with their evidence.

    Returns:
        `tuple[list[Candidate], Counter]`: The confirmed ones, and how many were dropped by reason.

    Raises:
        RejectedDocument: unreadable, if PDFium cannot open the file.
    """
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        raise RejectedDocument(
            "unreadable", f"a second engine cannot open it ({error}); expected an intact PDF"
        ) from error
    pages = {}
    kept, dropped = [], Counter()
    with document:
        for candidate in candidates:
            for number in candidate.question.evidence_pages:
                if number not in pages:
                    pages[number] = _text(document, number)
            if all(fold(evidence.text) in pages[evidence.page] for evidence in candidate.evidence):
                kept.append(candidate)
            else:
                dropped["not_confirmed"] += 1
    return kept, dropped


def _text(document: pypdfium2.PdfDocument, number: int) -> str:
    try:
        return fold(document[number - 1].get_textpage().get_text_range())
    except pypdfium2.PdfiumError as error:
        raise RejectedDocument("unreadable", f"a second engine cannot read page {number} ({error})") from error
