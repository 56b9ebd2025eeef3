"""What a metric says of one answer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """
    A score, and what went wrong where it is one for lack of a better: a failure counts as 0 and is told.

    Args:
        value (`float`): From 0 to 1.
        error (`str`, *optional*): Why it could not be worked out.

    Example:

    ```python
    >>> Score(0.0, "the gold answer is no list: '[1, 2'").value
    0.0

    ```
    """

    value: float
    error: str | None = None
