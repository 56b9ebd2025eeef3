"""Asks a model: several calls at a time, one layer of retries, replies kept on disk, money within the budget."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Self, TypeVar

# huggingface_hub's own HTTP library. Its AsyncInferenceClient does not fit: for a server of one's own it replaces a
# strict JSON schema by a format that only TGI knew, sends Hugging Face's token there when no key is given, and refuses
# under HF_HUB_OFFLINE.
import httpx2

from .budget import Budget, BudgetSpent, Charge
from .http_answer import MAX_BODY_BYTES, read_body, read_retry_after
from .options import EndpointOptions
from .prompt_cache import read_cached_tokens
from .replies import Completion, Reply, ReplyCache, RequestFailed, read_completion
from .request import Request
from .summary import Summary

REFUSED = (401, 402, 403)  # the key, the credit or the permission: no later request fares better
NO_CREDIT = "insufficient_quota"  # OpenAI's code for it, sent with a 429
RETRIED = (408, 409, 429)  # and every 5xx
BILL_UNKNOWN = (502, 504)  # a gateway gave up on a server that may have gone on
LONGEST_BACKOFF = 60.0  # seconds
DETAIL = 500  # characters of a server's message that are kept
Used = TypeVar("Used")


class EndpointRefused(Exception):
    """The server refuses the key, the account or its credit: the run has to stop. The message is the server's."""


class _TryFailed(Exception):
    """One try that is worth another."""

    def __init__(self, reason: str, detail: str, retry_after: float = 0.0):
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.retry_after = reason, detail, retry_after


class Endpoint:
    """
    A model that answers requests. It is opened with `async with`, and closing it stops the calls that are under way.

    The same request asked twice at once is sent once. A call goes on when the one who asked is cancelled, and its
    reply is kept: it is paid for.

    Args:
        options (`EndpointOptions`): Which model, where.
        replies (`ReplyCache`): What was answered before; replies are added.
        budget (`Budget`): What may be spent; several endpoints may share it.

    Raises:
        ValueError: for a budget with a limit and options without prices.

    Example:

    ```python
    async with Endpoint(options, ReplyCache("replies.sqlite"), Budget(20.0, "calls.sqlite")) as endpoint:
        reply = await endpoint.ask(Request("ask@1", ("Page 1:", page, "What is the title?"), None))
    ```
    """

    def __init__(self, options: EndpointOptions, replies: ReplyCache, budget: Budget):
        budget.check_prices(options)
        self.options = options
        self.replies = replies
        self.budget = budget
        self._summary = Summary()
        # Tokens that the server counted for a prompt, by what was reckoned: above 1 for a model that takes more for an
        # image
        self._scale = 1.0

    async def __aenter__(self) -> Self:
        self._key = self.options.read_key()
        self._session = httpx2.AsyncClient(
            headers={"authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=None,  # a try as a whole has one
            limits=httpx2.Limits(max_connections=self.options.concurrency),
        )
        self._slots = asyncio.Semaphore(self.options.concurrency)
        self._running: dict[str, asyncio.Task[Completion]] = {}
        self._refusal = ""
        self._refused = asyncio.Event()
        self._paused_until = 0.0
        return self

    async def __aexit__(self, *exception) -> None:
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._session.aclose()

    async def ask(self, request: Request) -> Reply:
        """
        Answer a request from the replies on disk, or by a call.

        Args:
            request (`Request`): What is asked.

        Raises:
            RequestFailed: when this request gets no usable reply: the tries are used up, the server does not accept it
                (`"http_400"` and the like), or the reply is `"truncated"`, `"filtered"` or `"empty"`.
            EndpointRefused: at once, here and for all later requests, when the server refuses the key, the account or
                its credit.
            BudgetSpent: when the call could exceed the budget.
        """
        return await self._count(request, lambda completion, cached: completion.reply(cached=cached))

    async def complete(self, request: Request) -> Completion:
        """
        As [`~Endpoint.ask`], but what came is returned as it is: truncated, filtered or empty too.

        Args:
            request (`Request`): What is asked.
        """
        return await self._count(request, lambda completion, cached: completion)

    def summary(self) -> Summary:
        """What became of the requests so far."""
        return self._summary

    async def _count(self, request: Request, use: Callable[[Completion, bool], Used]) -> Used:
        self._summary.requests += 1
        try:
            completion, cached = await self._find(request)
            used = use(completion, cached)
        except RequestFailed as error:
            self._summary.failed[error.reason] += 1
            raise
        except (EndpointRefused, BudgetSpent, asyncio.CancelledError) as error:
            self._summary.failed[type(error).__name__] += 1
            raise
        self._summary.cached += cached
        self._summary.answered += not cached
        return used

    async def _find(self, request: Request) -> tuple[Completion, bool]:
        """What was or is now completed, and whether this request did not send it."""
        key = request.key(self.options)
        known = self.replies.get(key)
        if known is not None:
            return known, True
        first = key not in self._running
        if first:
            self._running[key] = asyncio.create_task(self._complete(key, request))
            self._running[key].add_done_callback(lambda task: self._forget(key, task))
        return await asyncio.shield(self._running[key]), not first

    def _forget(self, key: str, task: asyncio.Task) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # read here, because nobody may be left who asked

    async def _complete(self, key: str, request: Request) -> Completion:
        for retry in range(self.options.max_retries + 1):
            try:
                async with self._slots:
                    while (pause := self._paused_until - time.monotonic()) > 0:
                        await self._wait(pause)
                    return await self._call(key, request)
            except _TryFailed as error:
                failed = error
                self._summary.tries[error.reason] += 1
            if retry < self.options.max_retries:
                jitter = random.uniform(0.0, min(LONGEST_BACKOFF, self.options.backoff * 2**retry))
                await self._wait(failed.retry_after + jitter)
        raise RequestFailed(failed.reason, f"{failed.detail}; given up after {retry + 1} tries") from failed

    async def _call(self, key: str, request: Request) -> Completion:
        reckoned = request.most_tokens(self.options)
        longest = request.longest_reply(self.options)
        most = self.options.cost(round(reckoned * self._scale), longest)
        async with self.budget.charge(key, self.options.served_model, most) as charge:
            if self._refusal:
                charge.release()
                raise EndpointRefused(self._refusal)
            try:
                text, finish_reason, usage, cached = await self._post(request.body(self.options), charge)
                tokens = usage or (reckoned, longest)  # a server that does not tell: the most
                usd = self.options.cost(*tokens)
                # On disk first: a process that is killed here has paid, and knows the reply.
                completion = self.replies.put(
                    key,
                    Completion(text, finish_reason, *tokens, usd),
                    model=self.options.served_model,
                )
                charge.settle(*tokens, usd)
            finally:
                self._summary.add(charge)
        self._summary.tries["answered"] += 1
        self._scale = max(self._scale, tokens[0] / reckoned)
        return replace(completion, counted=usage is not None, cached_tokens=cached)

    async def _post(self, body: dict, charge: Charge) -> tuple[str, str, tuple[int, int] | None, int | None]:
        try:
            async with asyncio.timeout(self.options.timeout):
                async with self._session.stream("POST", self.options.url, json=body) as response:
                    content = await read_body(response)
        except TimeoutError as error:
            raise _TryFailed("timed_out", f"no answer after {self.options.timeout:g} s") from error
        except httpx2.ConnectError as error:
            charge.release()
            raise _TryFailed("unreachable", self._clean(f"{self.options.url}: {error}")) from error
        except httpx2.RequestError as error:
            raise _TryFailed("cut", self._clean(f"{type(error).__name__}: {error}")) from error
        if response.status_code != 200:
            if response.status_code not in BILL_UNKNOWN:
                charge.release()
            self._raise_for(response, content.decode(errors="replace"))
        if len(content) > MAX_BODY_BYTES:
            raise _TryFailed("unreadable", f"the answer has more than {MAX_BODY_BYTES} bytes")
        try:
            answer = json.loads(content)
            return *read_completion(answer), read_cached_tokens(answer)
        except (ValueError, RecursionError) as error:  # the latter for JSON that is nested too deeply
            raise _TryFailed("unreadable", self._clean(str(error))) from error

    def _raise_for(self, response: httpx2.Response, text: str) -> None:
        status = response.status_code
        message = self._clean(f"{self.options.url} answered {status}: {text}")
        if status in REFUSED or (status == 429 and NO_CREDIT in text):
            self._refusal = f"{message}; check the key in {self.options.api_key_env} and the account"
            self._refused.set()
            self._summary.tries[f"http_{status}"] += 1
            raise EndpointRefused(self._refusal)
        if status in RETRIED or status >= 500:
            retry_after = read_retry_after(response.headers.get("retry-after"))
            if status in (429, 503):  # they hold for the account and the server, not for one request
                self._paused_until = max(self._paused_until, time.monotonic() + retry_after)
            raise _TryFailed(f"http_{status}", message, retry_after)
        self._summary.tries[f"http_{status}"] += 1
        raise RequestFailed(f"http_{status}", message)

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._refused.wait()
        if self._refusal:
            raise EndpointRefused(self._refusal)

    def _clean(self, message: str) -> str:
        """A message that is short and does not hold the key, which some servers repeat."""
        return (message.replace(self._key, "***") if self._key else message)[:DETAIL]
