"""MMLongBench's metrics for its needle tasks: sub_em and soft_acc (EdinburghNLP/MMLongBench at 22b9f27)."""

import json
import re
from collections.abc import Sequence

from mmprolong_hf.evaluation.metrics.mmlongbench_choices import cls_acc, mc_acc, whole_numbers
from mmprolong_hf.evaluation.metrics.mmlongbench_text import normalize_answer, parse_output
from mmprolong_hf.evaluation.metrics.score import Score

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NUMBERS_IN_BRACKETS = re.compile(r"\[\s*\d+(?:\s*,\s*\d+)*\s*\]")
_BRACKETS = re.compile(r"\[[^\[\]]*\]")


def sub_em(prediction: str, gold: str | Sequence) -> float:
    """
    1 if a right answer is part of the prediction, both without case, punctuation and articles; else 0.

    Args:
        prediction (`str`): What the model answered.
        gold (`str`, `Sequence[str]` or `Sequence[Sequence[str]]`): The right answer, or several that count.

    Raises:
        ValueError: when there is no right answer.

    Example:

    ```python
    >>> sub_em("It is an Oak-tree.", "oaktree"), sub_em("apple", [["pear"], ["apple"]]), sub_em("New-York", "new york")
    (1.0, 1.0, 0.0)

    ```
    """
    golds = [gold] if isinstance(gold, str) else gold
    golds = [answer for part in golds for answer in ([part] if isinstance(part, str) else part)]
    if not golds:
        raise ValueError("gold is empty, expected at least one right answer")
    prediction = normalize_answer(prediction)
    return float(any(normalize_answer(answer) in prediction for answer in golds))


def soft_acc(prediction: str, gold: Sequence[int]) -> float:
    """
    1 if the counts in the prediction have the right sum, else 0: upstream kept the name when it changed the rule.

    Args:
        prediction (`str`): What the model answered.
        gold (`Sequence[int]`): The right counts.

    Example:

    ```python
    >>> soft_acc("I count [2, 0, 1].", [1, 1, 1]), soft_acc("2 and 3, so 5", [5])
    (1.0, 0.0)

    ```
    """
    return float(sum(parse_counts(prediction)) == sum(gold))


def parse_counts(prediction: str) -> list[int]:
    """
    The counts that a prediction gives: its last list of whole numbers, else what is whole in its last brackets, else
    all its digits. Lists are read as JSON; one that is none does not count.

    Example:

    ```python
    >>> parse_counts("[1, 2] or [3, 4]"), parse_counts("[-1, null]"), parse_counts("[1, x]"), parse_counts("none")
    ([3, 4], [-1], [1], [])

    ```
    """
    text = _ARTICLES.sub(" ", prediction.lower())
    for pattern in (_NUMBERS_IN_BRACKETS, _BRACKETS):
        if found := pattern.findall(text):
            try:
                items = json.loads(found[-1])
            except (ValueError, RecursionError):
                continue
            return [number for number in map(_whole, items) if number is not None]
    return whole_numbers(r"\d+", text)


def _whole(item: object) -> int | None:
    try:
        return int(item)
    except (OverflowError, TypeError, ValueError):
        return None


METRICS = {"sub_em": sub_em, "soft_acc": soft_acc, "mc_acc": mc_acc, "cls_acc": cls_acc}


def default_pipeline(raw_output: str, gold: object, metric: str, prefix: str = "Answer:") -> dict:
    """
    The better score of what the model wrote and of the answer parsed from it.

    Args:
        raw_output (`str`): What the model wrote.
        gold: The right answer, as the metric takes it.
        metric (`str`): One of `METRICS`.
        prefix (`str`): What the prompt asks answers to begin with.

    Returns:
        `dict` with `parsed_output` (`str`) and the score (`float`) under the name of the metric.

    Raises:
        ValueError: for an unknown metric.

    Example:

    ```python
    >>> default_pipeline("label: It is 12", 12, "cls_acc", "label:")
    {'parsed_output': 'It is 12', 'cls_acc': 1.0}

    ```
    """
    if metric not in METRICS:
        raise ValueError(f"metric is {metric!r}, expected one of {sorted(METRICS)}")
    parsed = parse_output(raw_output, prefix)
    return {"parsed_output": parsed, metric: max(METRICS[metric](output, gold) for output in (raw_output, parsed))}


def score(gold: object, prediction: str, metric: str, prefix: str = "Answer:") -> Score:
    """
    The score of [`default_pipeline`], and why it is 0 where there is no right answer. The runner calls this.

    Args:
        gold: The right answer, as the metric takes it.
        prediction (`str`): What the model wrote, not parsed.
        metric, prefix (`str`): As in [`default_pipeline`].

    Raises:
        ValueError: for an unknown metric.

    Example:

    ```python
    >>> score([1, 0, 2], "Answer: [1, 2, 0]", "soft_acc").value
    1.0

    ```
    """
    if metric in ("sub_em", "soft_acc") and not gold:
        return Score(0.0, f"gold {gold!r} for {metric}: expected at least one right answer")
    return Score(default_pipeline(prediction, gold, metric, prefix)[metric])
