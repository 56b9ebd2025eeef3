"""What is asked of an engine, and what it answers: a context that is read once, and the questions about it."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Protocol

from PIL import Image

from mmprolong_hf.images import rgb

# Codes that an answer's error begins with
NO_REPLY = ("unreachable", "timed_out", "cut")
OTHER_PROMPT = "other_prompt"  # the server read other pages than it was sent


@dataclass(frozen=True)
class PageImage:
    """
    A page image as it is stored: encoded bytes, or a file that holds them, opened only when an engine reads it.

    Args:
        data (`bytes` or `Path`): JPEG, PNG or what else Pillow opens.

    Example:

    ```python
    >>> PageImage(b"not an image").sha256[:8]
    '5464533c'

    ```
    """

    data: bytes | Path = field(repr=False)

    def encoded(self) -> bytes:
        """The encoded bytes."""
        return self.data if isinstance(self.data, bytes) else self.data.read_bytes()

    def open(self) -> Image.Image:
        """
        The decoded image, in RGB.

        Raises:
            OSError: when it is no image, or the file is not there.
        """
        return rgb(Image.open(BytesIO(self.encoded())))

    @property
    def sha256(self) -> str:
        """Of the encoded bytes."""
        return hashlib.sha256(self.encoded()).hexdigest()


@dataclass(frozen=True)
class Ask:
    """
    One question about a context.

    Args:
        id (`str`): Unique in a run: the benchmark's name, the context length and the question's own id, say.
        text (`str`): What follows the context in the user's turn.
        answer_start (`str`, *optional*): What the model's answer begins with already; it is not part of the answer.
        max_new_tokens (`int`, *optional*, defaults to `128`): Longest answer.
    """

    id: str
    text: str
    answer_start: str = ""
    max_new_tokens: int = 128


@dataclass(frozen=True)
class Context:
    """
    What several questions have in common: the beginning of the user's turn, up to its last page.

    Args:
        parts (`tuple[str | PageImage, ...]`): Text and pages in the order in which they are read; the last one is a page.
        asks (`tuple[Ask, ...]`): The questions, each asked as if it were alone.

    Raises:
        ValueError: when there is no page at the end, or no question.
    """

    parts: tuple[str | PageImage, ...]
    asks: tuple[Ask, ...]

    def __post_init__(self):
        if not self.parts or isinstance(self.parts[-1], str):
            raise ValueError("a context does not end with a page, expected its last part to be a PageImage")
        if not self.asks:
            raise ValueError("a context has no question, expected at least one")

    @property
    def pages(self) -> list[PageImage]:
        """The page images, in order."""
        return [part for part in self.parts if not isinstance(part, str)]

    def key(self, ask: Ask) -> str:
        """
        A hash of everything that decides the answer but the model: the words, the pages and the length. Records of a run carry it,
        so that an answer to other words or pages is never taken for this one's.
        """
        said = [part if isinstance(part, str) else {"page": part.sha256} for part in self.parts]
        said += [ask.text, ask.answer_start, ask.max_new_tokens]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


@dataclass(frozen=True)
class Answer:
    """
    What a model answered, or why it did not.

    Args:
        id (`str`): The question's.
        text (`str`): What it wrote after `answer_start`; empty where it failed.
        prompt_tokens (`int`, *optional*): Tokens before the answer, where the engine knows.
        prefilled_tokens (`int`, *optional*): Those of them that were computed for this question and not found computed.
        largest_position (`int`, *optional*): M-RoPE, where the engine knows.
        error (`str`, *optional*): What went wrong; such an answer counts as wrong, and is counted.
    """

    id: str
    text: str
    prompt_tokens: int | None = None
    prefilled_tokens: int | None = None
    largest_position: int | None = None
    error: str | None = None


def failed_by_server(error: str | None) -> bool:
    """
    Whether an answer failed for a reason that lies with a server and not with the question.

    Args:
        error (`str`, *optional*): The answer's.

    Example:

    ```python
    >>> failed_by_server("timed_out: no answer after 60 s"), failed_by_server("http_400: too long"), failed_by_server(None)
    (True, False, False)

    ```
    """
    return error is not None and error.partition(":")[0] in (*NO_REPLY, OTHER_PROMPT)


class Engine(Protocol):
    """Something that answers: a model in this process, or a server."""

    name: str  # what records and reports call it, with what decides its answers: model, type, versions

    def answer(self, context: Context) -> Iterator[Answer]:
        """The answers to a context's questions, each as soon as it is there, in any order."""
