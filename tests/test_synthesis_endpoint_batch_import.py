"""Result files of batches: the same replies as online, at a discount."""

import json

import httpx2
import pytest
from scripted_server import Answer, ScriptedServer, error, texts
from test_synthesis_endpoint_batch_export import ask, lines_of, prices, requests

from mmprolong_hf.synthesis.endpoint import (
    BatchExport,
    Budget,
    Endpoint,
    Pending,
    Reply,
    ReplyCache,
    RequestFailed,
    import_batch,
)


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


def process(lines, url):
    """What a provider does with exported requests: it answers each over HTTP and writes OpenAI's result format."""
    results = []
    for number, line in enumerate(lines):
        answer = httpx2.request(line["method"], url.removesuffix("/v1") + line["url"], json=line["body"])
        response = {"status_code": answer.status_code, "request_id": f"r{number}", "body": answer.json()}
        results.append({"id": f"b{number}", "custom_id": line["custom_id"], "response": response, "error": None})
    return results


def write(path, results):
    path.write_text("".join(json.dumps(result) + "\n" for result in results))
    return path


def test_a_round_trip_equals_online_at_half_the_price(tmp_path, store):
    def answer(body):
        if texts(body).endswith("question 3"):
            return Answer("half of", finish_reason="length")
        return f"answer to {texts(body)}"

    asked = requests(6)
    with ScriptedServer(answer) as server:
        options = prices(server.url)
        online = ask(Endpoint(options, *store("online")), asked)
        sent = server.requests[:]
        replies, budget = store("batch")
        batch = BatchExport(options, replies, budget, tmp_path / "files")
        assert [type(e) for e in ask(batch, asked)] == [Pending] * 6
        exported = lines_of(tmp_path / "files")
        assert sorted(map(json.dumps, sent)) == sorted(json.dumps(line["body"]) for line in exported)
        assert [line["custom_id"] for line in exported] == [r.key(options) for r in asked]
        results = process(exported, server.url)
    assert budget.spent == 0.0
    assert budget.unsettled == pytest.approx(sum(options.cost(r.most_tokens(options), 2048) for r in asked) / 2)

    report = import_batch([write(tmp_path / "out.jsonl", results)], options, replies, budget)
    assert (report.answered, report.known, report.failed, report.broken_lines) == (5, 0, {"truncated": 1}, 0)
    got = ask(BatchExport(options, replies, budget, tmp_path / "files"), asked)
    for before, after in zip(online, got):
        if isinstance(before, RequestFailed):
            assert (before.reason, before.detail) == (after.reason, after.detail)
        else:
            usage = (before.prompt_tokens, before.completion_tokens)
            assert after == Reply(before.text, *usage, before.usd / 2, cached=True)
    assert got[3].reason == "truncated"
    paid_online = Budget(path=tmp_path / "online" / "calls.sqlite")
    assert report.usd == pytest.approx(paid_online.spent / 2) == pytest.approx(budget.spent)
    paid_online.close()
    assert budget.unsettled == 0.0
    assert lines_of(tmp_path / "files") == exported
    # and an endpoint online finds the same replies: the keys are the same
    assert all(reply.cached for reply in ask(Endpoint(options, replies, budget), asked[:3]))


def test_failures_partial_files_and_broken_lines_are_counted(tmp_path, store):
    asked = requests(7)
    options = prices()
    replies, budget = store("a")
    ask(BatchExport(options, replies, budget, tmp_path / "files"), asked)
    with ScriptedServer(lambda body: error(400, "no") if texts(body).endswith("question 2") else "yes") as server:
        results = process(lines_of(tmp_path / "files"), server.url)
    results[0] = {
        "custom_id": asked[0].key(options),
        "response": None,
        "error": {"code": "batch_expired", "message": "24 h"},
    }
    results[1]["response"]["body"] = {"choices": []}
    del results[3]["response"]["body"]["usage"]
    del results[4]["response"]
    path = write(tmp_path / "out.jsonl", results)
    content = path.read_bytes()
    path.write_bytes(b"\nnot json\n[1]\n" + content[:-9])  # the download broke off in the last line
    report = import_batch([path], options, replies, budget)
    assert (report.answered, report.known, report.broken_lines) == (1, 0, 3)
    assert report.failed == {"batch_expired": 1, "unreadable": 3, "http_400": 1}
    path.write_bytes(content)
    report = import_batch([path], options, replies, budget)  # the whole file, later
    assert (report.answered, report.known, report.broken_lines) == (1, 1, 0)
    assert len(replies) == 2
    one = options.cost(report.prompt_tokens, report.completion_tokens) / 2
    assert report.usd == pytest.approx(one)
    assert budget.spent == pytest.approx(2 * one)
    # What failed is asked again in a new folder
    got = ask(BatchExport(options, replies, budget, tmp_path / "round 2"), asked)
    assert [isinstance(reply, Reply) for reply in got] == [False] * 5 + [True] * 2
    assert len(lines_of(tmp_path / "round 2")) == 5


def test_results_of_requests_that_the_ledger_does_not_know_are_not_billed(tmp_path, store):
    ours, theirs = requests(3)[:2], requests(3)[2:]
    options = prices()
    replies, budget = store("ours")
    ask(BatchExport(options, replies, budget, tmp_path / "ours files"), ours)
    ask(BatchExport(options, *store("theirs"), tmp_path / "their files"), theirs)
    exported = lines_of(tmp_path / "ours files") + lines_of(tmp_path / "their files")
    with ScriptedServer(lambda body: "yes") as server:
        results = process(exported, server.url)
    path = write(tmp_path / "out.jsonl", results)
    report = import_batch([path], options, replies, budget)
    assert (report.answered, report.known, report.foreign, report.failed) == (2, 0, 1, {})
    assert report.usd == pytest.approx(budget.spent)
    assert budget.spent == pytest.approx(options.cost(report.prompt_tokens, report.completion_tokens) / 2)
    assert (len(replies), replies.get(theirs[0].key(options))) == (2, None)
    spent = budget.spent
    report = import_batch([path], options, replies, budget)
    assert (report.answered, report.known, report.foreign, budget.spent) == (0, 2, 1, spent)


def test_failures_that_are_read_again_are_still_ours(tmp_path, store):
    asked = requests(1)
    replies, budget = store("a")
    ask(BatchExport(prices(), replies, budget, tmp_path / "files"), asked)
    expired = {"custom_id": asked[0].key(prices()), "error": {"code": "batch_expired", "message": "24 h"}}
    path = write(tmp_path / "out.jsonl", [expired])
    for _ in range(2):
        report = import_batch([path], prices(), replies, budget)
        assert (report.failed, report.foreign) == ({"batch_expired": 1}, 0)
        assert budget.spent == budget.unsettled == 0.0
    ask(BatchExport(prices(), replies, budget, tmp_path / "round 2"), asked)
    assert budget.unsettled > 0


def test_a_line_that_is_nested_too_deeply_is_broken(tmp_path, store):
    path = tmp_path / "out.jsonl"
    path.write_text("[" * 100_000 + "]" * 100_000 + "\n")
    assert import_batch([path], prices(), *store("a")).broken_lines == 1
