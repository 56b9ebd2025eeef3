"""
LongDocURL's rule metric, version 3 (dengc2023/LongDocURL at 3807c0e, utils/utils_score_v3.py).

By default the scores are upstream's, with these mends: what makes upstream raise scores 0, and [`score`] tells why; a format may be
written in any case and in MMLongBench-Doc's short form ("Int", "Str"), and an unknown one is an error where upstream takes it for a
list; an extracted "1,234" stays a text, and so the number 1234, where upstream reads a pair. Lists are read as literals: upstream
runs them with `eval()`.
"""

from collections.abc import Mapping, Sequence

from mmprolong_hf.evaluation.metrics.answerable_f1 import eval_acc_and_f1
from mmprolong_hf.evaluation.metrics.literals import LITERAL_ERRORS, as_list, parse_literal
from mmprolong_hf.evaluation.metrics.score import Score
from mmprolong_hf.evaluation.metrics.short_answers import (
    anls_compute,
    is_exact_match,
    is_float,
    is_float_equal,
    rule_of,
    score_text,
    without_outer_quotes,
    without_parentheses,
)

NUM_QUESTIONS = 2325  # of the whole benchmark
FAILED = "Fail to extract"

_UNITS = ["kg", "mm", "m", "meters", "acres", "minutes", "mile", "miles", "million", "thousand", "billion"]


def get_clean_string(s: object) -> str:
    """
    A text in lower case without commas, units, parentheses and what they hold, a quote at each end, leading "$" and "£", trailing
    "%".

    A unit takes all of its letters off the end, in any order and number: "smiles" becomes "" and "program" becomes "progra".

    Example:

    ```python
    >>> get_clean_string("$96,395 million"), get_clean_string("Paris (France)"), get_clean_string("smiles")
    ('96395', 'paris', '')

    ```
    """
    text = str(s).lower().strip().replace(",", "")
    for unit in _UNITS:
        if text.endswith(unit):
            text = text.rstrip(unit).strip()
    text = without_parentheses(text).strip()
    text = without_outer_quotes(text).strip()
    return text.lstrip("$").strip().lstrip("£").strip().rstrip("%").strip()


def _score_integer(gold: object, prediction: object) -> float:
    try:
        return float(int(get_clean_string(gold)) == int(get_clean_string(prediction)))
    except ValueError:
        return float(gold == "")  # upstream's: what is no number counts as the empty text


def _score_float(gold: object, prediction: object) -> float:
    gold, prediction = get_clean_string(gold), get_clean_string(prediction)
    return float(is_float(gold) and is_float(prediction) and is_float_equal(float(gold), float(prediction)))


def _score_string(gold: object, prediction: object) -> float:
    return score_text(get_clean_string(gold), get_clean_string(prediction))


def _score_list(gold: object, prediction: object) -> float:
    """The best of the predicted items for each right one; fewer points where more items are given than asked for."""
    golds, predictions = _clean_items(as_list(gold)), _clean_items(as_list(prediction))
    if is_float(golds[0]) or is_exact_match(golds[0]):
        return float("-".join(golds) == "-".join(predictions))
    best = [max(anls_compute(right, given) for given in predictions) for right in golds]
    return sum(best) / len(golds) * min(1, len(golds) / len(predictions)) ** 0.5


def _clean_items(items: list) -> list[str]:
    if not items:
        raise IndexError("expected a list with at least one item")
    texts = ["-".join(map(str, item.values())) if isinstance(item, dict) else item for item in items]
    return [get_clean_string(text) for text in texts]


_RULES = {
    "Integer": _score_integer,
    "Float": _score_float,
    "String": _score_string,
    "None": _score_string,
    "List": _score_list,
}


def eval_score(gold: object, prediction: object, answer_format: str, *, upstream_compat: bool = False) -> float:
    """
    LongDocURL's score of one answer, from 0 to 1.

    An `"Integer"` must be written as one, apart from units; a `"Float"` is compared by
    [`~mmprolong_hf.evaluation.metrics.short_answers.is_float_equal`], a `"String"` and a `"None"` by
    [`~mmprolong_hf.evaluation.metrics.short_answers.score_text`]. A `"List"` is equal, in order, where its first right item is a
    number or of a fixed form; else it is the mean over the right items of the most similar predicted one, times the root of
    num_right / num_predicted where too many are given. An item that is a dict stands for its values, joined by "-".

    Args:
        gold (`str`, `int`, `float` or `list`): The right answer. A list may be written as a Python literal.
        prediction (`str`, `int`, `float` or `list`): The extracted answer, from [`parse_concise_safe`].
        answer_format (`str`): `"Integer"`, `"Float"`, `"String"`, `"None"` or `"List"`.
        upstream_compat (`bool`): Raise what upstream raises, and take every other `answer_format` for a list.

    Raises:
        ValueError: when `answer_format` is unknown, without `upstream_compat`.
        IndexError, NameError, SyntaxError, ValueError: with `upstream_compat` only, where upstream raises them: an empty list, a
            list that is no literal.

    Example:

    ```python
    >>> eval_score(5, "5 kg", "Integer"), eval_score("18.29%", "0.1829", "Float"), eval_score("Yes", "yes", "String")
    (1.0, 1.0, 1.0)
    >>> eval_score(["black", "white"], ["black", "whit"], "List"), eval_score(["a"], ["a", "b", "c", "d"], "List")
    (0.9, 0.5)

    ```
    """
    if upstream_compat:
        return _RULES.get(answer_format, _score_list)(gold, prediction)
    return score(gold, prediction, answer_format).value


def score(gold: object, prediction: object, answer_format: str) -> Score:
    """
    [`eval_score`], and why it is 0 where it cannot be worked out. The runner calls this.

    Args:
        gold, prediction, answer_format: As in [`eval_score`].

    Raises:
        ValueError: when `answer_format` is unknown.

    Example:

    ```python
    >>> score(["a"], "[]", "List")
    Score(value=0.0, error="gold ['a'] as List: expected a list with at least one item")

    ```
    """
    rule = rule_of(answer_format, _RULES)
    try:
        if rule is _score_integer:
            int(get_clean_string(gold))
        elif rule is _score_float:
            float(get_clean_string(gold))
        return Score(rule(gold, prediction))
    except (IndexError, *LITERAL_ERRORS) as error:
        return Score(0.0, f"gold {gold!r} as {answer_format}: {error}")


def calculate_accuracy(
    golds: Sequence, predictions: Sequence, formats: Sequence[str], *, upstream_compat: bool = False
) -> dict[str, float | None]:
    """
    Mean score, and the same as a share of all questions of the benchmark, so that those left out count as 0.

    Args:
        golds, predictions, formats (`Sequence`): Of each question, as in [`eval_score`].
        upstream_compat (`bool`): As in [`eval_score`].

    Returns:
        `dict` with `generalized_score` (`None` without questions) and `rectified`.

    Raises:
        ZeroDivisionError: without questions, with `upstream_compat` only.

    Example:

    ```python
    >>> calculate_accuracy([5, "abcd"], ["5", "abce"], ["Integer", "String"])["generalized_score"]
    0.875

    ```
    """
    if not golds and not upstream_compat:
        return {"generalized_score": None, "rectified": 0.0}
    total = sum(
        eval_score(gold, prediction, answer_format, upstream_compat=upstream_compat)
        for gold, prediction, answer_format in zip(golds, predictions, formats, strict=True)
    )
    return {"generalized_score": total / len(golds), "rectified": total / NUM_QUESTIONS}


def calculate_acc_and_f1(samples: Sequence[Mapping], *, upstream_compat: bool = False) -> dict[str, float | None]:
    """
    [`~mmprolong_hf.evaluation.metrics.answerable_f1.eval_acc_and_f1`] of the column `score_v3`.

    Example:

    ```python
    >>> calculate_acc_and_f1([{"answer": "a", "pred": "a", "score_v3": 1.0}])
    {'acc': 1.0, 'f1': 1.0}

    ```
    """
    return eval_acc_and_f1(samples, key="score_v3", upstream_compat=upstream_compat)


def parse_concise_safe(extracted: str, *, upstream_compat: bool = False) -> dict:
    """
    The answer and its format in an extractor's reply, from its `<concise_answer>` and `<answer_format>`.

    Args:
        extracted (`str`): The reply of the model that shortens answers.
        upstream_compat (`bool`): Read every literal, so that "1,234" is a pair. By default only lists are read.

    Returns:
        `dict` with `pred` and `format`: "Fail to extract" and "None" where either is missing.

    Example:

    ```python
    >>> reply = "<concise_answer>1,234</concise_answer><answer_format>Integer</answer_format>"
    >>> parse_concise_safe(reply), parse_concise_safe(reply, upstream_compat=True)["pred"]
    ({'pred': '1,234', 'format': 'Integer'}, (1, 234))

    ```
    """
    answer, answer_format = _tagged(extracted, "concise_answer"), _tagged(extracted, "answer_format")
    if answer is None or answer_format is None:
        return {"pred": FAILED, "format": "None"}
    pred = answer
    if upstream_compat or pred.lstrip().startswith("["):
        try:
            pred = parse_literal(pred)
        except LITERAL_ERRORS:
            pred = answer
    return {"pred": pred, "format": answer_format}


def _tagged(text: str, tag: str) -> str | None:
    inside, closing, _ = text.partition(f"<{tag}>")[2].partition(f"</{tag}>")
    return inside if closing else None
