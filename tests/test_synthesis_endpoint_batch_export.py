"""Requests to batch files: each once, in files of limited size, within the budget."""

import asyncio
import json

import pytest

from mmprolong_hf.synthesis.endpoint import (
    BatchExport,
    Budget,
    BudgetSpent,
    EndpointOptions,
    Pending,
    ReplyCache,
    Request,
)
from mmprolong_hf.synthesis.endpoint.batch_export import read_exported

SCHEMA = {"type": "object"}


@pytest.fixture
def store(tmp_path):
    """Makes a ReplyCache and a Budget in a folder of their own."""
    made = []

    def make(name, max_usd=None):
        made.extend(
            (ReplyCache(tmp_path / name / "replies.sqlite"), Budget(max_usd, tmp_path / name / "calls.sqlite"))
        )
        return made[-2:]

    yield make
    for each in made:
        each.close()


def prices(url="http://localhost:1/v1", **values):
    return EndpointOptions("m", url, prompt_price=10.0, completion_price=40.0, backoff=0.001, **values)


def requests(count):
    return [Request("p@1", (f"question {i}",), SCHEMA, system="be exact") for i in range(count)]


def ask(endpoint, asked):
    async def main():
        async with endpoint:
            return await asyncio.gather(*(endpoint.ask(r) for r in asked), return_exceptions=True)

    return asyncio.run(main())


def lines_of(folder):
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()]


def test_a_request_is_written_once_over_many_runs(tmp_path, store):
    replies, budget = store("a")
    batch = BatchExport(prices(), replies, budget, tmp_path / "files")
    ask(batch, requests(3) * 2)
    again = BatchExport(prices(), replies, budget, tmp_path / "files")
    ask(again, requests(4))
    assert len(lines_of(tmp_path / "files")) == 4
    assert batch.summary().pending == batch.summary().requests == 6
    assert again.summary().pending == 4


def test_files_are_split_by_bytes_and_by_requests(tmp_path, store):
    replies, budget = store("a")
    ask(BatchExport(prices(), replies, budget, tmp_path / "n", max_requests=2), requests(5))
    assert [len(read_exported(p)) for p in sorted((tmp_path / "n").iterdir())] == [2, 2, 1]
    ask(BatchExport(prices(), replies, budget, tmp_path / "n", max_requests=2), requests(6))  # goes on in the last one
    assert [len(read_exported(p)) for p in sorted((tmp_path / "n").iterdir())] == [2, 2, 2]

    size = (tmp_path / "n" / "requests-00001.jsonl").stat().st_size  # of two requests
    ask(BatchExport(prices(), replies, budget, tmp_path / "b", max_bytes=size), requests(5))
    assert [(p.name, len(read_exported(p))) for p in sorted((tmp_path / "b").iterdir())] == [
        ("requests-00001.jsonl", 2),
        ("requests-00002.jsonl", 2),
        ("requests-00003.jsonl", 1),
    ]
    ask(BatchExport(prices(), replies, budget, tmp_path / "c", max_bytes=size - 1), requests(5))
    assert [len(read_exported(p)) for p in sorted((tmp_path / "c").iterdir())] == [1] * 5
    batch = BatchExport(prices(), replies, budget, tmp_path / "d", max_bytes=100)
    [failed] = ask(batch, requests(1))
    assert str(failed).startswith("too_large: a batch file holds 100 bytes, the request has ")
    assert batch.summary().failed == {"too_large": 1}


def test_a_line_that_a_killed_process_left_unfinished_is_written_again(tmp_path, store):
    replies, budget = store("a")
    ask(BatchExport(prices(), replies, budget, tmp_path / "files"), requests(3))
    path = tmp_path / "files" / "requests-00001.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    unsettled = budget.unsettled
    ask(BatchExport(prices(), replies, budget, tmp_path / "files"), requests(3))
    assert path.read_bytes() == whole
    assert budget.unsettled == unsettled


def test_the_limit_stops_the_export(tmp_path, store):
    options = prices()
    most = options.cost(requests(1)[0].most_tokens(options), 2048) / 2
    replies, budget = store("a", max_usd=2.5 * most)
    batch = BatchExport(options, replies, budget, tmp_path / "files")
    assert [type(e) for e in ask(batch, requests(4))] == [Pending, Pending, BudgetSpent, BudgetSpent]
    assert len(lines_of(tmp_path / "files")) == 2
    assert batch.summary().failed == {"BudgetSpent": 2}
    with pytest.raises(ValueError, match="give the prices of m in USD per million tokens"):
        BatchExport(EndpointOptions("m"), replies, budget, tmp_path / "files")
