"""
MMLongBench-Doc's rule metric (mayubo2333/MMLongBench-Doc at d73f0dc, eval/eval_score.py).

By default the scores are upstream's, with these mends: what makes upstream raise scores 0, and [`score`] tells why; a format may
have either of the names in use ("Int" or "Integer", "Str" or "String", in any case), and an unknown one is an error where upstream
takes it for a list. Lists are read as literals: upstream runs them with `eval()`.
"""

from mmprolong_hf.evaluation.metrics.literals import LITERAL_ERRORS, as_list
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


def get_clean_string(s: object) -> str:
    """
    A text in lower case without parentheses and what they hold, a quote at each end, leading "$" and trailing "%".

    Example:

    ```python
    >>> get_clean_string("'About' (est.) "), get_clean_string("$1,200"), get_clean_string("5 miles")
    ('about', '1,200', '5 miles')

    ```
    """
    text = without_parentheses(str(s).lower().strip()).strip()
    text = without_outer_quotes(text).strip()
    return text.lstrip("$").strip().rstrip("%").strip()


def _score_int(gold: object, prediction: object) -> float:
    try:
        return float(int(gold) == int(float(prediction)))
    except (ValueError, TypeError, OverflowError):
        return float(gold == "")  # upstream's: what is no number counts as the empty text


def _score_float(gold: object, prediction: object) -> float:
    number, prediction = float(get_clean_string(gold)), get_clean_string(prediction)
    return float(is_float(prediction) and is_float_equal(number, float(prediction)))


def _score_string(gold: object, prediction: object) -> float:
    return score_text(get_clean_string(gold), get_clean_string(prediction))


def _score_list(gold: object, prediction: object) -> float:
    """Both lists sorted and compared item by item; the worst item decides."""
    golds, predictions = as_list(gold), as_list(prediction)
    if len(golds) != len(predictions):
        return 0.0
    if not golds:
        raise IndexError("expected a list with at least one item")
    golds, predictions = sorted(map(get_clean_string, golds)), sorted(map(get_clean_string, predictions))
    if is_float(golds[0]) or is_exact_match(golds[0]):
        return float("-".join(golds) == "-".join(predictions))
    return min(map(anls_compute, golds, predictions))


_RULES = {
    "Int": _score_int,
    "Float": _score_float,
    "Str": _score_string,
    "None": _score_string,
    "List": _score_list,
}


def eval_score(gold: object, prediction: object, answer_format: str, *, upstream_compat: bool = False) -> float:
    """
    MMLongBench-Doc's score of one answer, from 0 to 1.

    An `"Int"` is compared after cutting off decimals, a `"Float"` by [`is_float_equal`], a `"Str"` and a `"None"` by
    [`score_text`]. A `"List"` must have as many items as the right one: it is equal where the first right item is a number or of a
    fixed form, else the similarity of the worst item, both in alphabetical order.

    Args:
        gold (`str`, `int`, `float` or `list`): The right answer. A list may be written as a Python literal.
        prediction (`str` or `list`): The extracted answer, from `parse_extracted_answer`.
        answer_format (`str`): `"Int"`, `"Float"`, `"Str"`, `"None"` or `"List"`; `"Integer"` and `"String"` are the same as `"Int"`
            and `"Str"`.
        upstream_compat (`bool`): Raise what upstream raises, and take every other `answer_format` for a list.

    Raises:
        ValueError: when `answer_format` is unknown, without `upstream_compat`.
        IndexError, NameError, SyntaxError, ValueError: with `upstream_compat` only, where upstream raises them: two empty lists, a
            list that is no literal, a right answer that is no number.

    Example:

    ```python
    >>> eval_score("8", "8.9", "Int"), eval_score("18.29%", "0.1829", "Float"), eval_score("Yes", "yes", "Str")
    (1.0, 1.0, 1.0)
    >>> eval_score("['black', 'white']", "['white', 'blac']", "List")
    0.8

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
    >>> score("12", "12", "Int").value
    1.0
    >>> score("twelve", "12", "Int")
    Score(value=0.0, error="gold 'twelve' as Int: invalid literal for int() with base 10: 'twelve'")

    ```
    """
    rule = rule_of(answer_format, _RULES)
    try:
        if rule is _score_int:
            int(gold)
        return Score(rule(gold, prediction))
    except (IndexError, OverflowError, *LITERAL_ERRORS) as error:
        return Score(0.0, f"gold {gold!r} as {answer_format}: {error}")


def parse_extracted_answer(extracted: str, *, upstream_compat: bool = False) -> str | None:
    """
    The answer in an extractor's reply: what follows "Extracted answer:", up to "Answer format:".

    Args:
        extracted (`str`): The reply of the model that shortens answers.
        upstream_compat (`bool`): Raise where there is no such answer. By default that is `None`, to be counted as a failure.

    Raises:
        IndexError: with `upstream_compat` only.

    Example:

    ```python
    >>> parse_extracted_answer("Extracted answer: 10 Answer format: Integer")
    '10'

    ```
    """
    reply = extracted.partition("Answer format:")[0]
    _, label, answer = reply.partition("Extracted answer:")
    if not label:
        if upstream_compat:
            raise IndexError("expected 'Extracted answer:' in the reply")
        return None
    return answer.partition("Extracted answer:")[0].strip()
