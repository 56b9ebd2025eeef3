"""Does an answer name the needle, or say that there is none."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from mmprolong_hf.evaluation.metrics.score import Score

NOT_ANSWERABLE = "Not answerable"
# What a model says instead of a value that is not there.
ABSENT_PHRASES = (
    *("not answerable", "unanswerable", "cannot be answered", "can't be answered", "cannot answer", "can't answer"),
    *(
        "not found",
        "cannot find",
        "can't find",
        "could not find",
        "couldn't find",
        "not present",
        "not in the document",
    ),
    *(
        "not mentioned",
        "not stated",
        "not given",
        "not provided",
        "not specified",
        "no information",
        "does not appear",
    ),
    *("does not contain", "doesn't contain", "does not mention", "doesn't mention", "no such"),
)
CODE = re.compile(r"(?<!\d)\d{7}(?!\d)")


def _plain(text: str) -> str:
    """One form for what reads the same: compatibility forms and case folded, white space single."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def check_needle(value: str, output: str, aliases: Iterable[str] = ()) -> int:
    """
    1 if the output holds the value, or one of its aliases, as words of its own; else 0.

    Args:
        value (`str`): What the needle says.
        output (`str`): What the model answered.
        aliases (`Iterable[str]`): Other spellings that count.

    Example:

    ```python
    >>> check_needle("6822442", "The number is 6822442."), check_needle("6822442", "68224421")
    (1, 0)
    >>> check_needle("Eiffel Tower", "eiffel  tower"), check_needle("euro", "5 €", aliases=["€"])
    (1, 1)

    ```
    """
    output = _plain(output)
    for needle in filter(None, map(_plain, (value, *aliases))):
        start = output.find(needle)
        while start >= 0:
            end = start + len(needle)
            grown_left = start > 0 and needle[0].isalnum() and output[start - 1].isalnum()
            grown_right = end < len(output) and needle[-1].isalnum() and output[end].isalnum()
            if not (grown_left or grown_right):
                return 1
            start = output.find(needle, start + 1)
    return 0


def check_absent(output: str) -> int:
    """
    1 if the output says that there is no answer (one of `ABSENT_PHRASES`) and names no code of seven digits; else 0.

    Example:

    ```python
    >>> check_absent("Not answerable."), check_absent("Not found, but maybe 6822442"), check_absent("6822442")
    (1, 0, 0)

    ```
    """
    output = _plain(output).replace("’", "'")
    return int(any(check_needle(phrase, output) for phrase in ABSENT_PHRASES) and not CODE.search(output))


def score(gold: str | Sequence[str], prediction: str, aliases: Iterable[str] = ()) -> Score:
    """
    1 if the answer names what was hidden, else 0.

    Args:
        gold (`str` or `Sequence[str]`): The needle's value; several values, all of which must be named; or
            `NOT_ANSWERABLE` where nothing was hidden.
        prediction (`str`): What the model answered.
        aliases (`Iterable[str]`): Other spellings of a single value.

    Example:

    ```python
    >>> score(["6822442", "1202641"], "6822442 and 1202641").value
    1.0
    >>> score("Not answerable", "It is not mentioned.").value
    1.0

    ```
    """
    if gold == NOT_ANSWERABLE:
        return Score(float(check_absent(prediction)))
    if isinstance(gold, str):
        return Score(float(check_needle(gold, prediction, aliases)))
    if not gold:
        return Score(0.0, "no value was hidden")
    return Score(float(all(check_needle(value, prediction) for value in gold)))
