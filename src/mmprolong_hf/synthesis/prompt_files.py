"""Which files of words a build asks with, so that the card can name each and say which text of it was used."""

import hashlib
from pathlib import Path

from .plan import BuildPlan
from .questions import TEMPLATES as EXTRACTIVE
from .schema import TASKS
from .teacher.exemplars import EXEMPLARS
from .teacher.prompting import PROMPTS
from .teacher.transcription import TEMPLATES as TRANSCRIPTION
from .verification.judge import PROMPTS as JUDGE_PROMPTS

DIGITS = 12  # of a sha256 that are shown
HERE = Path(__file__).parent


def prompt_files(plan: BuildPlan) -> dict[str, str]:
    """
    Name of each file that a plan's questions, verdicts and transcripts are worded with -> the first digits of its sha256.

    Args:
        plan (`BuildPlan`): Of the build. A user's own file of examples is named without its folder.

    Example:

    ```python
    >>> list(prompt_files(BuildPlan("pdfs", "my-set")))
    ['templates/extractive.yaml']

    ```
    """
    paths = [*_asking(plan), *_transcribing(plan), *_judging(plan)]
    found = {}
    for path in dict.fromkeys(paths):
        name = path.relative_to(HERE).as_posix() if path.is_relative_to(HERE) else path.name
        found[name] = hashlib.sha256(path.read_bytes()).hexdigest()[:DIGITS]
    return found


def _asking(plan: BuildPlan) -> list[Path]:
    if plan.teacher is None:
        return [EXTRACTIVE]
    tasks = [task for task in TASKS if plan.asking.tasks.get(task, 0) > 0]
    names = ["ask", *tasks, f"reply-{plan.teacher.style}", "repair"]
    exemplars = Path(plan.asking.exemplars) if plan.asking.exemplars else EXEMPLARS
    return [*(PROMPTS / f"{name}.md" for name in names), exemplars]


def _transcribing(plan: BuildPlan) -> list[Path]:
    asked = [TRANSCRIPTION] if any(task.startswith("ocr-") for task in plan.questions.per_task) else []
    return asked if plan.scans is None else [*asked, PROMPTS / "transcribe_page.md", PROMPTS / "repair.md"]


def _judging(plan: BuildPlan) -> list[Path]:
    if plan.verify.judge is None:
        return []
    checks = plan.verify.judge.checks
    names = [*["answer"] * any(check != "closed_book" for check in checks), *["closed"] * ("closed_book" in checks)]
    return [JUDGE_PROMPTS / f"{name}.md" for name in [*names, "compare", f"reply_{plan.verify.judge.endpoint.style}"]]
