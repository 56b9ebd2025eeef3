"""How many calls the models of a build will take, and of how many tokens; known before any is made."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..lengths import page_tokens
from .document import Checked, Parsed
from .elements import Page
from .endpoint import EndpointOptions
from .plan import BuildPlan
from .segments import sample_segments
from .teacher.calls import plan_calls
from .verification import failed, shown_pages, views

# What a model reads besides pages, and writes; about, since only its own tokenizer knows
INSTRUCTION_TOKENS = 1500
QUESTION_TOKENS = 250
JUDGE_INSTRUCTION_TOKENS = 300
ANSWER_TOKENS = 40
# "A dense page takes 2,000 to 4,000 tokens to write down" (`scans.transcribe`)
TRANSCRIPT_TOKENS = 3000
TRANSCRIPT_INSTRUCTION_TOKENS = 750
EVIDENCE_PAGES = {"extract-single": 1, "extract-multi": 2, "reasoning": 1}  # of a question that is not asked yet


class Call(NamedTuple):
    """
    What a model reads and writes for one request.

    Args:
        prompt (`float`): Tokens.
        written (`float`): Tokens.
    """

    prompt: float
    written: float


def teacher_calls(parsed: Parsed, plan: BuildPlan) -> tuple[int, list[Call], list[Call]]:
    """
    What a model that asks about a document is asked for, and what a judge will have to answer of it.

    Args:
        parsed (`Parsed`): The document.
        plan (`BuildPlan`): With a teacher.

    Returns:
        `tuple[int, list[Call], list[Call]]`: Questions, the teacher's calls, and the judge's. Which pages a question is going to
        need is not known; a usual number of pages of its segment's mean size is taken.
    """
    segments = sample_segments(
        parsed.structure.sections,
        parsed.structure.num_pages,
        seed=parsed.seed(plan),
        shortest=plan.asking.shortest_segment,
        longest=plan.asking.longest_segment,
    )
    planned = plan_calls(
        segments, plan.asking.tasks, questions_per_call=plan.asking.questions_per_call, seed=parsed.seed(plan)
    )
    asked, judged = [], []
    for call in planned:
        pages = parsed.source.pages[call.segment[0] - 1 : call.segment[1]]
        tokens = _tokens(pages)
        asked.append(Call(tokens + INSTRUCTION_TOKENS, call.num_questions * QUESTION_TOKENS))
        checks = plan.verify.judge.checks if plan.verify.judge else ()
        shown = [count for name in checks for count in _usual_views(name, call.task, len(pages))]
        one = [Call(count * tokens / len(pages) + JUDGE_INSTRUCTION_TOKENS, ANSWER_TOKENS) for count in shown]
        judged += one * call.num_questions
    return sum(call.num_questions for call in planned), asked, judged


def _usual_views(check: str, task: str, num_pages: int) -> list[int]:
    """Pages in each request of a check (`verification.views` for a question that is not asked yet)."""
    evidence = EVIDENCE_PAGES[task]
    return {
        "evidence_only": [evidence],
        "without_evidence": [num_pages - evidence],
        "closed_book": [0],
        "single_page": [1] * evidence if task == "extract-multi" else [],
    }[check]


def judge_calls(checked: Iterable[Checked], pages: Sequence[Page], plan: BuildPlan) -> list[Call]:
    """
    What a judge is asked about questions that are known.

    About: where its words differ from an answer's it is asked once more, and where documents share a question that is asked
    without a page, one reply serves them all.

    Args:
        checked (`Iterable[Checked]`): A document's questions with the verdicts that need no model.
        pages (`Sequence[Page]`): All of the document's.
        plan (`BuildPlan`): With or without a judge.
    """
    if plan.verify.judge is None:
        return []
    return [
        Call(_tokens([pages[number - 1] for number in shown]) + JUDGE_INSTRUCTION_TOKENS, ANSWER_TOKENS)
        for candidate, verdicts in checked
        if not failed(verdicts, plan.verify.require)
        for _, shown in views(
            candidate.question, shown_pages(candidate.question, len(pages)), plan.verify.judge.checks
        )
    ]


def reading_calls(reader: EndpointOptions, num_pages: int, num_tokens: int) -> list[Call]:
    """
    A call for every page of a scan; a page that has text needs none, so it is at most that.

    Args:
        reader (`EndpointOptions`): Who reads it.
        num_pages (`int`): Of the scan.
        num_tokens (`int`): Of all its page images.

    Example:

    ```python
    >>> reading_calls(EndpointOptions("qwen", max_tokens=4096), 2, 4000)
    [Call(prompt=2750.0, written=3000), Call(prompt=2750.0, written=3000)]

    ```
    """
    written = min(TRANSCRIPT_TOKENS, reader.max_tokens)
    return [Call(num_tokens / num_pages + TRANSCRIPT_INSTRUCTION_TOKENS, written)] * num_pages


def _tokens(pages: Iterable[Page]) -> int:
    return sum(page_tokens(page.width, page.height) for page in pages)
