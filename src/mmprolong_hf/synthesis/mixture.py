"""Chooses which questions of a document are kept: tasks by share, kinds and pages as evenly as the document allows."""

from collections import Counter
from collections.abc import Mapping

from .questions import Candidate, choose

DEPTHS = 10  # parts of a document over which evidence is spread
SHARES = {"extract-single": 0.4, "extract-multi": 0.4, "reasoning": 0.2}  # the paper's final mixture


def choose_questions(
    candidates: list[Candidate], count: int, num_pages: int, *, seed: str, shares: Mapping[str, float] = SHARES
) -> list[Candidate]:
    """
    A mixture of questions, in the order of their evidence.

    Each task gets its share; what a task cannot fill goes to the others. Within a task the next question is always one
    from the tenth of the document used least, and among those one of the kind used least.

    Args:
        candidates (`list[Candidate]`): Everything that may be asked.
        count (`int`): How many to keep at most.
        num_pages (`int`): Pages of the document.
        seed (`str`): Decides between equals.
        shares (`Mapping[str, float]`, *optional*): Task -> part of all questions.
    """
    left = sorted(candidates, key=lambda c: c.question.question)
    left.sort(key=lambda c: choose(range(2**32), seed, "mixture", c.question.question))
    kinds, depths, tasks = Counter(), Counter(), Counter()
    chosen = []
    while left and len(chosen) < count:
        available = {c.question.task for c in left}
        task = min(sorted(available), key=lambda t: (tasks[t] + 0.5) / max(shares.get(t, 0.0), 1e-9))
        best = min(
            (c for c in left if c.question.task == task),
            key=lambda c: (depths[_depth(c, num_pages)], kinds[c.question.template]),
        )
        left.remove(best)
        chosen.append(best)
        tasks[task] += 1
        kinds[best.question.template] += 1
        depths[_depth(best, num_pages)] += 1
    return sorted(chosen, key=lambda c: (c.question.evidence_pages, c.question.question))


def depth_of(page: int, num_pages: int) -> int:
    """
    Which tenth of a document a page is in, 0 to 9.

    Args:
        page (`int`): 1-based.
        num_pages (`int`): Pages of the document.

    Example:

    ```python
    >>> depth_of(1, 40), depth_of(20, 40), depth_of(40, 40)
    (0, 4, 9)

    ```
    """
    return min(DEPTHS - 1, (page - 1) * DEPTHS // num_pages)


def _depth(candidate: Candidate, num_pages: int) -> int:
    return depth_of(candidate.question.evidence_pages[0], num_pages)
