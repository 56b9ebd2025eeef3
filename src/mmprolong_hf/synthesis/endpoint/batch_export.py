"""Files of requests for batch APIs, which answer within a day at a discount."""

import json
from pathlib import Path
from typing import Self

from .budget import Budget, BudgetSpent
from .options import EndpointOptions
from .replies import Reply, ReplyCache, RequestFailed
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
                above the size of a file.
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
        most = self.options.cost(request.most_tokens(self.options), request.longest_reply(self.options))
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
