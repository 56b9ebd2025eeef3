"""A model behind an OpenAI-compatible server as an engine."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from urllib.parse import urlsplit

from PIL import Image
from transformers import ProcessorMixin

from mmprolong_hf.evaluation.as_they_come import as_they_come
from mmprolong_hf.evaluation.prompt_length import prompt_length
from mmprolong_hf.evaluation.requests import NO_REPLY, OTHER_PROMPT, Answer, Ask, Context, failed_by_server
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
REMEDIES = dict.fromkeys(NO_REPLY, "start the server again, or give a longer timeout than {timeout:g} s") | {
    OTHER_PROMPT: "let the server take as many and as large pages as the processor makes, name the served model's processor in "
    "`model`, or set server.check_prompts=false for a model whose tokens cannot be compared",
}
MOST_FAILURES = 5  # of these reasons, in a row
TEMPLATE_TOKENS = 64  # a server's chat template may have words of its own, a system prompt or a date; a page is more


class ServerFailing(EndpointRefused):
    """
    Several questions in a row failed for a reason that lies with the server: the run has to stop. The next one asks them
    again.
    """


class BadPage(Exception):
    """A page that no server takes. The message begins with a code that can be counted and a colon, and names the page."""


def sendable_parts(context: Context) -> tuple[tuple[str | bytes, ...], list[tuple[int, int]]]:
    """
    A context's texts, and its pages as they are stored. Of a page the header is read, not the image.

    Args:
        context (`Context`): What is asked.

    Returns:
        The parts in order, and the (width, height) in pixels of each page.

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
    parts, sizes = [], []
    for part in context.parts:
        if isinstance(part, str):
            parts.append(part)
            continue
        try:
            data = part.encoded()
            Request("page", (data,), None)  # checks the format
            with Image.open(BytesIO(data)) as image:
                page_tokens(*image.size)
                sizes.append(image.size)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            file = "" if isinstance(part.data, bytes) else f", {part.data}"
            raise BadPage(f"bad_page: page {len(sizes) + 1} of {len(context.pages)}{file}: {error}") from error
        parts.append(data)
    return tuple(parts), sizes


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
        processor (`ProcessorMixin`, *optional*): The served model's, from [`~mmprolong_hf.encoding.load_processor`]. With it,
            an answer for which the server tells another number of prompt tokens has failed: a server that leaves pages out or
            shrinks them says so nowhere else. The words of a chat template may differ, by 64 tokens.

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

    def __init__(
        self,
        options: EndpointOptions,
        *,
        budget: Budget | None = None,
        continues: bool = True,
        processor: ProcessorMixin | None = None,
    ):
        self.options = replace(options, temperature=0.0)
        self.budget = Budget() if budget is None else budget
        self.continues = continues
        self.processor = processor
        how = "continued" if continues else "a message of its own"
        url = urlsplit(options.url)  # a query may hold a key
        address = f"{url.scheme}://{url.netloc}{url.path}".removesuffix("/chat/completions")
        self._failures = 0
        self.name = f"{options.served_model} on {address}, the answer start {how}"

    def answer(self, context: Context) -> Iterator[Answer]:
        """
        The answers to a context's questions, each as soon as it is there.

        What fails after the client's tries is an answer with an error, and so is every question about a page that cannot be
        sent. One that is cut at its longest, or empty, is what the model answered.

        Args:
            context (`Context`): What is asked.

        Raises:
            EndpointRefused: when the server refuses the key, the account or its credit.
            ServerFailing: when 5 questions in a row, of one context or several, had no reply or another prompt.
            BudgetSpent: when the next call could exceed the budget.
        """
        try:
            content, sizes = sendable_parts(context)
        except BadPage as error:
            yield from (Answer(ask.id, "", error=str(error)) for ask in context.asks)
            return
        # answers have their own file on disk; here only equal questions of one context meet
        with closing(ReplyCache(":memory:")) as replies:
            endpoint = Endpoint(self.options, replies, self.budget)
            for asks in (context.asks[:1], context.asks[1:]):
                with closing(
                    as_they_come(endpoint, lambda ask: self._answer(endpoint, content, ask), asks)
                ) as answers:
                    for answer in answers:
                        checked = self._checked(answer, context, sizes)
                        yield checked
                        self._stop_if_failing(checked)

    def _checked(self, answer: Answer, context: Context, sizes: Sequence[tuple[int, int]]) -> Answer:
        """The answer, or a failed one if the server read another prompt than it was sent."""
        if self.processor is None or answer.prompt_tokens is None:
            return answer
        (ask,) = (ask for ask in context.asks if ask.id == answer.id)
        expected = prompt_length(self.processor, context, ask, sizes)
        if abs(answer.prompt_tokens - expected) <= TEMPLATE_TOKENS:
            return answer
        error = (
            f"{OTHER_PROMPT}: the server read {answer.prompt_tokens:,} tokens, expected {expected:,} with all "
            f"{len(sizes)} pages in full"
        )
        return replace(answer, text="", error=error)

    def _stop_if_failing(self, answer: Answer) -> None:
        if not failed_by_server(answer.error):
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            self._failures = 0  # an engine that is asked again tries again
            raise ServerFailing(
                f"{self.options.url} failed {MOST_FAILURES} questions in a row, the last one: {answer.error}; "
                + REMEDIES[answer.error.partition(":")[0]].format(timeout=self.options.timeout)
            )

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
