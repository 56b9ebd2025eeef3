"""Calls to a real server on this machine: what is sent, what is tried again, what stops the run."""

import asyncio
import email.utils
import gzip
import io
import pickle
import time
import tracemalloc

import pytest
from PIL import Image
from scripted_server import TOKENS_PER_IMAGE, Answer, ScriptedServer, error, images, texts

from mmprolong_hf.synthesis.endpoint import (
    Budget,
    BudgetSpent,
    Endpoint,
    EndpointOptions,
    EndpointRefused,
    ReplyCache,
    Request,
    RequestFailed,
)
from mmprolong_hf.synthesis.endpoint.http_answer import MAX_BODY_BYTES

NEGATIVE = {"prompt_tokens": -9, "completion_tokens": 1}


@pytest.fixture
def replies():
    cache = ReplyCache(":memory:")
    yield cache
    cache.close()


@pytest.fixture
def budget():
    ledger = Budget()
    yield ledger
    ledger.close()


def options(server, **values):
    return EndpointOptions("m", base_url=server.url, **{"backoff": 0.001, "timeout": 5.0, **values})


def question(text="q", **values):
    return Request("p@1", (text,), **{"schema": None, **values})


def one_by_one(answers):
    """A script that gives these answers in their order, then the text `done`."""
    left = iter(answers)
    return lambda body: next(left, "done")


def run(server, replies, budget, *requests, **values):
    """Asks all at once; returns the endpoint's summary and what each got, exceptions too."""

    async def main():
        async with Endpoint(options(server, **values), replies, budget) as endpoint:
            got = await asyncio.gather(*(endpoint.ask(r) for r in requests), return_exceptions=True)
            return endpoint.summary(), got

    return asyncio.run(main())


def test_the_server_gets_the_body_and_the_reply_its_usage(replies, budget, monkeypatch):
    monkeypatch.setenv("TEACHER_KEY", "sk-secret")
    buffer = io.BytesIO()
    Image.new("RGB", (56, 56)).save(buffer, "JPEG")
    schema = {"type": "object", "properties": {"a": {"enum": ["x", None], "default": None}}}
    request = Request("p@1", ("Page 1:", buffer.getvalue(), "What?"), schema, system="be exact")
    prices = {"prompt_price": 10.0, "completion_price": 100.0}
    with ScriptedServer(lambda body: "The answer") as server:
        summary, [reply] = run(server, replies, budget, request, api_key_env="TEACHER_KEY", **prices)
        assert server.requests == [request.body(options(server))]
        assert server.headers[0]["authorization"] == "Bearer sk-secret"
        assert images(server.requests[0]) == [buffer.getvalue()]
    assert reply.text == "The answer"
    sent, written = server.tokens["prompt"], server.tokens["completion"]
    assert sent > TOKENS_PER_IMAGE
    assert (reply.prompt_tokens, reply.completion_tokens, reply.cached) == (sent, written, False)
    assert reply.usd == summary.usd == budget.spent == (sent * 10.0 + written * 100.0) / 1e6
    assert (summary.requests, summary.answered, summary.tries) == (1, 1, {"answered": 1})


def test_without_a_key_nothing_is_sent_in_its_place(replies, budget, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with ScriptedServer(lambda body: "a") as server:
        run(server, replies, budget, question())
        assert "authorization" not in server.headers[0]


def test_an_answered_request_is_not_sent_again(replies, budget):
    with ScriptedServer(lambda body: "a") as server:
        _, [first] = run(server, replies, budget, question())
        summary, [second] = run(server, replies, budget, question())
        assert len(server.requests) == 1
    assert (first.text, first.cached, second.text, second.cached) == ("a", False, "a", True)
    assert (summary.requests, summary.cached, summary.answered, summary.usd) == (1, 1, 0, 0.0)


def test_the_same_request_at_once_is_sent_once(replies, budget):
    with ScriptedServer(lambda body: Answer("a", delay=0.05)) as server:
        summary, got = run(server, replies, budget, *[question()] * 5)
        assert len(server.requests) == 1
    assert sorted(reply.cached for reply in got) == [False, True, True, True, True]
    assert (summary.cached, summary.answered) == (4, 1)


def test_no_more_calls_at_a_time_than_allowed(replies, budget):
    with ScriptedServer(lambda body: Answer("a", delay=0.02)) as server:
        run(server, replies, budget, *(question(str(i)) for i in range(12)), concurrency=3)
        assert server.most_at_once == 3


@pytest.mark.parametrize(
    ("answer", "reason", "unsettled"),
    [
        (error(408, "slow"), "http_408", 0),
        (error(409, "conflict"), "http_409", 0),
        (error(429, "too many"), "http_429", 0),
        (error(500, "fault"), "http_500", 0),
        (error(503, "busy"), "http_503", 0),
        (error(529, "overloaded"), "http_529", 0),
        (Answer(b"<html>bad gateway</html>", status=502), "http_502", 1),
        (error(504, "gateway"), "http_504", 1),
        (Answer("lost", fault="cut"), "cut", 1),
        (Answer("lost", fault="reset"), "cut", 1),
        (Answer("lost", fault="hang"), "timed_out", 1),
        (Answer("lost", delay=5.0), "timed_out", 1),
        (Answer("lost", fault="bad_json"), "unreadable", 1),
        (Answer(b"\xff\xfe"), "unreadable", 1),
        (Answer(b"[" * 100_000 + b"]" * 100_000), "unreadable", 1),
        (Answer({"choices": [{"message": {"content": "a"}}], "usage": NEGATIVE}), "unreadable", 1),
        (Answer(b"not gzip", headers={"content-encoding": "gzip"}), "cut", 1),
        (Answer({"error": {"message": "overloaded", "code": 502}}), "unreadable", 1),
    ],
)
def test_what_may_pass_is_tried_again_and_given_up_in_the_end(replies, budget, answer, reason, unsettled):
    values = {"prompt_price": 1.0, "completion_price": 1.0, "timeout": 1.0}
    with ScriptedServer(one_by_one([answer, answer])) as server:
        summary, [reply] = run(server, replies, budget, question(), **values)
        assert len(server.requests) == 3
    assert reply.text == "done"
    assert summary.tries == {reason: 2, "answered": 1}
    assert summary.unsettled == 2 * unsettled
    assert (budget.unsettled > 0) == (unsettled > 0)
    with ScriptedServer(lambda body: answer) as server:
        summary, [failed] = run(server, replies, budget, question("other"), max_retries=1, **values)
        assert len(server.requests) == 2
    assert isinstance(failed, RequestFailed)
    assert failed.reason == reason
    assert "given up after 2 tries" in failed.detail
    assert (summary.failed, summary.tries) == ({reason: 1}, {reason: 2})


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_that_is_too_large_is_not_read_to_its_end(replies, budget, packed):
    body = b" " * (4 * MAX_BODY_BYTES)
    answer = Answer(gzip.compress(body, 1), headers={"content-encoding": "gzip"}) if packed else Answer(body)
    values = {"prompt_price": 1.0, "completion_price": 1.0, "max_retries": 0}
    tracemalloc.start()
    with ScriptedServer(lambda body: answer) as server:
        summary, [failed] = run(server, replies, budget, question(), **values)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(failed) == f"unreadable: the answer has more than {MAX_BODY_BYTES} bytes; given up after 1 tries"
    assert (summary.tries, summary.unsettled) == ({"unreadable": 1}, 1)
    assert most < 3 * MAX_BODY_BYTES  # below what the whole answer takes
    with ScriptedServer(lambda body: Answer(b"x" * (MAX_BODY_BYTES + 1), status=401)) as server:
        _, [refused] = run(server, replies, budget, question(), **values)
    assert isinstance(refused, EndpointRefused)  # an error is one at any size


def test_a_server_that_is_not_there(replies, budget):
    with ScriptedServer(lambda body: "a") as server:
        pass
    summary, [failed] = run(server, replies, budget, question(), max_retries=2)
    assert failed.reason == "unreachable"
    assert server.url in failed.detail
    assert (summary.tries, summary.unsettled) == ({"unreachable": 3}, 0)


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_a_request_that_the_server_does_not_accept_is_given_up_at_once(replies, budget, status):
    with ScriptedServer(lambda body: error(status, "at most 5 images")) as server:
        summary, [failed] = run(server, replies, budget, question())
        assert len(server.requests) == 1
    assert isinstance(failed, RequestFailed)
    assert failed.reason == f"http_{status}"
    assert "at most 5 images" in failed.detail
    assert summary.failed == summary.tries == {f"http_{status}": 1}


@pytest.mark.parametrize(
    "refusal",
    [error(401, "wrong key"), error(402, "no credit"), error(403, "no"), error(429, "pay", code="insufficient_quota")],
)
def test_a_refused_key_stops_every_request_at_once(replies, budget, refusal):
    def answer(body):
        if texts(body) == "slow":
            return error(429, "wait", **{"retry-after": "60"})
        return refusal if texts(body) == "first" else "a"

    with ScriptedServer(answer) as server:

        async def main():
            async with Endpoint(options(server, concurrency=2), replies, budget) as endpoint:
                await endpoint.ask(question("before"))
                slow = asyncio.create_task(endpoint.ask(question("slow")))
                first = asyncio.create_task(endpoint.ask(question("first")))
                started = time.monotonic()
                got = await asyncio.gather(slow, first, return_exceptions=True)
                for text in ("later", "latest"):
                    with pytest.raises(EndpointRefused, match="check the key in HF_TOKEN and the account"):
                        await endpoint.ask(question(text))
                assert (await endpoint.ask(question("before"))).cached
                return got, time.monotonic() - started, endpoint.summary()

        got, seconds, summary = asyncio.run(main())
        assert len(server.requests) == 3
    assert [type(e) for e in got] == [EndpointRefused, EndpointRefused]
    assert seconds < 2.0  # also for the one that had a minute to wait
    assert summary.failed == {"EndpointRefused": 4}


def test_a_key_that_the_server_repeats_is_in_no_message(replies, budget, monkeypatch):
    monkeypatch.setenv("TEACHER_KEY", "sk-secret")
    for status in (401, 400, 500):
        with ScriptedServer(lambda body, status=status: error(status, "wrong key: sk-secret")) as server:
            _, [failed] = run(server, replies, budget, question(str(status)), api_key_env="TEACHER_KEY", max_retries=0)
        assert "wrong key: ***" in str(failed)
        assert "sk-secret" not in repr(failed)
        assert b"sk-secret" not in pickle.dumps(failed)


def test_an_open_endpoint_shows_no_key_and_cannot_be_pickled(replies, budget, monkeypatch):
    monkeypatch.setenv("TEACHER_KEY", "sk-secret")

    async def main(server):
        async with Endpoint(options(server, api_key_env="TEACHER_KEY"), replies, budget) as endpoint:
            assert "sk-secret" not in repr(endpoint)
            with pytest.raises(TypeError, match="cannot pickle"):
                pickle.dumps(endpoint)

    with ScriptedServer(lambda body: "a") as server:
        asyncio.run(main(server))


@pytest.mark.parametrize("date", [False, True])
def test_retry_after_holds_for_all_requests(replies, budget, date):
    times = []

    def answer(body):
        times.append(time.monotonic())
        if len(times) > 1:
            return "a"
        # a date has whole seconds
        value = email.utils.formatdate(time.time() + 2.0, usegmt=True) if date else "0.5"
        return error(429, "wait", **{"retry-after": value})

    with ScriptedServer(answer) as server:
        summary, got = run(server, replies, budget, question("1"), question("2"), concurrency=1)
    assert [reply.text for reply in got] == ["a", "a"]
    assert len(times) == 3
    assert 0.45 < times[1] - times[0] < 3.0
    assert times[2] - times[0] > 0.45
    assert summary.tries == {"http_429": 1, "answered": 2}


def test_other_requests_go_on_while_one_waits_for_its_next_try(replies, budget):
    def answer(body):
        return error(500, "wait", **{"retry-after": "0.5"}) if texts(body) == "slow" and not waited else "a"

    waited = []

    async def main(server):
        async with Endpoint(options(server, concurrency=1), replies, budget) as endpoint:
            slow = asyncio.create_task(endpoint.ask(question("slow")))
            await asyncio.sleep(0.1)
            started = time.monotonic()
            for i in range(5):
                await endpoint.ask(question(str(i)))
            assert time.monotonic() - started < 0.3
            assert not slow.done()
            waited.append(True)
            await slow

    with ScriptedServer(answer) as server:
        asyncio.run(main(server))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("half of", finish_reason="length"), "truncated"),
        (Answer("", finish_reason="content_filter"), "filtered"),
        (Answer(""), "empty"),
    ],
)
def test_an_unusable_reply_is_paid_once_and_not_asked_again(replies, budget, answer, reason):
    values = {"prompt_price": 1.0, "completion_price": 1.0}
    with ScriptedServer(lambda body: answer) as server:
        summary, [failed] = run(server, replies, budget, question(), **values)
        again, [still] = run(server, replies, budget, question(), **values)
        assert len(server.requests) == 1
    assert failed.reason == still.reason == reason
    assert summary.failed == again.failed == {reason: 1}
    assert summary.usd == budget.spent > 0
    assert again.usd == 0.0


def test_complete_returns_what_came_and_its_own_longest_reply_is_billed(replies, budget):
    def answer(body):
        usage = {"prompt_tokens": 50, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 48}}
        choice = {"message": {"content": "half of"}, "finish_reason": "length"}
        return Answer({"choices": [choice], "usage": usage} if texts(body) == "told" else {"choices": [choice]})

    async def main(server):
        async with Endpoint(options(server, completion_price=1.0, prompt_price=1.0), replies, budget) as endpoint:
            told, untold = question("told"), question("untold", max_tokens=7)
            got = [await endpoint.complete(request) for request in (told, untold, told)]
            with pytest.raises(RequestFailed, match="truncated"):
                await endpoint.ask(told)
            return got, endpoint.summary()

    with ScriptedServer(answer) as server:
        (told, untold, again), summary = asyncio.run(main(server))
        assert [body["max_tokens"] for body in server.requests] == [2048, 7]
    assert (told.text, told.finish_reason, told.counted, told.cached_tokens) == ("half of", "length", True, 48)
    assert (untold.completion_tokens, untold.counted, untold.cached_tokens) == (7, False, None)
    assert (again.prompt_tokens, again.counted, again.cached_tokens) == (50, False, None)
    assert (summary.requests, summary.answered, summary.cached, summary.failed) == (4, 2, 1, {"truncated": 1})


def test_a_server_that_tells_no_usage_is_reckoned_at_the_most(replies, budget):
    with ScriptedServer(lambda body: Answer("a", usage=False)) as server:
        values = {"max_tokens": 100, "prompt_price": 1.0, "completion_price": 1.0}
        _, [reply] = run(server, replies, budget, question(), **values)
        assert reply.prompt_tokens == question().most_tokens(options(server))
    assert reply.completion_tokens == 100
    assert budget.spent == reply.usd


def test_a_limit_without_prices_is_refused(replies):
    with pytest.raises(ValueError, match=r"prompt_price is 0 and completion_price 1, .*; give the prices of m in USD"):
        Endpoint(EndpointOptions("m", completion_price=1.0), replies, Budget(1.0))


@pytest.mark.parametrize("concurrency", [1, 8])
def test_the_limit_is_never_exceeded_and_what_is_answered_is_kept(replies, concurrency):
    prices = {"prompt_price": 100.0, "completion_price": 100.0, "max_tokens": 50, "concurrency": concurrency}
    budget = Budget(0.05)
    requests = [question(f"question {i}") for i in range(40)]
    with ScriptedServer(lambda body: Answer("a" * 100, delay=0.005)) as server:
        summary, got = run(server, replies, budget, *requests, **prices)
        billed = (server.tokens["prompt"] + server.tokens["completion"]) * 100.0 / 1e6
        most = options(server, **prices).cost(requests[0].most_tokens(options(server)), 50)
        answered = [reply for reply in got if not isinstance(reply, Exception)]
        assert len(server.requests) == len(answered) == len(replies)
    assert {type(e) for e in got if isinstance(e, Exception)} == {BudgetSpent}
    assert budget.spent == pytest.approx(billed)
    # It stops where another call could exceed, and no earlier: calls that are under way are waited for
    assert 0.05 - most - 1e-9 < billed <= 0.05
    assert summary.failed == {"BudgetSpent": 40 - len(answered)}
    budget.close()


def test_a_model_that_takes_more_for_a_prompt_than_reckoned_is_learnt(replies):
    """Its first call shows the ratio, and the limit holds after it."""

    def answer(body):
        message = {"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}
        return Answer(message | {"usage": {"prompt_tokens": 1000, "completion_tokens": 1}})

    budget = Budget(0.35)
    with ScriptedServer(answer) as server:
        requests = [question(f"question {i}") for i in range(10)]
        run(server, replies, budget, *requests, concurrency=1, max_tokens=1, prompt_price=100.0, completion_price=1.0)
        assert len(server.requests) == 3
    assert budget.spent < 0.35
    budget.close()


def test_a_call_outlives_the_one_who_asked_and_is_kept(replies, budget):
    async def main(server):
        async with Endpoint(options(server), replies, budget) as endpoint:
            asker = asyncio.create_task(endpoint.ask(question()))
            await asyncio.sleep(0.05)
            asker.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asker
            reply = await endpoint.ask(question())  # joins the call
            return reply, endpoint.summary()

    with ScriptedServer(lambda body: Answer("a", delay=0.2)) as server:
        reply, summary = asyncio.run(main(server))
        assert len(server.requests) == 1
    assert reply.text == "a"
    assert (summary.requests, summary.cached, summary.failed) == (2, 1, {"CancelledError": 1})


def test_closing_stops_what_is_under_way_and_its_bill_is_unknown(replies, budget):
    async def main(server):
        values = {"prompt_price": 1.0, "completion_price": 1.0}
        async with Endpoint(options(server, **values), replies, budget) as endpoint:
            asker = asyncio.create_task(endpoint.ask(question()))
            await asyncio.sleep(0.05)
        with pytest.raises(asyncio.CancelledError):
            await asker

    with ScriptedServer(lambda body: Answer("a", fault="hang")) as server:
        asyncio.run(main(server))
    assert len(replies) == 0
    assert budget.unsettled > 0


def test_an_endpoint_may_be_opened_again(replies, budget):
    with ScriptedServer(lambda body: "a") as server:
        endpoint = Endpoint(options(server), replies, budget)

        async def main(text):
            async with endpoint:
                return await endpoint.ask(question(text))

        for text in ("1", "2"):
            assert asyncio.run(main(text)).text == "a"
    assert endpoint.summary().answered == 2
