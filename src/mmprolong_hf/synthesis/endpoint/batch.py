"""Batch APIs, which answer within a day at a discount: requests to files, result files to replies."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from .budget import Budget, BudgetSpent, Charge
from .options import EndpointOptions
from .replies import Completion, Reply, ReplyCache, RequestFailed, read_completion
from .request import Request
from .summary import Summary

MAX_FILE_BYTES = 100_000_000  # what Together takes; OpenAI takes more
MAX_FILE_REQUESTS = 50_000  # both
URL = "/v1/chat/completions"


class Pending(Exception):
    """The request is in a batch file and has no reply yet. The message is its key."""


class BatchExport:
    """
    Stands where an `Endpoint` does, but writes requests without a reply to files instead of sending them.

    The files are in OpenAI's batch format and are uploaded with the provider's own tools; `import_batch` reads what
    comes back, and then the same run finds its replies. A folder is one round and belongs to one process: a request
    that is in one of its files is not written again, so what failed in the batch is asked once more by exporting to a
    new folder.

    Args:
        options (`EndpointOptions`): Which model. Requests have the same keys as online.
        replies (`ReplyCache`): What was answered before.
        budget (`Budget`): Each exported request counts as the most it can cost, discounted.
        folder (`str` or `Path`): For requests-00001.jsonl and so on, made if missing.
        max_bytes (`int`, *optional*): Largest file.
        max_requests (`int`, *optional*): Most requests in a file.

    Raises:
        ValueError: for a budget with a limit and options without prices.

    Example:

    ```python
    >>> import asyncio, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> async def export():
    ...     options = EndpointOptions("qwen", base_url="http://localhost:8000/v1")
    ...     async with BatchExport(options, ReplyCache(":memory:"), Budget(), folder.name) as batch:
    ...         try:
    ...             await batch.ask(Request("ask@1", ("What is 6 times 7?",), None))
    ...         except Pending as pending:
    ...             return str(pending)
    >>> key = asyncio.run(export())
    >>> line = json.loads(Path(folder.name, "requests-00001.jsonl").read_text())
    >>> line["custom_id"] == key, line["method"], line["url"], line["body"]["messages"][0]["content"][0]["text"]
    (True, 'POST', '/v1/chat/completions', 'What is 6 times 7?')
    >>> folder.cleanup()

    ```
    """

    def __init__(
        self,
        options: EndpointOptions,
        replies: ReplyCache,
        budget: Budget,
        folder: str | Path,
        *,
        max_bytes: int = MAX_FILE_BYTES,
        max_requests: int = MAX_FILE_REQUESTS,
    ):
        budget.check_prices(options)
        self.options = options
        self.replies = replies
        self.budget = budget
        self.folder = Path(folder)
        self.max_bytes = max_bytes
        self.max_requests = max_requests
        self._summary = Summary()

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._exported: set[str] = set()
        self._number, self._num_bytes, self._num_requests = 1, 0, 0
        for path in sorted(self.folder.glob("requests-*.jsonl")):
            keys = read_exported(path)
            self._exported |= set(keys)
            self._number = int(path.stem.removeprefix("requests-"))
            self._num_bytes, self._num_requests = path.stat().st_size, len(keys)
        return self

    async def __aexit__(self, *exception) -> None:
        pass  # every line is on disk when it is written

    async def ask(self, request: Request) -> Reply:
        """
        Answer a request from the replies on disk, or export it.

        Args:
            request (`Request`): What is asked.

        Raises:
            Pending: the request is in a file.
            RequestFailed: the reply that came cannot be used, as online; or `"too_large"`, when the request alone is
            above
                the size of a file.
            BudgetSpent: when the request could exceed the budget.
        """
        self._summary.requests += 1
        key = request.key(self.options)
        try:
            known = self.replies.get(key)
            if known is None:
                self._export(key, request)
                self._summary.pending += 1
                raise Pending(key)
            reply = known.reply(cached=True)
        except RequestFailed as error:
            self._summary.failed[error.reason] += 1
            raise
        except BudgetSpent:
            self._summary.failed["BudgetSpent"] += 1
            raise
        self._summary.cached += 1
        return reply

    def summary(self) -> Summary:
        """What became of the requests so far."""
        return self._summary

    def _export(self, key: str, request: Request) -> None:
        if key in self._exported:
            return
        body = request.body(self.options)
        # custom_id first, so that a file's keys are read without its images
        line = json.dumps({"custom_id": key, "method": "POST", "url": URL, "body": body}).encode() + b"\n"
        if len(line) > self.max_bytes:
            raise RequestFailed(
                "too_large",
                f"a batch file holds {self.max_bytes} bytes, the request has {len(line)}; send fewer pages",
            )
        most = self.options.cost(request.most_tokens(self.options), self.options.max_tokens)
        self.budget.export(key, self.options.served_model, most * (1.0 - self.options.batch_discount))
        if self._num_bytes + len(line) > self.max_bytes or self._num_requests >= self.max_requests:
            self._number, self._num_bytes, self._num_requests = self._number + 1, 0, 0
        with open(self.folder / f"requests-{self._number:05d}.jsonl", "ab") as file:
            file.write(line)
        self._num_bytes += len(line)
        self._num_requests += 1
        self._exported.add(key)


def read_exported(path: Path) -> list[str]:
    """
    Keys of the requests in a batch file. A last line that a killed process left unfinished is cut off.

    Args:
        path (`Path`): A file that `BatchExport` wrote.
    """
    keys, complete = [], 0
    with open(path, "r+b") as file:
        for line in file:
            if not line.endswith(b"\n"):
                file.truncate(complete)
                break
            complete += len(line)
            keys.append(line.split(b'"', 4)[3].decode())
    return keys


@dataclass
class BatchReport:
    """
    What result files held.

    Args:
        answered (`int`): Replies that are new and can be used.
        known (`int`): Lines whose reply was there already; they are not billed again.
        foreign (`int`): Results of requests that the ledger does not know, e.g. from another run's file. Their replies
            are not kept, and they are not billed.
        failed (`Counter[str]`): Requests without a usable reply, by reason: the batch's error code, `"http_400"` and
            the like, `"truncated"`, `"filtered"`, `"empty"`, `"unreadable"`.
        broken_lines (`int`): Lines that are no result, e.g. the last one of a partial file.
        prompt_tokens (`int`): Of all new completions.
        completion_tokens (`int`): The same.
        usd (`float`): The same, discounted.
    """

    answered: int = 0
    known: int = 0
    foreign: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    broken_lines: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0


def import_batch(
    paths: Iterable[str | Path], options: EndpointOptions, replies: ReplyCache, budget: Budget
) -> BatchReport:
    """
    Read the result files of a batch into the replies on disk.

    Both of OpenAI's files are read, output and errors. Partial files and files that were read before do no harm.

    Args:
        paths (`Iterable[str | Path]`): JSONL files with `custom_id`, `response` and `error` on each line.
        options (`EndpointOptions`): What the requests were exported with; for the prices.
        replies (`ReplyCache`): Gets the replies.
        budget (`Budget`): The ledger that the requests were exported with. Gets the bills, in place of the most that
            each request could cost.
    """
    report = BatchReport()
    for path in paths:
        with open(path, "rb") as file:
            for line in file:
                try:
                    result = json.loads(line)
                except (ValueError, RecursionError):  # the latter for JSON that is nested too deeply
                    result = None
                match result:
                    case {"custom_id": str() as key}:
                        _import_result(key, result, options, replies, budget, report)
                    case _ if line.strip():
                        report.broken_lines += 1
    return report


def _import_result(
    key: str, result: dict, options: EndpointOptions, replies: ReplyCache, budget: Budget, report: BatchReport
) -> None:
    if replies.get(key) is not None:
        report.known += 1
        return
    if budget.model_of(key) is None:
        report.foreign += 1
        return
    charge = Charge(0.0)
    charge.release()
    try:
        completion = _read_result(result, options)
        replies.put(key, completion, model=options.served_model)
        tokens = (completion.prompt_tokens, completion.completion_tokens)
        charge.settle(*tokens, completion.usd)
        report.prompt_tokens += tokens[0]
        report.completion_tokens += tokens[1]
        report.usd += completion.usd
        completion.reply(cached=True)
        report.answered += 1
    except RequestFailed as error:
        report.failed[error.reason] += 1
    budget.settle_export(key, options.served_model, charge)


def _read_result(result: dict, options: EndpointOptions) -> Completion:
    match result:
        case {"error": {"code": str() as code, **error}}:
            raise RequestFailed(code, str(error.get("message")))
        case {"response": {"status_code": 200, "body": body}}:
            try:
                text, finish_reason, tokens = read_completion(body)
            except (ValueError, RecursionError) as error:
                raise RequestFailed("unreadable", str(error)) from error
            if tokens is None:
                raise RequestFailed("unreadable", "the answer has no usage, so its price is unknown")
            usd = options.cost(*tokens) * (1.0 - options.batch_discount)
            return Completion(text, finish_reason, *tokens, usd)
        case {"response": {"status_code": int() as status, **response}}:
            raise RequestFailed(f"http_{status}", str(response.get("body")))
    raise RequestFailed("unreadable", f"the result has neither response nor error: {str(result)[:200]}")
