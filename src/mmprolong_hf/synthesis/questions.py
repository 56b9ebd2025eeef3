"""Turns a fact with its evidence into a worded question, and throws out what nobody should be asked."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from .. import __version__
from .elements import Box
from .schema import Question

MAX_ANSWER = 400
LIST_SEPARATOR = "; "
TEMPLATES = Path(__file__).parent / "templates" / "extractive.yaml"
TEACHER = f"extractive@{__version__}"
ABSENT = "-absent"  # how the name of every kind ends whose answer is schema.NOT_ANSWERABLE


@dataclass(frozen=True)
class Evidence:
    """
    One place that has to be read to answer.

    Args:
        page (`int`): 1-based.
        box (`Box`): Where on the page.
        text (`str`): What is printed there; a second engine must see it too.
        source (`str`): One of `schema.EVIDENCE_SOURCES`.
    """

    page: int
    box: Box
    text: str
    source: str


@dataclass(frozen=True)
class Absence:
    """
    Words that must stand on none of some pages, else the answer is wrong; `teacher.fulltext.stands_in` compares them.

    Args:
        words (`str`): Whole words, in any case and however their lines are broken.
        pages (`tuple[int]`, *optional*): 1-based; the whole document if none is named.
    """

    words: str
    pages: tuple[int, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """A question, its evidence, the parts of its answer and what must be absent, before it is confirmed."""

    question: Question
    evidence: tuple[Evidence, ...]
    parts: tuple[str, ...]
    absent: tuple[Absence, ...] = ()


@cache
def load_templates() -> dict:
    """The file of wordings: `phrases` (name -> wordings) and `kinds` (kind -> task and wordings)."""
    return yaml.safe_load(TEMPLATES.read_text(encoding="utf-8"))


def known_kinds() -> tuple[str, ...]:
    """
    Every kind of question that the extractive teacher can ask.

    Example:

    ```python
    >>> "section-title-on-page" in known_kinds()
    True

    ```
    """
    return tuple(load_templates()["kinds"])


def choose(options: list, *key) -> object:
    """
    One of several options, always the same for the same key (Python's own hash differs from run to run).

    Args:
        options (`list`): At least one.
        *key: Anything whose text tells cases apart.

    Example:

    ```python
    >>> choose(["a", "b", "c"], 0, "document", "fact") == choose(["a", "b", "c"], 0, "document", "fact")
    True

    ```
    """
    digest = hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()
    return options[int.from_bytes(digest[:8], "big") % len(options)]


def pose(
    kind: str,
    answer: str | int | Iterable[str],
    evidence: Iterable[Evidence],
    /,
    *,
    seed: str,
    segment: tuple[int, int],
    answer_format: str | None = None,
    expression: str = "",
    absent: Iterable[Absence] = (),
    **slots,
) -> Candidate:
    """
    Word a fact as a question.

    Args:
        kind (`str`): A key of the template file.
        answer (`str`, `int` or `Iterable[str]`): The exact answer; several strings become a list.
        evidence (`Iterable[Evidence]`): What has to be read.
        seed (`str`): Chooses among the wordings, together with the fact.
        segment (`tuple[int, int]`): First and last page that the teacher saw.
        answer_format (`str`, *optional*): Found from the type of the answer if not given.
        expression (`str`, *optional*): Arithmetic whose exact value is the answer.
        absent (`Iterable[Absence]`, *optional*): What must not be found for the answer to be right.
        **slots: What the wordings leave open.

    Example:

    ```python
    >>> heading = Evidence(3, (0.1, 0.1, 0.4, 0.2), "2 Results", "Layout")
    >>> question = pose("title-of-number", "Results", [heading], seed="0", segment=(1, 8), number="section 2").question
    >>> question.evidence_pages, question.evidence_quotes, question.anchor
    ((3,), ('2 Results',), 'section 2')

    ```
    """
    evidence = tuple(evidence)
    parts, found_format = _parts(answer)
    text = LIST_SEPARATOR.join(parts)
    template = load_templates()["kinds"][kind]
    wording = choose(template["wordings"], seed, kind, text, *slots.values())
    question = Question(
        question=_capitalise(wording.format(**slots)),
        answer=text,
        task=template["task"],
        answer_format=answer_format or found_format,
        evidence_pages=tuple(sorted({e.page for e in evidence})),
        evidence_sources=tuple(sorted({e.source for e in evidence})),
        evidence_boxes=tuple((float(e.page), *e.box) for e in evidence),
        template=kind,
        segment=segment,
        evidence_quotes=tuple(e.text for e in evidence),
        anchor=template.get("anchor", "").format(**slots),
        expression=expression,
        teacher=TEACHER,
    )
    return Candidate(question, evidence, parts, tuple(absent))


def _parts(answer: str | int | Iterable[str]) -> tuple[tuple[str, ...], str]:
    """The parts of an answer, and the format that its type stands for."""
    if isinstance(answer, int):
        return (str(answer),), "Integer"
    if isinstance(answer, str):
        return (answer,), "String"
    return tuple(answer), "List"


def _capitalise(text: str) -> str:
    return text[:1].upper() + text[1:]
