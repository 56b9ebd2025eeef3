"""The outcome of one check of one question."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..schema import VERDICT_VALUES


@dataclass(frozen=True)
class Verdict:
    """
    Whether a question passed one check, and if not, why.

    Args:
        value (`str`): One of `schema.VERDICT_VALUES`.
        reason (`str`): A short code that can be counted, e.g. `"answer_in_question"`; empty for `"pass"`.
        detail (`str`): What was found, for a reader of the rejected questions.

    Raises:
        ValueError: for another value, or if a reason is missing or out of place.

    Example:

    ```python
    >>> str(Verdict("fail", "answer_in_question", "'42' is a number of the question"))
    "answer_in_question: '42' is a number of the question"
    >>> Verdict("failed", "answer_in_question")
    Traceback (most recent call last):
    ...
    ValueError: value is 'failed', expected one of pass, fail, unchecked

    ```
    """

    value: str
    reason: str = ""
    detail: str = ""

    def __post_init__(self):
        if self.value not in VERDICT_VALUES:
            raise ValueError(f"value is {self.value!r}, expected one of {', '.join(VERDICT_VALUES)}")
        if (self.value == "pass") == bool(self.reason):
            raise ValueError(
                f"a verdict {self.value!r} has the reason {self.reason!r}, expected one unless it is 'pass'"
            )

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason or self.value


PASS = Verdict("pass")


def failed(verdicts: Mapping[str, Verdict], require: Iterable[str]) -> str | None:
    """
    The first required check that a question failed, or None; what could not be checked is no failure.

    Args:
        verdicts (`Mapping[str, Verdict]`): Name of a check -> its outcome.
        require (`Iterable[str]`): Names of checks that must not fail.

    Example:

    ```python
    >>> verdicts = {"wording": PASS, "expression": Verdict("fail", "other_value"), "closed_book": Verdict("unchecked", "http_500")}
    >>> failed(verdicts, ("wording", "closed_book")), failed(verdicts, ("wording", "expression"))
    (None, 'expression')

    ```
    """
    return next((name for name in require if name in verdicts and verdicts[name].value == "fail"), None)
