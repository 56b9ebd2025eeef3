"""MMLongBench's rule metric for document questions, `doc_qa` of version 1.0 (EdinburghNLP/MMLongBench at 22b9f27)."""

import json
import math
from collections import Counter

from mmprolong_hf.evaluation.metrics.mmlongbench_text import (
    extract_number_list,
    get_docqa_clean_string,
    get_str_type,
    need_exact_match_check,
    normalize_answer,
    parse_output,
)
from mmprolong_hf.evaluation.metrics.score import Score


def _score_integer(gold: object, prediction: str) -> float:
    number = float(get_docqa_clean_string(gold))
    if not number.is_integer():
        raise AssertionError("expected a whole number")
    return float(number in extract_number_list(get_docqa_clean_string(prediction)))


def _score_float(gold: object, prediction: str) -> float:
    number = float(get_docqa_clean_string(gold))
    numbers = extract_number_list(get_docqa_clean_string(prediction))
    # "12 %" may be given as 12 or 0.12
    right = (number / 100, number, number * 100)
    return float(any(math.isclose(found, value, rel_tol=0.01) for found in numbers for value in right))


def _score_string(gold: str, prediction: str) -> float:
    if need_exact_match_check(gold):
        return float(gold in prediction)
    tokens, gold_tokens = normalize_answer(prediction).split(), normalize_answer(gold).split()
    num_same = (Counter(tokens) & Counter(gold_tokens)).total()
    if num_same == 0:
        return 0.0
    precision, recall = num_same / len(tokens), num_same / len(gold_tokens)
    return 2 * precision * recall / (precision + recall)


def _score_list(gold: str, prediction: str) -> float:
    """All items that are plain words are one, the first; each item is looked for in the whole prediction."""
    words, others = [], []
    for item in json.loads(gold):
        is_words = isinstance(item, str) and get_str_type(item) == "String" and not need_exact_match_check(item)
        (words if is_words else others).append(item)
    items = [" ".join(words), *others] if words else others
    if not items:
        raise ZeroDivisionError("expected at least one item")
    return sum(_score_item(item, prediction) for item in items) / len(items)


def _score_item(item: object, prediction: str) -> float:
    if isinstance(item, int):  # true and false too, which then are no numbers
        return _score_integer(item, prediction)
    if isinstance(item, float):
        return _score_float(item, prediction)
    if not isinstance(item, str):
        raise AssertionError(f"expected numbers and texts in the list, found {item!r}")
    return _SCORERS[get_str_type(item)](item, prediction)


_SCORERS = {
    "Integer": _score_integer,
    "Float": _score_float,
    "String": _score_string,
    "None": _score_string,
    "List": _score_list,
}


def eval_docqa_score(gold: str, prediction: str, answer_format: str, *, upstream_compat: bool = False) -> float:
    """
    MMLongBench's rule metric: how much of the right answer is in the prediction, from 0 to 1.

    An `"Integer"` and a `"Float"` (to 1 %, also as a percentage) may stand anywhere in the prediction. A `"String"`
    and a `"None"` are scored by the F1 of their words, or must be found letter by letter ([`need_exact_match_check`]).
    A `"List"`, written as JSON, is the mean over its items, each looked for in the whole prediction.

    Args:
        gold (`str`): The right answer, as the data set writes it.
        prediction (`str`): The model's answer, from [`parse_output`].
        answer_format (`str`): `"Integer"`, `"Float"`, `"String"`, `"None"` or `"List"`.
        upstream_compat (`bool`): Raise what upstream raises for a right answer that is not of its format. Without it,
            that is a score of 0, and [`score`] tells why.

    Raises:
        AssertionError, KeyError, TypeError, ValueError, ZeroDivisionError: with `upstream_compat` only.

    Example:

    ```python
    >>> eval_docqa_score("5", "page 5, page 7", "Integer"), eval_docqa_score("0.25", "25%", "Float")
    (1.0, 1.0)
    >>> eval_docqa_score('["black", "white", 3]', "3: white", "List")
    0.75

    ```
    """
    if not upstream_compat:
        return score(gold, prediction, answer_format).value
    if answer_format not in _SCORERS:
        raise KeyError(f"answer_format is {answer_format!r}, expected one of {sorted(_SCORERS)}")
    return _SCORERS[answer_format](gold, prediction)


def score(gold: str, prediction: str, answer_format: str) -> Score:
    """
    [`eval_docqa_score`], and why it is 0 where the right answer is not of its format. The runner calls this.

    Args:
        gold, prediction, answer_format (`str`): As in [`eval_docqa_score`].

    Example:

    ```python
    >>> score("[1, 2", "1", "List")
    Score(value=0.0, error="gold '[1, 2' as List: Expecting ',' delimiter: line 1 column 6 (char 5)")

    ```
    """
    try:
        return Score(eval_docqa_score(gold, prediction, answer_format, upstream_compat=True))
    except (AssertionError, KeyError, RecursionError, TypeError, ValueError, ZeroDivisionError) as error:
        return Score(0.0, f"gold {gold!r} as {answer_format}: {error.args[0]}")


def docqa_pipeline(raw_output: str, gold: str, answer_format: str, *, upstream_compat: bool = False) -> dict:
    """
    The answer parsed from what the model wrote, and its score.

    Args:
        raw_output (`str`): What the model wrote.
        gold, answer_format, upstream_compat: As in [`eval_docqa_score`].

    Returns:
        `dict` with `parsed_output` (`str`) and `doc_qa` (`float`).

    Example:

    ```python
    >>> docqa_pipeline("Answer: 5 pages", "5", "Integer")
    {'parsed_output': '5 pages', 'doc_qa': 1.0}

    ```
    """
    parsed = parse_output(raw_output)
    return {
        "parsed_output": parsed,
        "doc_qa": eval_docqa_score(gold, parsed, answer_format, upstream_compat=upstream_compat),
    }
