"""What is loaded from the Hub, through failures that pass; those that do not are one line."""

from collections.abc import Callable
from typing import TypeVar

from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from mmprolong_hf.hub.retries import FAILURES, persistently, root_of

T = TypeVar("T")


def from_hub(load: Callable[[], T], refusal: str) -> T:
    """
    What `load` gives, tried again where its failure may pass: `load_dataset` and `snapshot_download` try some requests again, and
    give up at the first failure of others.

    Args:
        load (`Callable`): Loads from the Hub, or from the cache where that is not reached.
        refusal (`str`): What the error says before its reason.

    Raises:
        ValueError: in one line, when the Hub does not give it.
        OfflineModeIsEnabled: when it is not to be asked (`HF_HUB_OFFLINE`), and the cache has not all of it.
    """
    try:
        return persistently(lambda: _bare(load))
    except FAILURES as error:
        raise ValueError(f"{refusal}: {_reason(root_of(error))}") from error


def _bare(load: Callable[[], T]) -> T:
    try:
        return load()
    except LocalEntryNotFoundError as error:  # neither on the Hub nor in the cache: why not on the Hub?
        raise error.__cause__ or error from None


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()[0]
    if not isinstance(error, HfHubHTTPError):
        return f"it cannot be reached ({text}); the same command goes on later"
    status = error.response.status_code
    if status in (401, 403):
        return (
            f"it answered {status}, so the token is missing, wrong or may not read it, or there is no such repository; set HF_TOKEN, or "
            "run `hf auth login`"
        )
    if status == 404:
        return (
            f"it answered 404, so there is no such repository or revision, or it is not shown to this token ({text})"
        )
    return f"it answered {status} ({text}); the same command goes on later"
