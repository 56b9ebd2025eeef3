"""Results of calls under way, one by one in ordinary code."""

import asyncio

import pytest
from scripted_server import Answer, ScriptedServer, texts

from mmprolong_hf.evaluation.as_they_come import as_they_come
from mmprolong_hf.synthesis.endpoint import Budget, Endpoint, EndpointOptions, ReplyCache, Request


@pytest.fixture
def replies():
    cache = ReplyCache(":memory:")
    yield cache
    cache.close()


def start(server, replies, items, **values):
    endpoint = Endpoint(
        EndpointOptions("m", server.url, **{"backoff": 0.001, "timeout": 5.0, **values}), replies, Budget()
    )

    async def call(item):
        return (await endpoint.ask(Request("p", (item,), None))).text

    return as_they_come(endpoint, call, items)


def test_a_result_is_there_while_others_are_under_way(replies):
    def answer(body):
        return Answer(texts(body), delay=0.0 if texts(body) == "fast" else 0.5)

    with ScriptedServer(answer) as server:
        results = start(server, replies, ["slow", "fast", "slower"])
        assert next(results) == "fast"
        assert len(replies) == 1
        assert sorted(results) == ["slow", "slower"]
        assert server.most_at_once >= 2


def test_nothing_is_asked_about_nothing(replies):
    with ScriptedServer(lambda body: "a") as server:
        assert list(start(server, replies, [])) == []
        assert server.requests == []


def test_a_caller_that_stops_early_stops_what_is_under_way(replies):
    def answer(body):
        return Answer(texts(body), fault="" if texts(body) == "fast" else "hang")

    with ScriptedServer(answer) as server:
        results = start(server, replies, ["fast", "never"])
        assert next(results) == "fast"
        results.close()
        assert len(replies) == 1
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


def test_what_a_call_raises_comes_out_and_stops_the_others(replies):
    async def call(item):
        if item == "bad":
            raise KeyError(item)
        await asyncio.sleep(60)

    with ScriptedServer(lambda body: "a") as server:
        endpoint = Endpoint(EndpointOptions("m", server.url), replies, Budget())
        with pytest.raises(KeyError, match="bad"):
            list(as_they_come(endpoint, call, ["waits", "bad", "waits too"]))
