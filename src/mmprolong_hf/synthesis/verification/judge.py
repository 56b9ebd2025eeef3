"""The checks by a second model, the judge: it sees only some pages, and its answer says what they hold."""

import asyncio
import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..endpoint import BatchExport, Endpoint, EndpointOptions, Request, RequestFailed
from ..questions import Candidate
from ..schema import Question
from ..teacher.fields import ParseError
from ..teacher.parsing import read_json
from .agreement import agree, says_not_answerable
from .checks import TRANSCRIPTIONS
from .verdict import PASS, Verdict
from .views import views

CHECKS = ("evidence_only", "without_evidence", "closed_book", "single_page")
PROMPTS = Path(__file__).parent / "prompts"
ANSWER = {"name": "answer", "meaning": 'the answer, or "Not answerable"'}
SAME = {"name": "same", "meaning": '"yes" if the answers say the same, else "no"'}


@dataclass(frozen=True)
class JudgeOptions:
    """
    Who checks the answers, and how.

    Args:
        endpoint (`EndpointOptions`): The judge. Another family than the teacher's makes other mistakes; a temperature of 0 is
            advised.
        checks (`tuple[str]`, *optional*): Some of `CHECKS`; all if not given. "without_evidence" is sent a whole segment and
            costs most.
        tolerance (`float`, *optional*, defaults to `0.0`): Relative difference up to which two numbers are the same answer.

    Raises:
        ValueError: for an unknown check or a tolerance below 0.

    Example:

    ```python
    >>> JudgeOptions(EndpointOptions("qwen"), checks=("closed_book",)).tolerance
    0.0
    >>> JudgeOptions(EndpointOptions("qwen"), checks=("open_book",))
    Traceback (most recent call last):
    ...
    ValueError: checks has 'open_book', expected some of evidence_only, without_evidence, closed_book, single_page

    ```
    """

    endpoint: EndpointOptions
    checks: tuple[str, ...] = CHECKS
    tolerance: float = 0.0

    def __post_init__(self):
        for name in self.checks:
            if name not in CHECKS:
                raise ValueError(f"checks has {name!r}, expected some of {', '.join(CHECKS)}")
        if self.tolerance < 0:
            raise ValueError(f"tolerance is {self.tolerance}, expected at least 0")


@dataclass(frozen=True)
class Reading:
    """
    What the judge answered from some pages.

    Args:
        answer (`str`): As it wrote it.
        is_same (`bool`): Whether it is the teacher's answer.
    """

    answer: str
    is_same: bool


async def examine(
    endpoint: Endpoint | BatchExport, candidate: Candidate, pages: Mapping[int, bytes], options: JudgeOptions
) -> dict[str, Verdict]:
    """
    The verdicts of a second model on one question.

    All of a question's requests are under way together, so that a batch export has them in one round; only where answers
    differ in words is the judge asked once more, whether they say the same.

    Args:
        endpoint (`Endpoint` or `BatchExport`): The judge, open.
        candidate (`Candidate`): A question.
        pages (`Mapping[int, bytes]`): Page number, 1-based -> encoded image: those of its segment.
        options (`JudgeOptions`): Which checks.

    Returns:
        `dict[str, Verdict]`: Of those checks that have a meaning for the question; none for a transcription. One whose request
        failed, or whose reply cannot be read, is "unchecked" with that reason, and so are all if an evidence page has no image.

    Raises:
        BudgetSpent, EndpointRefused, Pending: as the endpoint raises them.
    """
    question = candidate.question
    if question.task in TRANSCRIPTIONS:
        return {}
    if missing := [p for p in question.evidence_pages if p not in pages]:
        return dict.fromkeys(options.checks, Verdict("unchecked", "page_not_given", f"page {missing[0]} has no image"))
    if endpoint.options.model == question.teacher:
        warnings.warn(
            f"{question.teacher} judges its own questions; a judge of another family finds more", stacklevel=2
        )
    asked = views(question, pages, options.checks)
    found = await asyncio.gather(
        *[_read(endpoint, question, {p: pages[p] for p in shown}, options.tolerance) for _, shown in asked],
        return_exceptions=True,
    )
    for outcome in found:
        if isinstance(outcome, BaseException) and not isinstance(outcome, RequestFailed | ParseError):
            raise outcome
    readings = {name: [] for name, _ in asked}
    for (name, shown), outcome in zip(asked, found):
        readings[name].append((shown, outcome))
    return {name: _decide(name, outcomes) for name, outcomes in readings.items()}


def _decide(name: str, outcomes: list[tuple[tuple[int, ...], Reading | RequestFailed | ParseError]]) -> Verdict:
    """A question without an answer is judged by the same rules: "Not answerable" is then the teacher's answer."""
    read = [(shown, o) for shown, o in outcomes if isinstance(o, Reading)]
    same = [shown for shown, reading in read if reading.is_same]
    if name == "single_page" and same:
        return Verdict("fail", "one_page_enough", f"page {same[0][0]} alone gives the answer")
    if len(read) < len(outcomes):
        error = next(o for _, o in outcomes if not isinstance(o, Reading))
        return Verdict("unchecked", error.reason, error.detail)
    answer = read[0][1].answer
    unknown = says_not_answerable(answer)
    if name == "evidence_only" and not same:
        return Verdict("fail", "not_answered" if unknown else "another_answer", f"the judge says {answer[:80]!r}")
    if name == "without_evidence" and not unknown:
        return Verdict("fail", "answered_elsewhere" if same else "another_answer", f"the judge says {answer[:80]!r}")
    if name == "closed_book" and same:
        return Verdict("fail", "guessable", f"without a page the judge says {answer[:80]!r}")
    return PASS


async def _read(endpoint, question: Question, shown: Mapping[int, bytes], tolerance: float) -> Reading:
    content = [part for number, image in sorted(shown.items()) for part in (f"Page {number}:", image)]
    content.append(f"Question: {question.question}")
    answer = await _ask(endpoint, "answer" if shown else "closed", tuple(content), **ANSWER)
    same = agree(answer, question.answer, question.answer_format, tolerance=tolerance)
    if same is None:
        text = f"Question: {question.question}\nFirst answer: {question.answer}\nSecond answer: {answer}"
        same = (await _ask(endpoint, "compare", (text,), **SAME)).casefold() in ("yes", "true")
    return Reading(answer, same)


async def _ask(endpoint, prompt: str, content: tuple[str | bytes, ...], *, name: str, meaning: str) -> str:
    style = endpoint.options.style
    system = f"{_load(prompt)}\n{_load(f'reply_{style}').format(name=name, meaning=meaning)}"
    schema = {
        "type": "object",
        "properties": {name: {"type": "string"}},
        "required": [name],
        "additionalProperties": False,
    }
    version = f"judge-{prompt}@{hashlib.sha256(system.encode()).hexdigest()[:12]}"
    reply = await endpoint.ask(Request(version, content, schema, system))
    return read_field(reply.text, name, style)


@cache
def _load(prompt: str) -> str:
    return (PROMPTS / f"{prompt}.md").read_text(encoding="utf-8")


def read_field(text: str, name: str, style: str) -> str:
    """
    The one field of a judge's reply.

    Args:
        text (`str`): As the model wrote it, perhaps after a thinking trace.
        name (`str`): Of the field.
        style (`str`): `"json"` or `"tagged"`, as it was asked for.

    Raises:
        ParseError: not_json, no_answer and others of `teacher.parsing.read_json`.

    Example:

    ```python
    >>> read_field('{"answer": 12.50}', "answer", "json"), read_field("Let me see. <answer> May </answer>", "answer", "tagged")
    ('12.50', 'May')

    ```
    """
    if style == "json":
        value = read_json(text).get(name)
        found = "; ".join(map(str, value)) if isinstance(value, list) else value
    else:
        _, opened, rest = text.rpartition("</think>")[2].rpartition(f"<{name}>")
        found = rest.partition(f"</{name}>")[0] if opened else None
    if found is None or not str(found).strip():
        raise ParseError(f"no_{name}", f"found {text[-80:]!r}, expected a field named {name!r}")
    return str(found).strip()
