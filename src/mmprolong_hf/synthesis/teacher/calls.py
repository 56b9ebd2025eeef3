"""Which requests a document takes: segments, tasks and numbers of questions."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass

ASKED_TASKS = ("extract-single", "extract-multi", "reasoning")  # those of schema.TASKS that a teacher asks


@dataclass(frozen=True)
class Call:
    """One request to a teacher: at most `num_questions` of `task` about the pages of `segment` (first and last, 1-based)."""

    segment: tuple[int, int]
    task: str
    num_questions: int


def plan_calls(
    segments: list[tuple[int, int]], tasks: Mapping[str, int], *, questions_per_call: int, seed: str
) -> list[Call]:
    """
    Which requests a document takes: for each task as few segments as its number needs, each asked once.

    A document with too few segments is asked for fewer questions than wanted: the same pages are not asked twice.

    Args:
        segments (`list[tuple[int, int]]`): First and last page of each.
        tasks (`Mapping[str, int]`): Number of questions of each task.
        questions_per_call (`int`): Most in one request.
        seed (`str`): Chooses among the segments.

    Raises:
        ValueError: for an unknown task or a negative number.

    Example:

    ```python
    >>> for call in plan_calls([(1, 9), (10, 20)], {"extract-single": 3, "reasoning": 1}, questions_per_call=2, seed="0"):
    ...     print(call)
    Call(segment=(1, 9), task='extract-single', num_questions=2)
    Call(segment=(1, 9), task='reasoning', num_questions=1)
    Call(segment=(10, 20), task='extract-single', num_questions=1)

    ```
    """
    check_tasks(tasks)
    calls = []
    for task in (task for task in ASKED_TASKS if tasks.get(task)):
        num_calls = min(len(segments), math.ceil(tasks[task] / questions_per_call))
        each, more = divmod(min(tasks[task], num_calls * questions_per_call), num_calls)
        chosen = spread(segments, num_calls, seed)
        calls += [Call(segment, task, each + (k < more)) for k, segment in enumerate(chosen)]
    # requests that begin with the same pages follow each other: a server's prefix cache still has them
    return sorted(calls, key=lambda call: (call.segment, ASKED_TASKS.index(call.task)))


def spread(segments: list[tuple[int, int]], k: int, seed: str) -> list[tuple[int, int]]:
    """
    Some segments, far apart from each other. With the same seed a smaller choice is part of a larger one, so that the tasks of
    a document share pages.

    The order of choice is van der Corput's (0, 1/2, 1/4, 3/4, ... of the document), turned by chance.

    Args:
        segments (`list[tuple[int, int]]`): In the order of the document.
        k (`int`): How many, at most all.
        seed (`str`): Of the turn.

    Example:

    ```python
    >>> segments = [(1, 9), (10, 18), (19, 27), (28, 36), (37, 45), (46, 54)]
    >>> spread(segments, 2, "0"), spread(segments, 3, "0")
    ([(1, 9), (28, 36)], [(1, 9), (10, 18), (28, 36)])

    ```
    """
    n = len(segments)
    bits = n.bit_length()
    halves = (int(f"{j:0{bits}b}"[::-1], 2) / 2**bits for j in range(2**bits))
    order = list(dict.fromkeys(int(part * n) for part in halves))
    turn = random.Random(f"spread {seed}").randrange(n)
    return sorted(segments[(index + turn) % n] for index in order[:k])


def check_tasks(tasks: Mapping[str, int]) -> None:
    """Raises a `ValueError` for a task that no teacher asks, or a negative number of questions."""
    for task, count in tasks.items():
        if task not in ASKED_TASKS:
            raise ValueError(f"tasks has {task!r}, expected some of {', '.join(ASKED_TASKS)}")
        if count < 0:
            raise ValueError(f"tasks has {count} questions of {task}, expected at least 0")
