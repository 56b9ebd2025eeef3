"""A model behind an OpenAI-compatible server as an engine."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

from mmprolong_hf.evaluation.as_they_come import as_they_come
from mmprolong_hf.evaluation.requests import Answer, Ask, Context
from mmprolong_hf.synthesis.endpoint import Budget, Endpoint, EndpointOptions, ReplyCache, Request, RequestFailed

# vLLM and SGLang take a model's generation_config.json for what a request does not say; Qwen2.5-VL's has a penalty, under
# which greedy is not greedy.
GREEDY = {"repetition_penalty": 1.0}
CONTINUE = {"add_generation_prompt": False, "continue_final_message": True}


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
        name (`str`): The model as the server knows it, and how `answer_start` is sent.

    Example:

    ```python
    >>> options = EndpointOptions("Qwen/Qwen2.5-VL-7B-Instruct", base_url="http://localhost:8000/v1")
    >>> ServerEngine(options).name
    'Qwen/Qwen2.5-VL-7B-Instruct on a server, the answer start continued'

    ```
    """

    def __init__(self, options: EndpointOptions, *, budget: Budget | None = None, continues: bool = True):
        self.options = replace(options, temperature=0.0)
        self.budget = Budget() if budget is None else budget
        self.continues = continues
        how = "continued" if continues else "a message of its own"
        self.name = f"{options.served_model} on a server, the answer start {how}"

    def answer(self, context: Context) -> Iterator[Answer]:
        """
        The answers to a context's questions, each as soon as it is there.

        What fails after the client's tries is an answer with an error. One that is cut at its longest, or empty, is what the
        model answered.

        Args:
            context (`Context`): What is asked.

        Raises:
            EndpointRefused: when the server refuses the key, the account or its credit.
            BudgetSpent: when the next call could exceed the budget.
            OSError, ValueError: for a page that cannot be read, or is no JPEG, PNG or WebP.
        """
        content = tuple(part if isinstance(part, str) else part.encoded() for part in context.parts)
        # answers have their own file on disk; here only equal questions of one context meet
        with closing(ReplyCache(":memory:")) as replies:
            endpoint = Endpoint(self.options, replies, self.budget)
            for asks in (context.asks[:1], context.asks[1:]):
                yield from as_they_come(endpoint, lambda ask: self._answer(endpoint, content, ask), asks)

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
