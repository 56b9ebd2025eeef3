"""Questions about pages, asked of a real server on this machine."""

import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image
from scripted_server import Answer, ScriptedServer, error, images, seeded_faults, texts

from mmprolong_hf.evaluation.answers import read_lines
from mmprolong_hf.evaluation.requests import Answer as Answered
from mmprolong_hf.evaluation.requests import Ask, Context, PageImage
from mmprolong_hf.evaluation.run import run_contexts
from mmprolong_hf.evaluation.server_engine import ServerEngine, ServerFailing
from mmprolong_hf.synthesis.endpoint import Budget, BudgetSpent, EndpointOptions, EndpointRefused


def page(colour, format="JPEG", size=(56, 56)):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, format)
    return buffer.getvalue()


RED, BLUE = page("red"), page("blue", "PNG")


def context(num_asks=3, **ask):
    parts = ("Read this.\n\nDocument a: ", PageImage(RED), "\n\nDocument b: ", PageImage(BLUE))
    return Context(parts, tuple(Ask(f"id-{i}", f"\n\nQuestion: {i}", **ask) for i in range(num_asks)))


def engine(server, *, budget=None, continues=True, **values):
    options = EndpointOptions("m", server.url, **{"backoff": 0.001, "timeout": 5.0, **values})
    return ServerEngine(options, budget=budget, continues=continues)


def completion(text, **usage):
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return Answer({"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 2, **usage}})


def test_texts_and_pages_are_sent_in_order_byte_for_byte_and_the_question_last():
    with ScriptedServer(lambda body: " 42") as server:
        [answer] = engine(server).answer(context(1, max_new_tokens=9))
        [body] = server.requests
    [message] = body.pop("messages")
    assert body == {"model": "m", "temperature": 0.0, "max_tokens": 9, "repetition_penalty": 1.0}
    assert [part["type"] for part in message["content"]] == ["text", "image_url", "text", "image_url", "text"]
    parts = [part["text"] for part in message["content"] if part["type"] == "text"]
    assert parts == ["Read this.\n\nDocument a: ", "\n\nDocument b: ", "\n\nQuestion: 0"]
    assert images({"messages": [message]}) == [RED, BLUE]
    assert message["content"][3]["image_url"]["url"].startswith("data:image/png;base64,")
    assert (answer.id, answer.text, answer.error) == ("id-0", " 42", None)


def test_the_answer_start_is_continued_or_a_message_of_its_own_and_the_name_says_which():
    with ScriptedServer(lambda body: " 42") as server:
        continued, own = engine(server), engine(server, continues=False)
        for each in (continued, own):
            list(each.answer(context(1, answer_start="Answer:")))
        first, second = server.requests
    assert first["messages"] == second["messages"]
    assert first["messages"][1] == {"role": "assistant", "content": "Answer:"}
    assert (first["continue_final_message"], first["add_generation_prompt"]) == (True, False)
    assert set(second) == {"model", "messages", "temperature", "max_tokens"}  # what OpenAI's API knows
    assert continued.name == f"m on {server.url}, the answer start continued"
    assert own.name == f"m on {server.url}, the answer start a message of its own"


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("http://a:1/v1", "http://a:1/v1"),
        ("http://a:1/v1/", "http://a:1/v1"),
        ("http://b:1/v1", "http://b:1/v1"),
        ("http://a:1/v1?key=sk-secret", "http://a:1/v1"),
        (None, "https://router.huggingface.co/v1"),
    ],
)
def test_the_name_holds_the_address_and_no_query(address, named):
    assert ServerEngine(EndpointOptions("m", address)).name == f"m on {named}, the answer start continued"


def test_the_first_question_is_answered_before_the_others_are_sent_together():
    with ScriptedServer(lambda body: Answer(texts(body)[-1], delay=0.4)) as server:
        answers = engine(server, concurrency=8).answer(context(6))
        assert next(answers).text == "0"
        assert len(server.requests) == 1
        assert sorted(answer.text for answer in answers) == ["1", "2", "3", "4", "5"]
        assert server.most_at_once == 5


def test_tokens_are_those_that_the_server_tells():
    told = {
        "0": completion("a", prompt_tokens_details={"cached_tokens": 0}),
        "1": completion("a", prompt_tokens_details={"cached_tokens": 96}),
        "2": completion("a"),
        "3": Answer("a", usage=False),
    }
    with ScriptedServer(lambda body: told[texts(body)[-1]]) as server:
        answers = {answer.id[-1]: answer for answer in engine(server).answer(context(4))}
    tokens = {i: (answer.prompt_tokens, answer.prefilled_tokens) for i, answer in answers.items()}
    assert tokens == {"0": (100, 100), "1": (100, 4), "2": (100, None), "3": (None, None)}


def test_an_answer_that_is_cut_or_empty_is_one_and_a_filtered_one_has_failed():
    said = {
        "0": Answer("half of", finish_reason="length"),
        "1": Answer(""),
        "2": Answer("a", finish_reason="content_filter"),
    }
    with ScriptedServer(lambda body: said[texts(body)[-1]]) as server:
        answers = {answer.id[-1]: answer for answer in engine(server).answer(context(3))}
    assert (answers["0"].text, answers["0"].error) == ("half of", None)
    assert (answers["1"].text, answers["1"].error) == ("", None)
    filtered = "filtered: the server's content filter kept the answer back"
    assert answers["2"] == Answered("id-2", "", error=filtered)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (error(400, "at most 1 image"), r"http_400: .*at most 1 image"),
        (error(500, "fault"), r"http_500: .*given up after 2 tries"),
        (Answer("lost", fault="cut"), r"cut: .*given up after 2 tries"),
        (Answer("lost", fault="hang"), r"timed_out: no answer after 0.5 s; given up after 2 tries"),
        (Answer("lost", fault="bad_json"), r"unreadable: .*given up after 2 tries"),
    ],
)
def test_what_fails_is_an_answer_with_its_reason_and_the_others_are_answered(fault, reason):
    with ScriptedServer(lambda body: fault if texts(body)[-1] in "02" else "a") as server:
        answers = list(engine(server, max_retries=1, timeout=0.5).answer(context(4)))
    assert sorted(answer.id for answer in answers) == ["id-0", "id-1", "id-2", "id-3"]
    failed = [answer for answer in answers if answer.error is not None]
    assert {answer.id for answer in failed} == {"id-0", "id-2"}
    for answer in failed:
        assert answer.text == ""
        with pytest.raises(ValueError, match=reason):
            raise ValueError(answer.error)


def test_every_question_is_answered_by_a_server_with_faults():
    with ScriptedServer(lambda body: texts(body).split(": ")[-1], seeded_faults(1)) as server:
        answers = list(engine(server, max_retries=12, timeout=2.0).answer(context(120)))
        assert len(server.requests) > 120
    assert {answer.id: answer.text for answer in answers} == {f"id-{i}": str(i) for i in range(120)}
    assert len(answers) == 120


def test_a_server_that_is_not_there_is_told_for_every_question():
    with ScriptedServer(lambda body: "a") as server:
        pass
    answers = list(engine(server, max_retries=0).answer(context(2)))
    assert [answer.error.split(":")[0] for answer in answers] == ["unreachable", "unreachable"]


@pytest.mark.parametrize("fault", ["cut", "hang"])
def test_a_server_that_goes_stops_the_run_and_the_next_one_asks_again(fault, tmp_path):
    with ScriptedServer(lambda body: Answer("a", fault=fault if texts(body)[-1] in "345678" else "")) as server:
        asked = engine(server, max_retries=0, timeout=0.2, concurrency=1)
        with pytest.raises(
            ServerFailing,
            match=r"chat/completions failed 5 questions in a row, the last one: .*start the server again",
        ):
            run_contexts([context(9)], asked, tmp_path)
        server.answer = lambda body: "b"
        summary = run_contexts([context(9)], asked, tmp_path)
    assert (summary.num_kept, summary.num_failed) == (3, 0)
    said = {record["id"][-1]: record["prediction"] for record in read_lines(tmp_path / "answers.jsonl")}
    assert said == dict.fromkeys("012", "a") | dict.fromkeys("345678", "b")


def test_a_server_that_goes_is_noticed_over_contexts(tmp_path):
    contexts = [Context((PageImage(RED),), (Ask(f"id-{i}", "q"),)) for i in range(9)]
    with ScriptedServer(lambda body: "a") as server:
        pass
    asked = engine(server, max_retries=0)
    with pytest.raises(ServerFailing, match=r"unreachable: .*start the server again, .*longer timeout than 5 s"):
        run_contexts(contexts, asked, tmp_path)
    assert len(read_lines(tmp_path / "answers.jsonl")) == 5


def test_failures_with_replies_between_stop_nothing():
    silent = Answer("a", fault="cut")
    said = {"4": "a", "9": error(500, "fault")}  # an error of the server is a reply
    with ScriptedServer(lambda body: said.get(texts(body), silent)) as server:
        asked = engine(server, max_retries=0, concurrency=1)
        contexts = [Context((PageImage(RED),), (Ask(f"id-{i}", str(i)),)) for i in range(14)]
        answers = [answer for each in contexts for answer in asked.answer(each)]
    assert [answer.id for answer in answers] == [f"id-{i}" for i in range(14)]
    assert [answer.id for answer in answers if answer.error is None] == ["id-4"]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("refused", ["0", "1"])
def test_a_refused_key_stops_the_run_and_is_in_no_message(monkeypatch, status, refused):
    monkeypatch.setenv("SERVER_KEY", "sk-secret")
    refusal = error(status, "wrong key: sk-secret")
    with ScriptedServer(lambda body: refusal if texts(body)[-1] == refused else "a") as server:
        asked = engine(server, api_key_env="SERVER_KEY", concurrency=1)
        with pytest.raises(EndpointRefused, match=r"wrong key: \*\*\*.*check the key in SERVER_KEY"):
            list(asked.answer(context(3)))
        assert server.headers[0]["authorization"] == "Bearer sk-secret"
        assert len(server.requests) == int(refused) + 1


def test_the_key_is_in_no_answer_and_not_in_the_name(monkeypatch):
    monkeypatch.setenv("SERVER_KEY", "sk-secret")
    with ScriptedServer(lambda body: error(400, "no such model for sk-secret")) as server:
        asked = engine(server, api_key_env="SERVER_KEY")
        answers = list(asked.answer(context(2)))
    text = json.dumps([asked.name, *(vars(answer) for answer in answers)])
    assert text.count("no such model for ***") == 2
    assert "sk-secret" not in text


def test_a_budget_stops_the_run():
    budget = Budget(0.001)
    with ScriptedServer(lambda body: "a") as server:
        asked = engine(server, budget=budget, prompt_price=1.0, completion_price=1.0)
        with pytest.raises(BudgetSpent, match="give a larger max_usd"):
            list(asked.answer(context(9)))
        assert 0 < budget.spent <= 0.001
        assert 0 < len(server.requests) < 9
    budget.close()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (page("red", "BMP"), r"bad_page: page 2 of 2: .*expected a JPEG, PNG or WebP file"),
        (RED[:8], r"bad_page: page 2 of 2: .*[Tt]runcated"),
        (Path("gone", "page.png"), r"bad_page: page 2 of 2, .*page\.png: .*No such file"),
        (page("red", size=(5, 5000)), r"bad_page: page 2 of 2: .*5"),
    ],
)
def test_a_page_that_cannot_be_sent_fails_its_questions_and_not_the_run(bad, reason):
    asks = Ask("a", "q"), Ask("b", "q")
    with ScriptedServer(lambda body: "42") as server:
        asked = engine(server)
        failed = list(asked.answer(Context((PageImage(BLUE), "then", PageImage(bad)), asks)))
        assert server.requests == []
        assert [answer.text for answer in asked.answer(context(1))] == ["42"]
    assert [(answer.id, answer.text) for answer in failed] == [("a", ""), ("b", "")]
    assert all(re.match(reason, answer.error) for answer in failed)
