"""
MM-NIAH's metric for one answer (OpenGVLab/MM-NIAH at 2fd03dd, calculate_scores.py).

By default the scores are upstream's, with these mends: what makes upstream raise scores 0, and [`score`] tells why; a right answer
that begins or ends with a sign, such as "50%", can be found; one that has no word left after normalization, such as "A", scores 0,
where upstream takes any answer with a word for right.
MMLongBench scores its own version of this benchmark with other metrics.
"""

import json
import re

from mmprolong_hf.evaluation.metrics.score import Score
from mmprolong_hf.evaluation.metrics.vqa_normalization import vqa_normalize

# What these two answers of the camera questions stand for
_CAMERA_CHOICES = {"the camera is moving left": "a", "the camera is moving right": "b"}


def is_correct(gold: int | str | list, response: str, *, upstream_compat: bool = False) -> float:
    """
    MM-NIAH's score of one answer, from 0 to 1.

    An `int` is the index of a choice: the response is that number, or its letter before the first period. A `list` (counting) is
    compared with a JSON list item by item; further items do not count. A `str` must be in the response, word by word, after
    [`~mmprolong_hf.evaluation.metrics.vqa_normalization.vqa_normalize`] of both.

    Args:
        gold (`int`, `str` or `list`): The right answer.
        response (`str`): The model's answer.
        upstream_compat (`bool`): Raise where upstream does, and none of the mends above.

    Raises:
        ValueError: when `gold` is of another type; with `upstream_compat`, for a response of digits such as "²".
        ZeroDivisionError: with `upstream_compat` only, when `gold` is an empty list.

    Example:

    ```python
    >>> is_correct(1, "B. dog"), is_correct([1, 2, 3], "[1, 2, 4]"), is_correct("red car", "The red car!")
    (1.0, 0.6666666666666666, 1.0)

    ```
    """
    if not upstream_compat:
        return score(gold, response).value
    response = response.strip(".")
    if isinstance(gold, int):
        return float(_choice(response) == gold)
    if isinstance(gold, list):
        return _share_in_place(gold, response)
    return float(re.search(rf"\b{re.escape(vqa_normalize(gold))}\b", vqa_normalize(response)) is not None)


def score(gold: int | str | list, prediction: str) -> Score:
    """
    [`is_correct`], and why it is 0 where it cannot be worked out. The runner calls this.

    Args:
        gold, prediction: As in [`is_correct`].

    Raises:
        ValueError: when `gold` is no `int`, `str` or `list`.

    Example:

    ```python
    >>> score("50%", "It is 50%.").value, score("A", "a man")
    (1.0, Score(value=0.0, error="no word of the right answer counts: 'A'"))

    ```
    """
    prediction = prediction.strip(".")
    if isinstance(gold, int):
        try:
            return Score(float(_choice(prediction) == gold))
        except ValueError as error:
            return Score(0.0, f"the answer is no number that can be read: {error}")
    if isinstance(gold, list):
        return Score(_share_in_place(gold, prediction)) if gold else Score(0.0, "the right answer is an empty list")
    if not isinstance(gold, str):
        raise ValueError(f"gold is {gold!r}, expected an int (a choice), a list (counts) or a str")
    answer = vqa_normalize(gold)
    if not answer:
        return Score(0.0, f"no word of the right answer counts: {gold!r}")
    return Score(float(re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", vqa_normalize(prediction)) is not None))


def _choice(response: str) -> int | None:
    """Which choice a response names, if any; ValueError for digits that `int()` does not read, such as "²"."""
    if response.isdigit():
        return int(response)
    text = response.lower().replace("the answer is", "").replace("*", "")
    if "." in text:
        text = text.partition(".")[0].replace(",", "")
    text = text.strip()
    text = next((choice for phrase, choice in _CAMERA_CHOICES.items() if phrase in text), text)
    return ord(text) - ord("a") if len(text) == 1 else None


def _share_in_place(golds: list, response: str) -> float:
    try:
        numbers = json.loads(response.replace("json", "").replace("```", ""))
    except (ValueError, RecursionError):
        return 0.0
    if isinstance(numbers, dict):
        if not all(isinstance(part, list) for part in numbers.values()):
            return 0.0
        numbers = [number for part in numbers.values() for number in part]
    if not isinstance(numbers, list):
        return 0.0
    return sum(number == gold for number, gold in zip(numbers, golds)) / len(golds)
