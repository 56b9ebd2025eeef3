"""One PDF to one row: pure functions of the file and the plan."""

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from ..lengths import QWEN2_5_VL_LIMITS, page_tokens
from .elements import Source, Structure
from .layout import find_elements
from .mixture import choose_questions
from .pages import read_pdf
from .plan import BuildPlan
from .questions import Candidate
from .rejected import RejectedDocument
from .structure import build_structure
from .teacher.extractive import ask
from .teacher.transcription import ask_to_transcribe, refused_pages
from .verification import DocumentText, Verdict, check, failed, read_second

OCR_TASKS = ("ocr-full", "ocr-needle")


@dataclass(frozen=True)
class Parsed:
    """
    One document as it was read.

    Args:
        doc_id (`str`): sha256 of the file.
        name (`str`): How the row names it.
        language (`str`): ISO 639-1.
        source (`Source`): Its pages; their images are empty where neither the row nor a model needs them.
        structure (`Structure`): Its sections, captions and tables.
        text (`DocumentText`): What two engines read.
        pdf (`bytes`): The file, for the compact form; else empty.
    """

    doc_id: str
    name: str
    language: str
    source: Source
    structure: Structure
    text: DocumentText
    pdf: bytes

    def seed(self, plan: BuildPlan) -> str:
        """Of everything that is chosen for this document."""
        return f"{plan.seed} {self.doc_id}"

    def is_scanned(self, min_characters: int) -> bool:
        """Whether its pages hold fewer characters of text than that in the mean."""
        return sum(len(line.text) for page in self.source.pages for line in page.lines) < min_characters * len(
            self.source.pages
        )


class Checked(NamedTuple):
    """A question and the verdicts on it."""

    candidate: Candidate
    verdicts: dict[str, Verdict]


class Written(NamedTuple):
    """
    What is kept of a document.

    Args:
        row (`dict`): Of `schema.DOCUMENT_FEATURES`, with all questions that the mixture may choose.
        rejected (`list[dict]`): Of `schema.REJECTED_FEATURES`.
        elements (`list[dict]`): Of `schema.ELEMENT_FEATURES`.
        dropped (`Counter`): Reason -> questions that are not in the row.
    """

    row: dict
    rejected: list[dict]
    elements: list[dict]
    dropped: Counter


def parse_document(path: str | Path, item: dict, plan: BuildPlan) -> Parsed:
    """
    Read one PDF.

    Args:
        path (`str` or `Path`): The file.
        item (`dict`): `source`, `doc_id` and `language`, as the pool's manifest has them.
        plan (`BuildPlan`): How.

    Raises:
        RejectedDocument: as `pages.read_pdf`, and changed.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise RejectedDocument("unreadable", f"the file cannot be read ({error.strerror})") from error
    if hashlib.sha256(data).hexdigest() != item["doc_id"]:
        raise RejectedDocument("changed", "it is not the file that was scanned; start with another work folder")
    pool, pages = plan.pool, plan.pages
    source = read_pdf(
        path,
        dpi=pages.dpi,
        min_pages=pool.min_pages,
        max_pages=pool.max_pages,
        max_pixels=pool.max_pixels,
        min_characters=0,  # the pool has decided that
        image_format=pages.image_format,
        images=pages.store == "images" or bool(plan.endpoints),
    )
    structure = build_structure(source)
    return Parsed(
        doc_id=item["doc_id"],
        name=item["source"],
        language=item["language"],
        source=source,
        structure=structure,
        text=DocumentText(source.pages, read_second(path), structure),
        pdf=data if pages.store == "pdf" else b"",
    )


def with_text(parsed: Parsed, source: Source) -> Parsed:
    """
    The document with the text that a model read on its scanned pages.

    Args:
        parsed (`Parsed`): The document.
        source (`Source`): Its pages with their text, as `scans.transcribe` returns them.
    """
    structure = build_structure(source)
    text = DocumentText(source.pages, parsed.text.second, structure)
    return replace(parsed, source=source, structure=structure, text=text)


def ask_rules(parsed: Parsed, plan: BuildPlan) -> list[Candidate]:
    """
    The questions that need no model: the extractive ones, unless a model is the teacher, and transcriptions.

    Args:
        parsed (`Parsed`): The document.
        plan (`BuildPlan`): Which are wanted.
    """
    wanted = plan.questions.per_task
    found = []
    if plan.teacher is None:
        lines = [page.lines for page in parsed.source.pages]
        found += ask(parsed.structure, seed=parsed.seed(plan), kinds=plan.questions.kinds, lines=lines)
    if _transcribes(plan):
        found += ask_to_transcribe(parsed.source, parsed.structure, parsed.text.second, seed=parsed.seed(plan))
    return [candidate for candidate in found if candidate.question.task in wanted]


def check_rules(parsed: Parsed, candidates: list[Candidate]) -> list[Checked]:
    """
    The verdicts that need no model.

    Args:
        parsed (`Parsed`): The document.
        candidates (`list[Candidate]`): Its questions.
    """
    return [Checked(candidate, check(candidate, parsed.text)) for candidate in candidates]


def write_document(parsed: Parsed, checked: list[Checked], plan: BuildPlan) -> Written:
    """
    Sort questions into those that may be published and those that may not, and make the document's row.

    Args:
        parsed (`Parsed`): The document.
        checked (`list[Checked]`): Its questions with all their verdicts.
        plan (`BuildPlan`): What is required, and how many are kept.

    Raises:
        RejectedDocument: no_questions.
    """
    pages, dropped, rejected, passed = parsed.source.pages, Counter(), [], []
    where = {"doc_id": parsed.doc_id, "source": parsed.name, "num_pages": len(pages)}
    for candidate, verdicts in checked:
        question = replace(candidate.question, verdicts={name: v.value for name, v in verdicts.items()})
        if name := failed(verdicts, plan.verify.require):
            dropped[verdicts[name].reason] += 1
            rejected.append({**where, **question.to_row(), "reason": f"{name}: {verdicts[name]}"})
        else:
            passed.append(replace(candidate, question=question))
    if _transcribes(plan):
        reasons = refused_pages(pages, parsed.text.second).values()
        dropped.update(f"pages_not_transcribed_{reason}" for reason in reasons)
    if not passed:
        raise RejectedDocument(
            "no_questions", f"of {len(checked)} possible questions none was certain; expected sections or captions"
        )
    kept = []
    for task, count in sorted(plan.questions.per_task.items()):
        of_task = [c for c in passed if c.question.task == task]
        kept += choose_questions(of_task, count, len(pages), seed=parsed.seed(plan), shares={task: 1.0})
        dropped["more_than_per_task"] += max(0, len(of_task) - count)
    kept.sort(key=lambda c: (c.question.evidence_pages, c.question.question))
    row = {
        **where,
        "title": parsed.source.title,
        **dict.fromkeys(("url", "license"), ""),  # publishing puts them in: a licence told later builds nothing anew
        "language": parsed.language,
        "dpi": plan.pages.dpi,
        "engine": parsed.source.engine,
        "image_format": plan.pages.image_format,
        "page_sizes": [[page.width, page.height] for page in pages],
        "page_tokens": [page_tokens(page.width, page.height, QWEN2_5_VL_LIMITS) for page in pages],
        "images": [{"bytes": page.image, "path": None} for page in pages] if plan.pages.store == "images" else [],
        "pdf": parsed.pdf or None,
        "questions": [candidate.question.to_row() for candidate in kept],
    }
    return Written(row, rejected, _elements(parsed) if plan.pages.elements else [], +dropped)


def build_document(path: str | Path, item: dict, plan: BuildPlan) -> Written:
    """
    Everything about one document that needs no model.

    Args:
        path (`str` or `Path`): The file.
        item (`dict`): As for [`parse_document`].
        plan (`BuildPlan`): Without a teacher and a judge.

    Raises:
        RejectedDocument: as [`parse_document`] and [`write_document`].
    """
    parsed = parse_document(path, item, plan)
    return write_document(parsed, check_rules(parsed, ask_rules(parsed, plan)), plan)


def _transcribes(plan: BuildPlan) -> bool:
    return any(task in plan.questions.per_task for task in OCR_TASKS)


def _elements(parsed: Parsed) -> list[dict]:
    return [
        {
            "doc_id": parsed.doc_id,
            "page": element.page,
            "index": index,
            "kind": element.kind,
            "text": element.text,
            "box": list(element.box),
            "level": element.level,
            "cells": [list(row) for row in element.cells],
        }
        for index, element in enumerate(find_elements(parsed.source, parsed.structure))
    ]
