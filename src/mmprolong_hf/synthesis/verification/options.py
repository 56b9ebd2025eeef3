"""What a question must pass to be published."""

from dataclasses import dataclass

from ..schema import VERDICTS
from .judge import JudgeOptions


@dataclass(frozen=True)
class VerifyOptions:
    """
    Which checks decide. All of them are made and stored with the question, whatever is required here.

    Args:
        require (`tuple[str]`, *optional*): Some of `schema.VERDICTS` that must not fail; all if not given.
        judge (`JudgeOptions`, *optional*): The second model; without one its four checks stay "unchecked".

    Raises:
        ValueError: for an unknown check.

    Example:

    ```python
    >>> len(VerifyOptions().require), VerifyOptions(require=("wording",)).judge
    (10, None)
    >>> VerifyOptions(require=("spelling",))
    Traceback (most recent call last):
    ...
    ValueError: require has 'spelling', expected some of evidence_inside, quotes_found, anchor_unique, wording, \
answer_hidden, expression, evidence_only, without_evidence, closed_book, single_page

    ```
    """

    require: tuple[str, ...] = VERDICTS
    judge: JudgeOptions | None = None

    def __post_init__(self):
        for name in self.require:
            if name not in VERDICTS:
                raise ValueError(f"require has {name!r}, expected some of {', '.join(VERDICTS)}")
