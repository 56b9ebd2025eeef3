"""Calls of the Hub that are tried again where their failure may pass."""

import json
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import httpx2  # huggingface_hub's own
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import parse_ratelimit_headers
from tqdm import tqdm

ATTEMPTS = 8
LONGEST_PAUSE = 60.0  # seconds
# What a call of huggingface_hub (2.4) raises when the Hub or the way to it fails. RuntimeError is what it makes of an upload that
# it has given up; JSONDecodeError comes of a busy Hub that answers in HTML.
FAILURES = (HfHubHTTPError, httpx2.TransportError, RuntimeError, json.JSONDecodeError)
T = TypeVar("T")


def persistently(call: Callable[[], T]) -> T:
    """
    The call's result, tried again where its failure may pass. huggingface_hub does that for some calls (uploads, listings) and not
    for others (making a repository, asking for its head).

    Raises:
        One of `FAILURES`: one that does not pass, or the last of 8.
    """
    for attempt in range(ATTEMPTS - 1):
        try:
            return call()
        except FAILURES as error:
            if not is_passing(error):
                raise
            wait(error, attempt)
    return call()


def wait(error: BaseException, attempt: int) -> None:
    """Wait before the next try, and say so: the longest pauses take a minute."""
    seconds = pause(error, attempt)
    tqdm.write(f"the Hub: {one_line(root_of(error))}; again in {seconds:.0f} s", file=sys.stderr)
    time.sleep(seconds)


def one_line(error: BaseException) -> str:
    """An error's first words; those of huggingface_hub go over several lines."""
    return " ".join(str(error).split())[:200]


def root_of(error: BaseException) -> BaseException:
    """What failed, where the library has wrapped it."""
    wrapped = isinstance(error, RuntimeError) and isinstance(error.__cause__, FAILURES)
    return root_of(error.__cause__) if wrapped else error


def is_passing(error: BaseException) -> bool:
    """Whether the same call may work a little later."""
    error = root_of(error)
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in (408, 429, 500, 502, 503, 504)
    return isinstance(error, httpx2.TransportError | json.JSONDecodeError)


def pause(error: BaseException, attempt: int) -> float:
    """Seconds to wait: what the Hub says, or twice as long each time."""
    error = root_of(error)
    if isinstance(error, HfHubHTTPError):
        headers = error.response.headers
        limit = parse_ratelimit_headers(headers)
        if limit is not None and limit.remaining == 0:
            return limit.reset_in_seconds
        if headers.get("Retry-After", "").isdigit():
            return int(headers["Retry-After"])
    return min(LONGEST_PAUSE, 2.0**attempt)


def refusal(error: Exception, repo_id: str, endpoint: str) -> str:
    """One line of what came out of a call, and what to do."""
    words = one_line(error)
    if not isinstance(error, HfHubHTTPError):
        return f"the Hub at {endpoint} cannot be reached ({words}); the same command goes on later"
    status = error.response.status_code
    reason = {
        401: "the token is missing, wrong or expired; set HF_TOKEN to one that may write",
        403: f"the token may not write to {repo_id}; take one with write access to that namespace",
        404: f"{repo_id} does not exist or is not shown to this token",
        429: "too many requests; the same command goes on later",
    }.get(status, "the same command goes on with what is missing" if status >= 500 else "see its words")
    return f"the Hub answered {status} ({error.server_message or words}): {reason}"
