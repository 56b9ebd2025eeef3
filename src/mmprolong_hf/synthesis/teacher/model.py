"""A teacher that is a model: it sees the page images of a segment and writes questions about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..elements import Source, Structure
from ..endpoint import Endpoint, RequestFailed
from ..questions import Candidate
from ..segments import sample_segments
from ..text import fold
from .asking import ask_parsed, gather_all
from .calls import Call, check_tasks, plan_calls
from .exemplars import Exemplars, load_exemplars
from .fields import ParseError, excerpt
from .grounding import to_candidate
from .parsing import parse_reply
from .prompting import question_request
from .raw_question import check_task


@dataclass(frozen=True)
class TeacherOptions:
    """
    What a model is asked for.

    Args:
        tasks (`dict[str, int]`, *optional*): How many questions of each task to ask about a document; 4 extract-single,
            4 extract-multi and 2 reasoning if not given, the paper's 40/40/20.
        questions_per_call (`int`, *optional*, defaults to `2`): Most questions in one request. More are cheaper, because the
            pages are sent once, and more alike.
        shortest_segment (`int`, *optional*, defaults to `8`): Fewest pages that are shown, unless the document has fewer.
        longest_segment (`int`, *optional*, defaults to `15`): Most pages that are shown.
        exemplars (`str`, *optional*): YAML file of examples to show instead of `prompts/exemplars.yaml`.

    Raises:
        ValueError: for an unknown task, a number below its minimum, or a file of examples that cannot be used.

    Example:

    ```python
    >>> TeacherOptions(tasks={"reasoning": 6}).questions_per_call
    2
    >>> TeacherOptions(tasks={"ocr-full": 1})
    Traceback (most recent call last):
    ...
    ValueError: tasks has 'ocr-full', expected some of extract-single, extract-multi, reasoning

    ```
    """

    tasks: dict[str, int] = field(default_factory=lambda: {"extract-single": 4, "extract-multi": 4, "reasoning": 2})
    questions_per_call: int = 2
    shortest_segment: int = 8
    longest_segment: int = 15
    exemplars: str | None = None

    def __post_init__(self):
        check_tasks(self.tasks)
        for name in ("questions_per_call", "shortest_segment"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1")
        if self.longest_segment < self.shortest_segment:
            raise ValueError(
                f"longest_segment is {self.longest_segment}, expected at least shortest_segment={self.shortest_segment}"
            )
        load_exemplars(self.exemplars)


@dataclass(frozen=True)
class Failure:
    """
    Questions that were asked for and did not come, or cannot be used.

    Args:
        task (`str`): One of `schema.TASKS`.
        segment (`tuple[int, int]`): First and last page that the teacher saw.
        reason (`str`): A short code that can be counted, e.g. `"not_json"`.
        detail (`str`): What was found and what was expected.
        num_questions (`int`): Of those asked for; 0 for one that came beyond them.
    """

    task: str
    segment: tuple[int, int]
    reason: str
    detail: str
    num_questions: int


async def ask_model(
    endpoint: Endpoint,
    source: Source,
    structure: Structure,
    *,
    doc_seed: str,
    tasks: Mapping[str, int],
    options: TeacherOptions,
) -> tuple[list[Candidate], list[Failure]]:
    """
    Ask a model for questions about one document, all segments at once.

    Each question asked for is a candidate or part of a failure: over `plan_calls`, `sum(call.num_questions)` equals
    `len(candidates) + sum(failure.num_questions)`. The order is that of the calls, whatever the order of the replies.

    Args:
        endpoint (`Endpoint`): The model.
        source (`Source`): The document's pages.
        structure (`Structure`): Its sections, between which segments are cut, and its figures.
        doc_seed (`str`): Of segments and exemplars.
        tasks (`Mapping[str, int]`): How many questions of each task, e.g. `options.tasks`.
        options (`TeacherOptions`): How they are asked.

    Raises:
        EndpointRefused, BudgetSpent, Pending: when all requests of the document have ended; what was answered is kept
            by the endpoint, so asking again continues.
        ValueError: for an unknown task or a negative number.
    """
    segments = sample_segments(
        structure.sections,
        structure.num_pages,
        seed=doc_seed,
        shortest=options.shortest_segment,
        longest=options.longest_segment,
    )
    calls = plan_calls(segments, tasks, questions_per_call=options.questions_per_call, seed=doc_seed)
    exemplars = load_exemplars(options.exemplars)
    results = await gather_all(_ask(endpoint, source, structure, call, exemplars, doc_seed) for call in calls)
    return _sort_out([outcome for result in results for outcome in result])


async def _ask(
    endpoint: Endpoint, source: Source, structure: Structure, call: Call, exemplars: Exemplars, seed: str
) -> list[Candidate | Failure]:
    """One request; its outcomes stand for just the questions that it asked for."""
    style = endpoint.options.style
    seed = f"{seed} {call.task} {call.segment[0]}"
    request = question_request(call, source.pages, exemplars, style=style, seed=seed)
    try:
        found = await ask_parsed(endpoint, request, lambda text: parse_reply(text, style))
    except (RequestFailed, ParseError) as error:
        return [Failure(call.task, call.segment, error.reason, error.detail, call.num_questions)]
    outcomes = []
    for raw in found[: call.num_questions]:
        try:
            if isinstance(raw, ParseError):
                raise raw
            check_task(raw, call.task, call.segment)
        except ParseError as error:
            outcomes.append(Failure(call.task, call.segment, error.reason, error.detail, 1))
        else:
            candidate = to_candidate(
                raw,
                task=call.task,
                segment=call.segment,
                source=source,
                structure=structure,
                teacher=endpoint.options.model,
                template=request.prompt,
            )
            outcomes.append(candidate)
    for raw in found[call.num_questions :]:
        outcomes.append(
            Failure(call.task, call.segment, "not_asked_for", f"beyond {call.num_questions}: {excerpt(raw)}", 0)
        )
    if missing := call.num_questions - len(found[: call.num_questions]):
        detail = f"{len(found)} of {call.num_questions} questions came: the teacher found no more on these pages"
        outcomes.append(Failure(call.task, call.segment, "not_given", detail, missing))
    return outcomes


def _sort_out(outcomes: list[Candidate | Failure]) -> tuple[list[Candidate], list[Failure]]:
    """Candidates and failures apart, with a question that was asked before among the failures."""
    candidates, failures = {}, []
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            failures.append(outcome)
            continue
        question = outcome.question
        if candidates.setdefault(fold(question.question), outcome) is not outcome:
            detail = f"{excerpt(question.question)} came twice, expected different questions"
            failures.append(Failure(question.task, question.segment, "asked_twice", detail, 1))
    return list(candidates.values()), failures
