import asyncio
import io

import pytest
from PIL import Image
from scripted_server import Answer, ScriptedServer, texts

from mmprolong_hf.synthesis.endpoint import (
    Budget,
    BudgetSpent,
    Endpoint,
    EndpointOptions,
    EndpointRefused,
    Pending,
    ReplyCache,
    Request,
    RequestFailed,
)
from mmprolong_hf.synthesis.teacher.asking import SHOWN_REPLY, ask_parsed, gather_all, repair_request
from mmprolong_hf.synthesis.teacher.fields import ParseError
from mmprolong_hf.synthesis.teacher.parsing import read_json


def jpeg():
    image = io.BytesIO()
    Image.new("RGB", (56, 56), "white").save(image, "JPEG")
    return image.getvalue()


REQUEST = Request("ask@1", ("Page 1:", jpeg(), "What is $there?"), {"type": "object"}, system="Be brief.")


def ask(answer):
    async def run(url):
        options = EndpointOptions("m", base_url=url, max_retries=0, prompt_price=0.0)
        async with Endpoint(options, ReplyCache(":memory:"), Budget()) as endpoint:
            return await ask_parsed(endpoint, REQUEST, read_json)

    with ScriptedServer(answer) as server:
        try:
            return asyncio.run(run(server.url)), server.requests
        except (ParseError, RequestFailed) as error:
            return error, server.requests


def test_a_good_reply_is_asked_for_once():
    found, requests = ask(lambda body: '{"a": "b"}')
    assert found == {"a": "b"}
    assert len(requests) == 1


def test_a_bad_reply_is_asked_for_once_more_and_no_more():
    found, requests = ask(lambda body: "bad" if "# Correction" not in texts(body) else '{"a": "c"}')
    assert found == {"a": "c"}
    assert len(requests) == 2
    found, requests = ask(lambda body: "bad again")
    assert found.reason == "not_json"
    assert len(requests) == 2


def test_a_request_that_fails_is_not_repaired():
    found, requests = ask(lambda body: Answer({"error": {"message": "no"}}, status=400))
    assert found.reason == "http_400"
    assert len(requests) == 1


def test_a_correction_begins_like_the_request_and_shows_the_end_of_the_reply():
    reply = "start" + "x" * SHOWN_REPLY + "$end \ud800"
    request = repair_request(REQUEST, reply, "not_json: found $problem")
    assert request.content[:-1] == REQUEST.content
    assert (request.schema, request.system) == (REQUEST.schema, REQUEST.system)
    assert "not_json: found $problem" in request.content[-1]
    assert "$end ?" in request.content[-1]
    assert "start" not in request.content[-1]
    assert request.prompt.startswith("repair@")
    assert request.prompt != repair_request(Request("ask@2", ("x",), None), reply, "problem").prompt


async def _after(seconds, outcome, log):
    await asyncio.sleep(seconds)
    log.append(outcome)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def gather(*outcomes):
    log = []

    async def run():
        return await gather_all(_after(0.002 * k, outcome, log) for k, outcome in enumerate(reversed(outcomes)))

    try:
        return asyncio.run(run()), log
    except Exception as error:
        return error, log


def test_results_come_in_the_order_of_the_requests():
    assert gather("a", "b", "c")[0] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("outcomes", "raised"),
    [
        ((Pending("k"), "a", Pending("l")), Pending),
        ((Pending("k"), BudgetSpent("spent"), "a"), BudgetSpent),
        ((EndpointRefused("no"), BudgetSpent("spent"), Pending("k")), EndpointRefused),
        ((EndpointRefused("no"), KeyError("a fault of ours"), BudgetSpent("spent")), KeyError),
    ],
)
def test_the_gravest_stop_is_raised_when_all_have_ended(outcomes, raised):
    error, log = gather(*outcomes)
    assert type(error) is raised
    assert len(log) == len(outcomes)
