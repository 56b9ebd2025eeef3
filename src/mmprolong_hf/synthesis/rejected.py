"""How a document is turned away."""


class RejectedDocument(Exception):
    """
    A PDF that is left out, with a reason that can be counted.

    Args:
        reason (`str`): A short code, e.g. `"encrypted"`.
        detail (`str`): What was found and what was expected.

    Example:

    ```python
    >>> RejectedDocument("no_pages", "it has no page").reason
    'no_pages'

    ```
    """

    def __init__(self, reason: str, detail: str):
        super().__init__(reason, detail)  # both in args, so that the exception can be pickled
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"
