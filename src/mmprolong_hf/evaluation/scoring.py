"""Is an answer to a question of the data set right?"""

import re
import unicodedata
from decimal import Decimal


def _plain(text: str) -> str:
    """One form for what reads the same: compatibility forms and case folded, white space single."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


# Punctuation and articles do not count, but a number keeps its sign, its decimal point and its "%".
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_PUNCTUATION = re.compile(r"(?<=\d)[.,:/-](?=\d)|(?<![^\s(])[-+](?=[.\d])|%|([^\w\s]|_)")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def _normalize_answer(text: str) -> str:
    text = _THOUSANDS.sub(lambda number: number[0].replace(",", ""), _plain(text).replace("−", "-"))
    text = _PUNCTUATION.sub(lambda mark: " " if mark[1] else mark[0], text)
    return " ".join(_ARTICLES.sub(" ", text).split())


def exact_match(prediction: str, answer: str, answer_format: str = "String") -> int:
    """
    1 if the prediction is the answer, apart from case, articles, spacing and punctuation outside numbers; else 0.

    Args:
        prediction (`str`): What the model answered.
        answer (`str`): The right answer, as the data set writes it.
        answer_format (`str`): One of `ANSWER_FORMATS`. A `"List"` has "; " between its parts, in any order; an `"Integer"` or a
            `"Float"` also equals another spelling of the same number.

    Example:

    ```python
    >>> exact_match("The rain, by month.", "Rain by Month"), exact_match("3.10", "3.1"), exact_match("-42", "42")
    (1, 0, 0)
    >>> exact_match("1,250.50", "1250.5", "Float"), exact_match("May; April", "April; May", "List")
    (1, 1)

    ```
    """
    if answer_format == "List":
        parts = [sorted(map(_normalize_answer, text.split(";"))) for text in (prediction, answer)]
        return int(parts[0] == parts[1])
    prediction, answer = _normalize_answer(prediction), _normalize_answer(answer)
    number = re.compile(r"[-+]?\d+(?:\.\d+)?")
    if answer_format in ("Integer", "Float") and number.fullmatch(prediction) and number.fullmatch(answer):
        return int(Decimal(prediction) == Decimal(answer))
    return int(prediction == answer)
