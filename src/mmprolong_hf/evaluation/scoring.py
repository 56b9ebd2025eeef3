"""Is an answer to a question of the data set right?"""

import re
import unicodedata
from decimal import Decimal


def _plain(text: str) -> str:
    """One form for what reads the same: compatibility forms and case folded, white space single."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


# Punctuation and articles do not count, but a number keeps its sign, its decimal point and its "%", and what tells "C++" from "C#",
# "> 5" from "< 5" and "$5" from "£5" stays.
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_PUNCTUATION = re.compile(r"(?<=\d)[.,:/-](?=\d)|(?<![^\s($€£])-(?=[$€£]?[.\d])|[%+#<>$€£]|([^\w\s]|_)")
_ARTICLES = re.compile(r"(?<!\S)(?:a|an|the)(?!\S)")
_SPACED_MARK = re.compile(r" ?([+#<>$€£]) ?")
_CURRENCY = re.compile("[$€£]")
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


def _normalize_answer(text: str) -> str:
    """The text as it is compared; one that is nothing but articles and punctuation as it is written."""
    plain = _plain(text)
    text = _THOUSANDS.sub(lambda number: number[0].replace(",", ""), plain.replace("−", "-"))
    text = _PUNCTUATION.sub(lambda mark: " " if mark[1] else mark[0], text)
    text = " ".join(_ARTICLES.sub(" ", text).split())
    return _SPACED_MARK.sub(r"\1", text) or plain


def _number(text: str) -> tuple[Decimal | None, set[str]]:
    """What a normalized answer reads as, if it is a number, and its currency."""
    digits = _CURRENCY.sub("", text)
    return Decimal(digits) if _NUMBER.fullmatch(digits) else None, set(_CURRENCY.findall(text))


def exact_match(prediction: str, answer: str, answer_format: str = "String") -> int:
    """
    1 if the prediction is the answer, apart from case, articles, spacing and punctuation outside numbers; else 0. Nothing is never
    the answer, and an answer that is only an article or punctuation must be given as it is written.

    Args:
        prediction (`str`): What the model answered.
        answer (`str`): The right answer, as the data set writes it.
        answer_format (`str`): One of `ANSWER_FORMATS`. A `"List"` has "; " between its parts, in any order; an `"Integer"` or a
            `"Float"` also equals another spelling of the same number, and one with its currency left out.

    Example:

    ```python
    >>> exact_match("The rain, by month.", "Rain by Month"), exact_match("3.10", "3.1"), exact_match("-42", "42")
    (1, 0, 0)
    >>> exact_match("1,250.50", "1250.5", "Float"), exact_match("May; April", "April; May", "List")
    (1, 1)
    >>> exact_match("C#", "C++"), exact_match("", "A"), exact_match("The", "A")
    (0, 0, 0)

    ```
    """
    if not prediction.strip():
        return 0
    if answer_format == "List":
        parts = [sorted(map(_normalize_answer, text.split(";"))) for text in (prediction, answer)]
        return int(parts[0] == parts[1])
    prediction, answer = _normalize_answer(prediction), _normalize_answer(answer)
    if answer_format in ("Integer", "Float"):
        (found, currency), (right, right_currency) = _number(prediction), _number(answer)
        if found is not None and right is not None:
            return int(found == right and (currency == right_currency or not currency or not right_currency))
    return int(prediction == answer)
