"""From a judge's reply to a score: `doc_qa_llm` of MMLongBench 1.1 (EdinburghNLP/MMLongBench at 22b9f27)."""

import json
import math
import re

from mmprolong_hf.evaluation.metrics.score import Score

_POINTS = re.compile(r"\[Score\]:\s*(-?\d+)\s*points?")
_JSON = re.compile(r"\[JSON\]:")
_MARKS = re.compile(f"{_POINTS.pattern}|{_JSON.pattern}")
_SCORE, _COUNT, _COVERED = "answer_score", "student_answer_count", "covered_count"
_KEYS = re.compile(f'"(?:{_SCORE}|{_COUNT}|{_COVERED})":')
_FIRST, _LAST = 0, -1  # which of several numbers without a mark counts
_BAD_REPLY = (ArithmeticError, RecursionError, TypeError, ValueError)


def judge_score(gold: str, judge_response: str, answer_format: str, *, upstream_compat: bool = False) -> float:
    """
    What a judge's reply is worth. A `"List"` is the F1 of covered items; any other answer has the points the judge
    gave.

    Points stand before "point" or "points" behind "[Score]:", or as `answer_score` in the JSON behind "[JSON]:", or
    without a mark as `"answer_score": ...`. For a list the judge counts the items that the model gave
    (`student_answer_count`) and the right ones among them (`covered_count`).

    A judge may repeat what the model wrote, with marks in it. So the last mark counts, of whichever kind, and none within
    a quotation: behind `"`, `“` or `'`, or on a line that begins with ">". Counts are whole numbers, and no more is covered
    than the model gave or the right answer holds.

    Args:
        gold (`str`): The right answer; a `"List"` is written as JSON.
        judge_response (`str`): The judge's reply.
        answer_format (`str`): `"List"`, or another.
        upstream_compat (`bool`): Take "[Score]:" before "[JSON]:" and the first of several, return points beyond 0 to 1
            as they are, make an F1 of any counts, and raise what upstream raises. Without it, points are clamped, a
            reply without a score or with counts that cannot be is 0, and [`score`] tells which.

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
    value = _list_f1(gold, judge_response) if answer_format == "List" else _points(judge_response, _FIRST)
    if value is None:
        return 0.0
    return min(max(value, 0.0), 1.0) if answer_format == "List" else value


def score(gold: str, judge_response: str, answer_format: str) -> Score:
    """
    [`judge_score`], and what was wrong with the reply: no score in it, one beyond 0 to 1, which is clamped, or counts
    that cannot be.

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
    is_list = answer_format == "List"
    own = _own_words(judge_response, _JSON if is_list else _MARKS)
    try:
        value = _checked_f1(gold, own) if is_list else _points(own, _LAST)
    except _BAD_REPLY as error:
        return Score(0.0, f"the judge gave counts that make no score for the gold {gold!r}: {error}")
    if value is None:
        return Score(0.0, "the judge gave no score")
    if not math.isfinite(value):
        return Score(0.0, f"the judge gave {value:g}, expected 0 to 1")
    if not 0 <= value <= 1:
        return Score(min(max(value, 0.0), 1.0), f"the judge gave {value:g}, expected 0 to 1")
    return Score(value)


def _own_words(reply: str, marks: re.Pattern) -> str:
    """From the judge's last mark on, without those that it quotes; where it has none, all but the keys that it quotes."""
    unquoted = marks.sub(_blank_if_quoted, reply)
    if starts := [mark.start() for mark in marks.finditer(unquoted)]:
        return unquoted[starts[-1] :]
    return _KEYS.sub(_blank_if_quoted, unquoted)


def _blank_if_quoted(mark: re.Match) -> str:
    # a text in JSON is a quotation too; an escaped quote does not end it
    before = mark.string[mark.string.rfind("\n", 0, mark.start()) + 1 : mark.start()].replace('\\"', "")
    is_open = before.count('"') % 2 == 1 or before.count("“") > before.count("”")
    return " " if is_open or before.endswith("'") or before.lstrip().startswith(">") else mark[0]


def _points(reply: str, which: int) -> float | None:
    if found := _POINTS.search(reply):
        return float(found[1])
    value = _value(reply, _SCORE, r"-?\d+(?:\.\d+)?", which)
    try:
        return None if value is None else float(value)
    except _BAD_REPLY:
        return None


def _list_f1(gold: str, reply: str) -> float | None:
    count, covered = _counts(reply, _FIRST)
    if count is None or covered is None:
        return None
    return 0.0 if covered <= 0 else _f1(count, covered, len(json.loads(gold)))


def _checked_f1(gold: str, reply: str) -> float | None:
    count, covered = _counts(reply, _LAST)
    if count is None or covered is None:
        return None
    num_gold = len(json.loads(gold))
    if not (_is_whole(count) and _is_whole(covered) and 0 <= covered <= min(count, num_gold)):
        raise ValueError(
            f"{_COUNT} is {count!r:.40} and {_COVERED} {covered!r:.40}, expected whole numbers of at least 0, covered at "
            f"most the count and {num_gold}"
        )
    return _f1(count, covered, num_gold) if covered else 0.0


def _f1(count: float, covered: float, num_gold: int) -> float:
    recall, precision = covered / num_gold, covered / count
    return 2 * precision * recall / (precision + recall)


def _is_whole(number: object) -> bool:
    return type(number) is int or (type(number) is float and number.is_integer())  # true is no count


def _counts(reply: str, which: int) -> tuple[object, object]:
    return _value(reply, _COUNT, r"\d+", which), _value(reply, _COVERED, r"\d+", which)


def _value(reply: str, key: str, number: str, which: int) -> object:
    """What the JSON object behind the mark says of a key; without one, the number behind the quoted key."""
    found = _json_behind_mark(reply)
    if found is not None:
        return found.get(key)
    numbers = re.findall(rf'"{key}":\s*({number})', reply)
    return float(numbers[which]) if numbers else None


def _json_behind_mark(reply: str) -> dict | None:
    mark = _JSON.search(reply)
    start = reply.find("{", mark.end()) if mark else -1
    if start < 0:
        return None
    try:
        return json.JSONDecoder().raw_decode(reply, start)[0]
    except (ValueError, RecursionError):
        return None
