"""One request to a model: what is sent, how it is named, and how large it can be."""

import base64
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from PIL import Image

from ...lengths import NUM_IMAGE_MARKERS, page_tokens
from .options import EndpointOptions

# What the chat template of a model may add around a message
TEMPLATE_TOKENS = 64


@dataclass(frozen=True)
class Request:
    """
    A prompt with its page images.

    Args:
        prompt (`str`): Name and hash of the prompt file, e.g. `"extract-single@1f0c9a"`; a changed prompt is a new
            request.
        content (`tuple[str | bytes]`): Texts, and page images as encoded bytes, in the order the model reads them.
        schema (`dict` or `None`): JSON schema that the reply has to follow; sent if the options' style is `"json"`.
        system (`str`, *optional*): System message; none if empty.
        answer_start (`str`, *optional*): Sent last, as the assistant's message; none if empty. Servers begin a new
            message after it unless `parameters` tell them to continue it.
        max_tokens (`int`, *optional*): Longest reply, in place of the options'.
        parameters (`dict`, *optional*): What else is sent, e.g. `{"repetition_penalty": 1.0}` to vLLM.

    Raises:
        ValueError: for no content, bytes that are no JPEG, PNG or WebP, or `max_tokens` below 1.

    Example:

    ```python
    >>> options = EndpointOptions("qwen", base_url="http://localhost:8000/v1")
    >>> request = Request("ask@1", ("Page 1:", b"\\xff\\xd8\\xff..."), None)
    >>> [part["type"] for part in request.body(options)["messages"][0]["content"]]
    ['text', 'image_url']
    >>> request.body(options)["messages"][0]["content"][1]
    {'type': 'image_url', 'image_url': {'url': 'data:image/jpeg;base64,/9j/Li4u'}}
    >>> request.key(options)[:12], Request("ask@2", request.content, None).key(options)[:12]
    ('12881170b70c', '72c9d097f7e0')

    ```
    """

    prompt: str
    content: tuple[str | bytes, ...]
    schema: dict | None
    system: str = ""
    answer_start: str = ""
    max_tokens: int | None = None
    parameters: dict = field(default_factory=dict)

    def __post_init__(self):
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ValueError(f"max_tokens of the request {self.prompt} is {self.max_tokens}, expected at least 1")
        if not self.content:
            raise ValueError(f"content of the request {self.prompt} is empty, expected texts or page images")
        for part in self.content:
            if isinstance(part, bytes):
                mime_type(part)

    def key(self, options: EndpointOptions) -> str:
        """
        Name of the request: the sha256 of the prompt's name and everything that is sent, each image by its own sha256.

        The server's address is not part of it: a reply stays known when the same model moves. The order of a schema's
        properties is: models write in it.
        """
        body = self._body(options, lambda image: f"sha256:{hashlib.sha256(image).hexdigest()}")
        text = json.dumps([self.prompt, body], ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def body(self, options: EndpointOptions) -> dict:
        """The JSON that is sent, in OpenAI's format; a line of a batch file holds the same."""
        return self._body(options, _data_url)

    def messages(self) -> list[dict]:
        """The messages of the body, page images as data URLs."""
        return self._messages(_data_url)

    def longest_reply(self, options: EndpointOptions) -> int:
        """Tokens of the reply at most: the request's own number, or that of the options."""
        return options.max_tokens if self.max_tokens is None else self.max_tokens

    def most_tokens(self, options: EndpointOptions) -> int:
        """
        Tokens of the prompt at most: one for each byte of text, since no vocabulary of bytes takes more, and Qwen-VL's
        count for each image. Models that take more for an image are learnt from their replies, see `Endpoint`.
        """
        count = TEMPLATE_TOKENS + len(self.system.encode()) + len(self.answer_start.encode())
        if self.schema is not None and options.style == "json":
            count += len(json.dumps(self.schema))
        for part in self.content:
            if isinstance(part, str):
                count += len(part.encode())
            else:
                with Image.open(io.BytesIO(part)) as image:  # reads the header alone
                    count += page_tokens(*image.size) + NUM_IMAGE_MARKERS
        return count

    def _messages(self, address: Callable[[bytes], str]) -> list[dict]:
        content = [
            {"type": "text", "text": part}
            if isinstance(part, str)
            else {"type": "image_url", "image_url": {"url": address(part)}}
            for part in self.content
        ]
        before = [{"role": "system", "content": self.system}] if self.system else []
        after = [{"role": "assistant", "content": self.answer_start}] if self.answer_start else []
        return [*before, {"role": "user", "content": content}, *after]

    def _body(self, options: EndpointOptions, address: Callable[[bytes], str]) -> dict:
        body = {
            "model": options.served_model,
            "messages": self._messages(address),
            "temperature": options.temperature,
            "max_tokens": self.longest_reply(options),
            **self.parameters,
        }
        if self.schema is not None and options.style == "json":
            schema = {"name": "reply", "strict": True, "schema": self.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body


def mime_type(image: bytes) -> str:
    """
    Type of an encoded image, from its first bytes.

    Args:
        image (`bytes`): A JPEG, PNG or WebP file.

    Raises:
        ValueError: for anything else.

    Example:

    ```python
    >>> mime_type(b"\\x89PNG\\r\\n\\x1a\\n...")
    'image/png'
    >>> mime_type(b"GIF89a")
    Traceback (most recent call last):
    ...
    ValueError: an image starts with b'GIF89a', expected a JPEG, PNG or WebP file

    ```
    """
    if image.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if image.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if image.startswith(b"RIFF") and image[8:12] == b"WEBP":
        return "image/webp"
    raise ValueError(f"an image starts with {image[:12]!r}, expected a JPEG, PNG or WebP file")


def _data_url(image: bytes) -> str:
    return f"data:{mime_type(image)};base64,{base64.b64encode(image).decode()}"
