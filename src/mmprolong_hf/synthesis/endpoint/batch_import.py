"""Result files of batch APIs, read into the replies on disk."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .budget import Budget
from .ledger import Charge
from .options import EndpointOptions
from .replies import Completion, ReplyCache, RequestFailed, read_completion


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
