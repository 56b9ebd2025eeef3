"""A model behind an OpenAI-compatible server as an engine."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from urllib.parse import urlsplit

from PIL import Image

from mmprolong_hf.evaluation.as_they_come import as_they_come
from mmprolong_hf.evaluation.requests import Answer, Ask, Context
from mmprolong_hf.lengths import page_tokens
from mmprolong_hf.synthesis.endpoint import (
    Budget,
    Endpoint,
    EndpointOptions,
    EndpointRefused,
    ReplyCache,
    Request,
    RequestFailed,
)

# vLLM and SGLang take a model's generation_config.json for what a request does not say; Qwen2.5-VL's has a penalty, under
# which greedy is not greedy.
GREEDY = {"repetition_penalty": 1.0}
CONTINUE = {"add_generation_prompt": False, "continue_final_message": True}
NO_REPLY = ("unreachable", "timed_out", "cut")  # reasons of a request to a server that may be gone
MOST_WITHOUT_REPLY = 5  # questions in a row


class ServerGone(EndpointRefused):
    """The server has not replied to several questions in a row, each after all of its tries: the run has to stop."""


class BadPage(Exception):
    """A page that no server takes. The message begins with a code that can be counted and a colon, and names the page."""


def sendable_parts(context: Context) -> tuple[str | bytes, ...]:
    """
    A context's texts, and its pages as they are stored. Of a page the header is read, not the image.

    Args:
        context (`Context`): What is asked.

    Raises:
        BadPage: for a file that cannot be read, and a page that is no JPEG, PNG or WebP or has a shape that no model takes.

    Example:

    ```python
    >>> from mmprolong_hf.evaluation.requests import PageImage
    >>> context = Context(("See: ", PageImage(b"GIF89a")), (Ask("a", "What is it?"),))
    >>> sendable_parts(context)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    mmprolong_hf.evaluation.server_engine.BadPage: bad_page: page 1 of 1: an image starts with b'GIF89a'...

    ```
    """
    parts, num_pages = [], 0
    for part in context.parts:
        if isinstance(part, str):
            parts.append(part)
            continue
        num_pages += 1
        try:
            data = part.encoded()
            Request("page", (data,), None)  # checks the format
            with Image.open(BytesIO(data)) as image:
                page_tokens(*image.size)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            file = "" if isinstance(part.data, bytes) else f", {part.data}"
            raise BadPage(f"bad_page: page {num_pages} of {len(context.pages)}{file}: {error}") from error
        parts.append(data)
    return tuple(parts)


class ServerEngine:
    """
    Asks a server that speaks OpenAI's chat completions, greedily.

    Every request holds the context's texts and pages in their order, pages byte for byte as they are stored, and the question
    last. The first question of a context is sent alone, so that the server has the pages in its prefix cache when the others
    come, up to `options.concurrency` of them at a time. Each request under way holds the pages of its context in base64.

    An `answer_start` can be sent in two ways, and the engine's name says in which. With `continues` the model goes on in the
    message that it begins, as it does in this process (vLLM's `continue_final_message`; SGLang has it too). Without, which is all
    that OpenAI's own format has, it is a message of its own and the model begins another one: what MMLongBench's client for
    servers does (EdinburghNLP/MMLongBench at 22b9f27).

    Args:
        options (`EndpointOptions`): Which model, where. Its temperature is taken as 0, and each question has its own
            `max_new_tokens` in place of `max_tokens`.
        budget (`Budget`, *optional*): What may be spent; no limit if not given.
        continues (`bool`, *optional*, defaults to `True`): Send vLLM's parameters. Servers that refuse unknown ones, as OpenAI's
            do, need `False`.

    Attributes:
        name (`str`): The model as the server knows it, the server's address, and how `answer_start` is sent. Another server
            is another engine: it may have other weights under the same name.

    Example:

    ```python
    >>> options = EndpointOptions("Qwen/Qwen2.5-VL-7B-Instruct", base_url="http://localhost:8000/v1")
    >>> ServerEngine(options).name
    'Qwen/Qwen2.5-VL-7B-Instruct on http://localhost:8000/v1, the answer start continued'

    ```
    """

    def __init__(self, options: EndpointOptions, *, budget: Budget | None = None, continues: bool = True):
        self.options = replace(options, temperature=0.0)
        self.budget = Budget() if budget is None else budget
        self.continues = continues
        how = "continued" if continues else "a message of its own"
        url = urlsplit(options.url)  # a query may hold a key
        address = f"{url.scheme}://{url.netloc}{url.path}".removesuffix("/chat/completions")
        self._without_reply = 0
        self.name = f"{options.served_model} on {address}, the answer start {how}"

    def answer(self, context: Context) -> Iterator[Answer]:
        """
        The answers to a context's questions, each as soon as it is there.

        What fails after the client's tries is an answer with an error, and so is every question about a page that cannot be
        sent. One that is cut at its longest, or empty, is what the model answered.

        Answers that failed because no reply came are held back until the server replies again, or the context ends. So a server
        that is gone stops the run, and what was held back is asked again by the next one.

        Args:
            context (`Context`): What is asked.

        Raises:
            EndpointRefused: when the server refuses the key, the account or its credit.
            ServerGone: when no reply came to 5 questions in a row, of one context or several.
            BudgetSpent: when the next call could exceed the budget.
        """
        try:
            content = sendable_parts(context)
        except BadPage as error:
            yield from (Answer(ask.id, "", error=str(error)) for ask in context.asks)
            return
        # answers have their own file on disk; here only equal questions of one context meet
        with closing(ReplyCache(":memory:")) as replies:
            endpoint = Endpoint(self.options, replies, self.budget)
            held = []
            for asks in (context.asks[:1], context.asks[1:]):
                with closing(
                    as_they_come(endpoint, lambda ask: self._answer(endpoint, content, ask), asks)
                ) as answers:
                    for answer in answers:
                        held.append(answer)
                        if not self._lacks_reply(answer):
                            yield from held
                            held.clear()
            yield from held

    def _lacks_reply(self, answer: Answer) -> bool:
        lacks = answer.error is not None and answer.error.partition(":")[0] in NO_REPLY
        self._without_reply = self._without_reply + 1 if lacks else 0
        if self._without_reply >= MOST_WITHOUT_REPLY:
            self._without_reply = 0  # an engine that is asked again tries again
            raise ServerGone(
                f"{self.options.url} did not reply to {MOST_WITHOUT_REPLY} questions in a row, the last one: "
                f"{answer.error}; start the server again, or give a longer timeout than {self.options.timeout:g} s. "
                "Questions of earlier contexts that failed before are asked again with retry_failed"
            )
        return lacks

    async def _answer(self, endpoint: Endpoint, content: tuple[str | bytes, ...], ask: Ask) -> Answer:
        try:
            completion = await endpoint.complete(self._request(content, ask))
        except RequestFailed as error:
            return Answer(ask.id, "", error=str(error))
        if completion.finish_reason == "content_filter":
            return Answer(ask.id, "", error="filtered: the server's content filter kept the answer back")
        if not completion.counted:
            return Answer(ask.id, completion.text)
        cached = completion.cached_tokens
        prefilled = None if cached is None else completion.prompt_tokens - cached
        return Answer(ask.id, completion.text, prompt_tokens=completion.prompt_tokens, prefilled_tokens=prefilled)

    def _request(self, content: tuple[str | bytes, ...], ask: Ask) -> Request:
        parameters = (GREEDY | (CONTINUE if ask.answer_start else {})) if self.continues else {}
        return Request(
            "evaluation",
            (*content, ask.text),
            None,
            answer_start=ask.answer_start,
            max_tokens=ask.max_new_tokens,
            parameters=parameters,
        )
