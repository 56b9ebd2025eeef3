"""Whether two answers are the same, as far as that can be told without a model."""

import re
import unicodedata
from decimal import Decimal

from ..schema import NOT_ANSWERABLE
from ..text import fold
from .expression import NUMBER, PERCENT, to_decimal

_UNKNOWN = re.compile(
    r"(?:un|not )answerable|(?:can ?not|can't|could not) be (?:answered|determined|found)|not (?:stated|given|mentioned|shown)"
    r"|no answer|unknown|none|n/?a",
    re.IGNORECASE,
)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
# a mark between digits, before a number or after a letter ("C++", "C#") says something; at the end of a sentence it does not
_PUNCTUATION = re.compile(r"[\"'“”‘’«»()\[\]{}?!;:]|[.,](?!\d)|_")
_SEPARATORS = re.compile(r"\s*[;\n]\s*")
_JOINTS = str.maketrans("", "", " -‐‑–")


def says_not_answerable(answer: str) -> bool:
    """
    Whether a model says that the pages do not tell.

    Args:
        answer (`str`): As it answered.

    Example:

    ```python
    >>> says_not_answerable("Not answerable."), says_not_answerable("n/a"), says_not_answerable("Not answerable here, but 5")
    (True, True, False)

    ```
    """
    return fold(answer) == fold(NOT_ANSWERABLE) or bool(_UNKNOWN.fullmatch(answer.strip().rstrip(".!").strip()))


def agree(given: str, expected: str, answer_format: str = "String", *, tolerance: float = 0.0) -> bool | None:
    """
    Whether a given answer is the expected one; None where words differ and only a reader can tell.

    Numbers agree at the precision in which the expected one is printed, with or without thousands separators, unit and
    percent sign. A List agrees in any order, each part with one of the other. Case, articles, spaces and the punctuation of
    sentences do not count.

    Args:
        given (`str`): As the judge answered.
        expected (`str`): As the teacher answered.
        answer_format (`str`, *optional*, defaults to `"String"`): One of `schema.ANSWER_FORMATS`, of the expected answer.
        tolerance (`float`, *optional*, defaults to `0.0`): Relative difference up to which numbers are equal.

    Example:

    ```python
    >>> agree("1,250 visitors", "1250", "Integer"), agree("12.347", "12.35", "Float"), agree("0.25", "25 %", "Float")
    (True, True, True)
    >>> agree("June; May", "May; June", "List"), agree("Chapter 3", "Chapter 4")
    (True, False)
    >>> agree("the northern station", "North station") is None
    True

    ```
    """
    if expected == NOT_ANSWERABLE:
        return says_not_answerable(given)
    if says_not_answerable(given) and _plain(given) != _plain(expected):
        return False
    if answer_format == "List":
        return _lists_agree(given, expected, tolerance)
    if answer_format in ("Integer", "Float"):
        return _numbers_agree(given, expected, answer_format, tolerance)
    left, right = _plain(given), _plain(expected)
    if left == right or left.translate(_JOINTS) == right.translate(_JOINTS):
        return True
    numbers = [[to_decimal(n) for n in NUMBER.findall(text)] for text in (given, expected)]
    if all(numbers) and not set(numbers[1]) <= set(numbers[0]):
        return False
    return None


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold().replace("−", "-")
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    return " ".join(_ARTICLES.sub(" ", _PUNCTUATION.sub(" ", text)).split())


def _numbers_agree(given: str, expected: str, answer_format: str, tolerance: float) -> bool | None:
    found = [NUMBER.findall(text) for text in (given, expected)]
    if len(found[0]) != 1 or len(found[1]) != 1:
        return True if _plain(given) == _plain(expected) else None
    left, right = (to_decimal(numbers[0]) for numbers in found)
    scales = (1, PERCENT, Decimal(1) / PERCENT) if ("%" in given) != ("%" in expected) else (1,)
    decimals = -right.as_tuple().exponent
    half = Decimal(10) ** -decimals / 2 if answer_format == "Float" and decimals > 0 else Decimal(0)
    within = max(half, abs(right) * Decimal(repr(tolerance)))
    return any(abs(left * scale - right) <= within for scale in scales)


def _lists_agree(given: str, expected: str, tolerance: float) -> bool | None:
    wanted = [p for p in _SEPARATORS.split(expected.strip()) if p]
    parts = [p for p in _SEPARATORS.split(given.strip()) if p]
    if len(parts) != len(wanted):  # some write a list with commas
        parts = [p.strip() for p in re.split(r",\s+|\s+and\s+|;|\n", given) if p.strip()]
    if len(parts) != len(wanted):
        return None
    undecided = False
    for part in wanted:
        outcomes = [agree(other, part, _format(part), tolerance=tolerance) for other in parts]
        if True in outcomes:
            parts.pop(outcomes.index(True))
        elif None in outcomes:
            undecided = True
        else:
            return False
    return None if undecided else True


def _format(part: str) -> str:
    return "Float" if NUMBER.fullmatch(part) else "String"
