"""Replies on disk: what was paid for once is never asked again."""

import time
from dataclasses import dataclass
from pathlib import Path

from .database import open_database

MAX_USAGE = 2**31  # tokens; a server that counts as many has a fault


class RequestFailed(Exception):
    """
    A request that is given up; the run goes on without its reply.

    Args:
        reason (`str`): A short code that can be counted: `"http_400"`, `"timed_out"`, `"truncated"`, ...
        detail (`str`): What the server said, or what was found.

    Example:

    ```python
    >>> str(RequestFailed("truncated", "the reply ended at 2048 tokens"))
    'truncated: the reply ended at 2048 tokens'

    ```
    """

    def __init__(self, reason: str, detail: str):
        super().__init__(reason, detail)  # both in args, so that the exception can be pickled
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


@dataclass(frozen=True)
class Reply:
    """
    What a model answered.

    Args:
        text (`str`): As the model wrote it.
        prompt_tokens (`int`): Tokens that were sent, as the server counts.
        completion_tokens (`int`): Tokens that were written, thinking included.
        usd (`float`): What the call cost when it was made.
        cached (`bool`): Whether it was known already, so that nothing was paid now.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    usd: float
    cached: bool


@dataclass(frozen=True)
class Completion:
    """
    The part of a server's answer that is kept, usable or not: both are paid for.

    Args:
        text (`str`): Content of the message; empty if there is none.
        finish_reason (`str`): The server's: `"stop"`, `"length"`, `"content_filter"`, ...
        prompt_tokens (`int`): From the server's usage.
        completion_tokens (`int`): From the server's usage.
        usd (`float`): Price of the call.
        counted (`bool`): Whether the server has just told its usage. Without it, and for what is read from disk, the
            tokens may be the most that they can be.
        cached_tokens (`int`, *optional*): Those of the prompt that the server had computed before, if it has just told.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    usd: float
    counted: bool = False
    cached_tokens: int | None = None

    def reply(self, *, cached: bool) -> Reply:
        """
        The reply, if it can be used.

        Args:
            cached (`bool`): Whether it was known already.

        Raises:
            RequestFailed: truncated, filtered or empty. Asking again would cost again and is not done: a larger
                `max_tokens` or another prompt is another request.
        """
        if self.finish_reason == "length":
            raise RequestFailed(
                "truncated", f"the reply ended after {self.completion_tokens} tokens; give a larger max_tokens"
            )
        if self.finish_reason == "content_filter":
            raise RequestFailed("filtered", "the server's content filter kept the reply back")
        if not self.text.strip():
            raise RequestFailed("empty", f"the reply has no text, its finish_reason is {self.finish_reason!r}")
        return Reply(self.text, self.prompt_tokens, self.completion_tokens, self.usd, cached)


def read_completion(body: object) -> tuple[str, str, tuple[int, int] | None]:
    """
    The parts of a chat completion that are used.

    Args:
        body: Parsed JSON of a server's answer.

    Returns:
        `tuple[str, str, tuple[int, int] | None]`: Text, finish_reason, and (prompt_tokens, completion_tokens) if the
        server tells them.

    Raises:
        ValueError: if it is no chat completion, or its usage is no number of tokens.

    Example:

    ```python
    >>> message = {"role": "assistant", "content": "42"}
    >>> usage = {"prompt_tokens": 9, "completion_tokens": 1}
    >>> read_completion({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})
    ('42', 'stop', (9, 1))
    >>> read_completion({"error": {"message": "overloaded"}})
    Traceback (most recent call last):
    ...
    ValueError: the answer is no chat completion: {'error': {'message': 'overloaded'}}

    ```
    """
    match body:
        case {"choices": [{"message": dict() as message, **choice}, *_], **rest}:
            text, finish_reason = message.get("content") or "", choice.get("finish_reason")
            if isinstance(text, str) and isinstance(finish_reason, str | None):
                usage = _read_usage(rest.get("usage"))
                return _storable(text), _storable(finish_reason or "stop"), usage
    raise ValueError(f"the answer is no chat completion: {str(body)[:200]}")


def _storable(text: str) -> str:
    """The text with a question mark for each half of a surrogate pair, which cannot be stored or sent again."""
    return text.encode("utf-8", "replace").decode()


def _read_usage(usage: object) -> tuple[int, int] | None:
    """(prompt_tokens, completion_tokens), or `None` from a server that leaves out either."""
    if usage is None:
        return None
    if isinstance(usage, dict):
        numbers = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
        if None in numbers:
            return None
        if all(type(number) is int and 0 <= number < MAX_USAGE for number in numbers):  # True is an int too
            return numbers
    raise ValueError(
        f"the answer's usage is {str(usage)[:200]}, expected prompt_tokens and completion_tokens as whole numbers "
        f"from 0 up to {MAX_USAGE}"
    )


class ReplyCache:
    """
    Every completion that was paid for, by the key of its request.

    A completion is on disk before anyone sees it, so a killed run loses none. Several processes of a machine may share
    the file; if two ask the same request at the same moment both pay, the first completion stays and both return it.

    Args:
        path (`str` or `Path`): SQLite file, made if missing. It outlives the run.

    Example:

    ```python
    >>> replies = ReplyCache(":memory:")
    >>> replies.put("ab12", Completion("42", "stop", 9, 1, 0.0), model="qwen").text
    '42'
    >>> replies.put("ab12", Completion("43", "stop", 9, 1, 0.0), model="qwen").text
    '42'
    >>> replies.get("ab12").text, replies.get("cd34"), len(replies)
    ('42', None, 1)
    >>> replies.close()

    ```
    """

    TABLES = """
        CREATE TABLE IF NOT EXISTS replies (
            key TEXT PRIMARY KEY,
            model TEXT NOT NULL,
            text TEXT NOT NULL,
            finish_reason TEXT NOT NULL,
            prompt_tokens INTEGER NOT NULL,
            completion_tokens INTEGER NOT NULL,
            usd REAL NOT NULL,
            time REAL NOT NULL  -- seconds since 1970
        )
    """

    def __init__(self, path: str | Path):
        self._connection = open_database(path, self.TABLES)

    def get(self, key: str) -> Completion | None:
        """What was answered to a request, or `None`."""
        row = self._connection.execute(
            "SELECT text, finish_reason, prompt_tokens, completion_tokens, usd FROM replies WHERE key = ?", (key,)
        ).fetchone()
        return None if row is None else Completion(*row)

    def put(self, key: str, completion: Completion, *, model: str) -> Completion:
        """
        Keep a completion; the first one of a key stays.

        Args:
            key (`str`): Of the request.
            completion (`Completion`): What was answered.
            model (`str`): Who answered.

        Returns:
            `Completion`: The one that is kept.
        """
        c = completion
        self._connection.execute(
            "INSERT INTO replies VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (key, model, c.text, c.finish_reason, c.prompt_tokens, c.completion_tokens, c.usd, time.time()),
        )
        return self.get(key)

    def __len__(self) -> int:
        return self._connection.execute("SELECT count(*) FROM replies").fetchone()[0]

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
