"""A teacher's server at its worst, and runs that are killed: every request accounted for, nothing paid twice."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections import Counter

import pytest
from scripted_server import FAULTS, Answer, ScriptedServer, seeded_faults, texts

from mmprolong_hf.synthesis.endpoint import Budget, Endpoint, EndpointOptions, ReplyCache, Request, RequestFailed
from mmprolong_hf.synthesis.endpoint.replies import Completion

PRICES = {"prompt_price": 2.0, "completion_price": 8.0}


def test_the_schedule_shows_its_shares():
    faults = seeded_faults(3)
    assert Counter(faults(i) for i in range(200)) == {"": 146, **{f: round(200 * s) for f, s in FAULTS.items()}}
    assert [faults(i) for i in range(50)] == [seeded_faults(3)(i) for i in range(50)]
    assert [faults(i) for i in range(50)] != [seeded_faults(4)(i) for i in range(50)]


# With twelve retries, one request in 25 million sees a fault each time; with none, each fault costs its request.
@pytest.mark.parametrize("max_retries", [12, 0])
def test_every_request_is_accounted_for_and_no_answer_is_paid_twice(tmp_path, max_retries):
    requests = [Request("p@1", (f"question {i}",), None) for i in range(400)]
    replies, budget = ReplyCache(tmp_path / "replies.sqlite"), Budget(10.0, tmp_path / "calls.sqlite")

    async def main(server):
        options = EndpointOptions(
            "m", server.url, concurrency=32, timeout=3.0, backoff=0.002, max_retries=max_retries, **PRICES
        )
        async with Endpoint(options, replies, budget) as endpoint:
            got = await asyncio.gather(*(endpoint.ask(r) for r in requests), return_exceptions=True)
            return options, endpoint.summary(), got

    with ScriptedServer(lambda body: f"answer to {texts(body)}", seeded_faults(0)) as server:
        options, summary, got = asyncio.run(main(server))
        again = asyncio.run(main(server))[1] if max_retries else None

    # Every request has its own answer or a reason
    for i, reply in enumerate(got):
        if isinstance(reply, Exception):
            assert isinstance(reply, RequestFailed)
        else:
            assert reply.text == f"answer to question {i}"
    failed = Counter(reply.reason for reply in got if isinstance(reply, Exception))
    assert summary.failed == failed
    assert summary.requests == 400 == summary.answered + failed.total()
    # What the server saw is what we counted
    shown = {
        "answered": server.shown["none"],
        "http_429": server.shown["429"],
        "http_500": server.shown["500"],
        "cut": server.shown["cut"],
        "unreadable": server.shown["bad_json"],
        "timed_out": server.shown["hang"],
    }
    assert min(shown.values()) > 0
    assert summary.tries == shown
    assert sum(shown.values()) == len(server.requests) >= 400
    if max_retries:
        assert failed.total() == 0
        assert (again.cached, again.tries) == (400, {})
    else:
        assert failed == {reason: n for reason, n in shown.items() if reason != "answered"}
    # An answer that arrived is paid once; work whose answer was lost is the server's charge, and reported
    assert set(server.delivered.values()) == {1}
    assert len(server.delivered) == summary.answered == len(replies)
    lost = server.charged.total() - server.delivered.total()
    assert lost == shown["cut"] + shown["unreadable"] + shown["timed_out"] == summary.unsettled
    assert budget.spent == pytest.approx(summary.usd)
    assert budget.spent == pytest.approx(options.cost(summary.prompt_tokens, summary.completion_tokens))
    assert budget.unsettled == pytest.approx(summary.unsettled_usd)
    # Ours and what may be billed covers what the server charged
    charged = options.cost(server.tokens["prompt"], server.tokens["completion"])
    assert budget.spent < charged <= budget.spent + budget.unsettled
    replies.close()
    budget.close()


def test_a_reply_that_is_not_stored_is_seen_to_be_paid_twice():
    """What the test above guards against, done on purpose: a cache that forgets."""

    class Forgetful(ReplyCache):
        def get(self, key: str) -> None:
            return None

        def put(self, key: str, completion: Completion, *, model: str) -> Completion:
            return completion

    async def main(server):
        replies, budget = Forgetful(":memory:"), Budget()
        async with Endpoint(EndpointOptions("m", server.url), replies, budget) as endpoint:
            for _ in range(2):
                await endpoint.ask(Request("p@1", ("q",), None))
        replies.close()
        budget.close()

    with ScriptedServer(lambda body: "a") as server:
        asyncio.run(main(server))
    assert set(server.delivered.values()) == {2}


RUN = """
import asyncio, sys
from mmprolong_hf.synthesis.endpoint import Budget, Endpoint, EndpointOptions, ReplyCache, Request
url, folder = sys.argv[1:]
async def ask(endpoint, i):
    reply = await endpoint.ask(Request("p@1", (f"question {i}",), None))
    print(i, reply.text, flush=True)
async def main():
    options = EndpointOptions("m", url, concurrency=4, prompt_price=2.0, completion_price=8.0)
    replies, budget = ReplyCache(f"{folder}/replies.sqlite"), Budget(1.0, f"{folder}/calls.sqlite")
    async with Endpoint(options, replies, budget) as endpoint, asyncio.TaskGroup() as group:
        for i in range(80):
            group.create_task(ask(endpoint, i))
asyncio.run(main())
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_killed_and_started_again_pays_no_answer_twice(tmp_path, environment, how):
    command = [sys.executable, "-c", RUN, "URL", str(tmp_path)]
    seen, runs = set(), 0
    with ScriptedServer(lambda body: Answer(f"answer to {texts(body)}", delay=0.005)) as server:
        command[3] = server.url
        for stop_after in (1, 7, 20, None):
            stored = _stored(tmp_path)
            before = len(server.requests)
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
            )
            for count, line in enumerate(process.stdout, start=1):
                seen.add(line.strip())
                if count - len(stored) == stop_after:
                    process.send_signal(how)
            code, errors = process.wait(), process.stderr.read()
            process.stdout.close()
            process.stderr.close()
            assert code == (0 if stop_after is None else -how), errors
            sent = [f"answer to {texts(body)}" for body in server.requests[before:]]
            assert len(set(sent)) == len(sent)
            assert not stored & set(sent)
            runs += 1
        assert seen == {f"{i} answer to question {i}" for i in range(80)}
        # At most what was under way when a run was stopped is sent again
        assert 80 <= len(server.requests) <= 80 + 4 * (runs - 1)
        charged = (server.tokens["prompt"] * 2.0 + server.tokens["completion"] * 8.0) / 1e6
    budget = Budget(1.0, tmp_path / "calls.sqlite")
    assert budget.spent <= charged + 1e-12
    assert charged <= budget.spent + budget.unsettled + 1e-12
    budget.close()


def _stored(folder) -> set[str]:
    """Texts on disk, in a database that is whole."""
    if not (folder / "replies.sqlite").exists():
        return set()
    database = sqlite3.connect(folder / "replies.sqlite")
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    found = {text for (text,) in database.execute("SELECT text FROM replies")}
    database.close()
    return found
