"""
When two short answers about a document are the same: names of formats, fixed forms, numbers and texts.

The rules are those that MMLongBench-Doc (mayubo2333/MMLongBench-Doc at d73f0dc) and LongDocURL (dengc2023/LongDocURL at 3807c0e)
have in common.
"""

import math
import re
from collections.abc import Callable, Mapping

from mmprolong_hf.evaluation.metrics.anls import similarity

_OUTER_QUOTES = re.compile(r"^['\"]|['\"]$")
_EXACT = re.compile(
    r"\d+(?:[-\s]\d+)?"  # a number, a telephone number, a year and month
    r"|\d{4}[-\s]\d{2}[-\s]\d{2}"  # 2019-05-01
    r"|[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}"
)


def without_parentheses(text: str) -> str:
    """
    A text without parentheses, what they hold and the white space before them, in time that grows with its length alone.

    It is the text without what the regular expression `\\s*\\([^)]*\\)` finds: a parenthesis ends at the first ")", and one without an
    end stays.

    Example:

    ```python
    >>> without_parentheses("about (est. (old)) 5 (km"), without_parentheses("a) b (c)")
    ('about) 5 (km', 'a) b')

    ```
    """
    *closed, rest = text.split(")")
    kept = [piece.partition("(")[0].rstrip() if "(" in piece else f"{piece})" for piece in closed]
    return "".join(kept) + rest


def without_outer_quotes(text: str) -> str:
    """
    A text without a quote at its beginning and one at its end, whether or not they are a pair.

    Example:

    ```python
    >>> without_outer_quotes("'about'"), without_outer_quotes("it's"), without_outer_quotes("years'")
    ('about', "it's", 'years')

    ```
    """
    return _OUTER_QUOTES.sub("", text)


def rule_of(answer_format: str, rules: Mapping[str, Callable]) -> Callable:
    """
    The rule of a format, which may have either of the names in use ("Int" or "Integer", "Str" or "String"), in any case.

    Args:
        answer_format (`str`): As a dataset names it.
        rules (`Mapping[str, Callable]`): A format, as the benchmark names it -> what scores a right and a predicted answer.

    Raises:
        ValueError: when none of the rules is of this format.

    Example:

    ```python
    >>> rule_of("integer", {"Int": max, "Float": min})
    <built-in function max>

    ```
    """
    for name, rule in rules.items():
        if _short(name) == _short(answer_format):
            return rule
    raise ValueError(f"answer_format is {answer_format!r}, expected one of {', '.join(rules)}")


def _short(answer_format: str) -> str:
    return {"integer": "int", "string": "str"}.get(answer_format.lower(), answer_format.lower())


def is_exact_match(s: str) -> bool:
    """
    Whether a clean right answer must be given letter by letter: an address, a file, a page, a number, a date or a time.

    Example:

    ```python
    >>> is_exact_match("page 3"), is_exact_match("555-1234"), is_exact_match("2019/05/01")
    (True, True, False)

    ```
    """
    return (
        "https://" in s
        or s.endswith((".py", "ipynb"))
        or s.startswith("page")
        or "a.m." in s
        or "p.m." in s
        or _EXACT.fullmatch(s) is not None
    )


def is_float_equal(gold: float, prediction: float) -> bool:
    """
    Whether a number is the right one, to 1 % or to the decimals that both have, but at least two; one of them may be a percentage.

    Example:

    ```python
    >>> is_float_equal(0.25, 25.0), is_float_equal(18.29, 18.2), is_float_equal(18.29, 18.1)
    (True, True, False)

    ```
    """
    for right in (gold / 100, gold, gold * 100):
        decimals = max(min(_num_decimals(right), _num_decimals(prediction)), 2)
        if math.isclose(prediction, right, rel_tol=0.01) or round(prediction, decimals) == round(right, decimals):
            return True
    return False


def _num_decimals(number: float) -> int:
    """Characters after the point, as upstream counts them: 6 in 1.5e-300, and 3 where there is no point."""
    _, point, decimals = str(number).partition(".")
    return len(decimals) if point else 3


def is_float(s: str) -> bool:
    """
    Whether a text reads as a number, "nan" and "inf" included.

    Example:

    ```python
    >>> is_float("1e3"), is_float("1,000")
    (True, False)

    ```
    """
    try:
        float(s)
    except ValueError:
        return False
    return True


def anls_compute(gold: str, prediction: str) -> float:
    """
    Similarity of two texts by edit distance, compared as they are; 0 where it is not above one half.

    Example:

    ```python
    >>> anls_compute("kitten", "sitting"), anls_compute("abcd", "abxy")
    (0.5714285714285714, 0.0)

    ```
    """
    value = similarity(gold, prediction)
    return value if value > 0.5 else 0.0


def score_text(gold: str, prediction: str) -> float:
    """
    [`anls_compute`] of two clean texts, or equality where [`is_exact_match`] asks for it.

    Example:

    ```python
    >>> score_text("well-off", "well off"), score_text("page 12", "page 13")
    (0.875, 0.0)

    ```
    """
    return float(gold == prediction) if is_exact_match(gold) else anls_compute(gold, prediction)
