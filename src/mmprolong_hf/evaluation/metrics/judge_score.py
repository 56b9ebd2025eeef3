"""From a judge's reply to a score: `doc_qa_llm` of MMLongBench 1.1 (EdinburghNLP/MMLongBench at 22b9f27)."""

import json
import math
import re

from mmprolong_hf.evaluation.metrics.score import Score

_POINTS = re.compile(r"\[Score\]:\s*(-?\d+)\s*points?")
_MARK = "[JSON]:"
_SCORE, _COUNT, _COVERED = "answer_score", "student_answer_count", "covered_count"
_BAD_REPLY = (ArithmeticError, RecursionError, TypeError, ValueError)


def judge_score(gold: str, judge_response: str, answer_format: str, *, upstream_compat: bool = False) -> float:
    """
    What a judge's reply is worth. A `"List"` is the F1 of covered items; any other answer has the points the judge
    gave.

    Points stand before "point" or "points" behind "[Score]:", else as `answer_score` in the JSON behind "[JSON]:",
    else as `"answer_score": ...` anywhere. For a list the judge counts the items that the model gave
    (`student_answer_count`) and the right ones among them (`covered_count`).

    Args:
        gold (`str`): The right answer; a `"List"` is written as JSON.
        judge_response (`str`): The judge's reply.
        answer_format (`str`): `"List"`, or another.
        upstream_compat (`bool`): Return points beyond 0 to 1 as they are, and raise what upstream raises. Without it,
            points are clamped, a reply without a score is 0, and [`score`] tells which.

    Raises:
        TypeError, ValueError, ZeroDivisionError: with `upstream_compat` only, for counts that are no numbers, a right
            answer that is no list, and no items given.

    Example:

    ```python
    >>> judge_score("5", "[Score]: 1 point", "Integer"), judge_score("5", "[Score]: 5 points", "Integer")
    (1.0, 1.0)
    >>> judge_score('["a", "b", "c"]', '[JSON]: {"student_answer_count": 2, "covered_count": 2}', "List")
    0.8

    ```
    """
    if not upstream_compat:
        return score(gold, judge_response, answer_format).value
    value = _list_f1(gold, judge_response) if answer_format == "List" else _points(judge_response)
    if value is None:
        return 0.0
    return min(max(value, 0.0), 1.0) if answer_format == "List" else value


def score(gold: str, judge_response: str, answer_format: str) -> Score:
    """
    [`judge_score`], and what was wrong with the reply: no score in it, or one beyond 0 to 1, which is clamped.

    Args:
        gold, judge_response, answer_format (`str`): As in [`judge_score`].

    Example:

    ```python
    >>> score("5", "[Score]: 5 points", "Integer")
    Score(value=1.0, error='the judge gave 5, expected 0 to 1')
    >>> score("5", "Looks right to me.", "Integer")
    Score(value=0.0, error='the judge gave no score')

    ```
    """
    try:
        value = _list_f1(gold, judge_response) if answer_format == "List" else _points(judge_response)
    except _BAD_REPLY as error:
        return Score(0.0, f"the judge gave counts that make no score for the gold {gold!r}: {error}")
    if value is None:
        return Score(0.0, "the judge gave no score")
    if not math.isfinite(value):
        return Score(0.0, f"the judge gave {value:g}, expected 0 to 1")
    if not 0 <= value <= 1:
        return Score(min(max(value, 0.0), 1.0), f"the judge gave {value:g}, expected 0 to 1")
    return Score(value)


def _points(reply: str) -> float | None:
    if found := _POINTS.search(reply):
        return float(found[1])
    value = _value(reply, _SCORE, r"-?\d+(?:\.\d+)?")
    try:
        return None if value is None else float(value)
    except _BAD_REPLY:
        return None


def _list_f1(gold: str, reply: str) -> float | None:
    count, covered = _value(reply, _COUNT, r"\d+"), _value(reply, _COVERED, r"\d+")
    if count is None or covered is None:
        return None
    if covered <= 0:
        return 0.0
    recall, precision = covered / len(json.loads(gold)), covered / count
    return 2 * precision * recall / (precision + recall)


def _value(reply: str, key: str, number: str) -> object:
    """What the first JSON object behind the mark says of a key; without one, the number behind the quoted key."""
    found = _json_behind_mark(reply)
    if found is not None:
        return found.get(key)
    match = re.search(rf'"{key}":\s*({number})', reply)
    return None if match is None else float(match[1])


def _json_behind_mark(reply: str) -> dict | None:
    mark = reply.find(_MARK)
    start = reply.find("{", mark) if mark >= 0 else -1
    if start < 0:
        return None
    try:
        return json.JSONDecoder().raw_decode(reply, start)[0]
    except (ValueError, RecursionError):
        return None
