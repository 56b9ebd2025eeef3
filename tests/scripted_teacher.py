"""
A teacher and a judge that know their documents by heart, for `scripted_server.ScriptedServer`.

They stand where a real model would: they get the requests that it would get, over HTTP, tell pages by their images, and write what
it should write. The questions are those of the extractive teacher, so any PDF will do. What they show is that the way from a
request to a published question is right, not how well a model asks.
"""

import json
import re
from dataclasses import dataclass

from scripted_server import images, texts

from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.questions import ABSENT, Candidate
from mmprolong_hf.synthesis.schema import NOT_ANSWERABLE
from mmprolong_hf.synthesis.structure import build_structure
from mmprolong_hf.synthesis.teacher.calls import ASKED_TASKS
from mmprolong_hf.synthesis.teacher.extractive import ask
from mmprolong_hf.synthesis.teacher.prompting import load_prompt


@dataclass
class Known:
    """One document: which of its pages has which image, and what may be asked about it."""

    number_of: dict[bytes, int]
    candidates: list[Candidate]


def learn(paths, *, dpi: int) -> list[Known]:
    """What a teacher has to know of some PDFs."""
    known = []
    for path in paths:
        source = read_pdf(path, dpi=dpi, min_characters=0)
        lines = [page.lines for page in source.pages]
        candidates = ask(build_structure(source), seed="teacher", lines=lines)
        known.append(
            Known(
                {page.image: page.number for page in source.pages},
                [c for c in candidates if not c.question.template.endswith(ABSENT)],
            )
        )
    return known


class Teacher:
    """Writes the questions that it is asked for, about the pages that it is shown."""

    def __init__(self, known: list[Known]):
        self.known = known

    def __call__(self, body: dict) -> str:
        words, shown = texts(body), images(body)
        (task,) = (task for task in ASKED_TASKS if load_prompt(task).strip() in words)
        count = int(re.search(r"Number of questions: (\d+)\.", words)[1])
        document = next(d for d in self.known if all(image in d.number_of for image in shown))
        pages = {document.number_of[image] for image in shown}
        fit = [c for c in document.candidates if c.question.task == task and set(c.question.evidence_pages) <= pages]
        step = max(1, len(fit) // count)
        return json.dumps({"questions": [_reply(c) for c in fit[::step][:count]]})


class Judge:
    """Answers a question if it is shown all pages that it needs, and says so if it is not."""

    def __init__(self, known: list[Known]):
        self.known = known
        self.candidates = {c.question.question: c for document in known for c in document.candidates}

    def __call__(self, body: dict) -> str:
        words, shown = texts(body), images(body)
        asked = max((q for q in self.candidates if q in words), key=len, default=None)
        if asked is None or not shown:
            return json.dumps({"answer": NOT_ANSWERABLE})
        question = self.candidates[asked].question
        document = next(d for d in self.known if all(image in d.number_of for image in shown))
        pages = {document.number_of[image] for image in shown}
        return json.dumps({"answer": question.answer if set(question.evidence_pages) <= pages else NOT_ANSWERABLE})


def _reply(candidate: Candidate) -> dict:
    question = candidate.question
    return {
        "evidence": [{"page": e.page, "source": e.source, "quote": e.text[:200]} for e in candidate.evidence],
        "question": question.question,
        "anchor": question.anchor,
        "answer": question.answer,
        "answer_format": question.answer_format,
        "expression": question.expression,
    }
