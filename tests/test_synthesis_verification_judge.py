"""The second model, behind a server on this machine that answers by what it was shown."""

import asyncio
import io
import json
import re
import warnings

import pytest
from PIL import Image
from scripted_server import ScriptedServer, error, images, texts

from mmprolong_hf.synthesis.endpoint import (
    BatchExport,
    Budget,
    BudgetSpent,
    Endpoint,
    EndpointOptions,
    EndpointRefused,
    Pending,
    ReplyCache,
)
from mmprolong_hf.synthesis.questions import Candidate, Evidence
from mmprolong_hf.synthesis.schema import NOT_ANSWERABLE, Question
from mmprolong_hf.synthesis.verification.judge import CHECKS, JudgeOptions, examine, read_field


def page(number):
    image = io.BytesIO()
    Image.new("L", (28, 28), number).save(image, "PNG")
    return image.getvalue()


PAGES = {number: page(number) for number in range(1, 11)}


def posed(answer="May", pages=(3, 5), task="extract-multi", answer_format="String", teacher="a-teacher"):
    evidence = tuple(Evidence(p, (0, 0, 1, 1), "x", "Text") for p in pages)
    question = Question("Which month?", answer, task, answer_format, pages, ("Text",), segment=(2, 7), teacher=teacher)
    return Candidate(question, evidence, (answer,))


def judge_that(answer):
    """The reply of a judge whose answer is a function of the set of pages that it was shown."""

    def respond(body):
        shown = {int(n) for n in re.findall(r"^Page (\d+):$", texts(body), re.MULTILINE)}
        assert images(body) == [PAGES[n] for n in sorted(shown)]
        reply = answer(shown)
        return reply if not isinstance(reply, str) else json.dumps({"answer": reply})

    return respond


def verdicts(respond, candidate, *, style="json", budget=None, **options):
    with ScriptedServer(respond) as server:
        price = {"prompt_price": 1.0, "completion_price": 1.0} if budget else {}
        opened = EndpointOptions("a-judge", base_url=server.url, style=style, max_retries=0, **price)
        judge = JudgeOptions(opened, **options)

        async def run():
            async with Endpoint(opened, ReplyCache(":memory:"), budget or Budget()) as endpoint:
                return await examine(endpoint, candidate, PAGES, judge)

        found = asyncio.run(run())
    return {name: v.reason or v.value for name, v in found.items()}, server


def both_needed(shown):
    return "May" if {3, 5} <= shown else NOT_ANSWERABLE


def test_a_sound_question_passes_and_each_view_is_sent_once():
    found, server = verdicts(judge_that(both_needed), posed())
    assert found == dict.fromkeys(CHECKS, "pass")
    views = {tuple(map(int, re.findall(r"^Page (\d+):$", texts(body), re.MULTILINE))) for body in server.requests}
    assert views == {(3, 5), (2, 4, 6, 7), (), (3,), (5,)}
    assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda shown: NOT_ANSWERABLE, {"evidence_only": "not_answered"}),
        (lambda shown: "June 2" if {3, 5} <= shown else NOT_ANSWERABLE, {"evidence_only": "another_answer"}),
        (
            lambda shown: "May" if {3, 5} <= shown or 6 in shown else NOT_ANSWERABLE,
            {"without_evidence": "answered_elsewhere"},
        ),
        (lambda shown: "May" if {3, 5} <= shown or not shown else NOT_ANSWERABLE, {"closed_book": "guessable"}),
        (lambda shown: "May" if 5 in shown else NOT_ANSWERABLE, {"single_page": "one_page_enough"}),
    ],
)
def test_each_fault_fails_its_check_alone(answer, expected):
    def numbered(shown):
        return answer(shown).replace("May", "May 1")

    found, _ = verdicts(judge_that(numbered), posed("May 1"))
    assert found == dict.fromkeys(CHECKS, "pass") | expected


def test_a_wrong_guess_without_a_page_does_no_harm():
    found, _ = verdicts(
        judge_that(lambda shown: both_needed(shown) if shown else "9"), posed("May 1"), checks=("closed_book",)
    )
    assert found == {"closed_book": "pass"}


@pytest.mark.parametrize(("same", "expected"), [("yes", "pass"), ("no", "another_answer")])
def test_words_that_differ_are_compared_by_the_judge(same, expected):
    def respond(body):
        if "First answer" in texts(body):
            assert "First answer: the fifth month\nSecond answer: May" in texts(body)
            return json.dumps({"same": same})
        return json.dumps({"answer": "May"})

    found, server = verdicts(respond, posed("the fifth month"), checks=("evidence_only",))
    assert found == {"evidence_only": expected}
    assert len(server.requests) == 2


def test_a_question_without_an_answer():
    candidate = posed(NOT_ANSWERABLE)
    found, _ = verdicts(judge_that(lambda shown: NOT_ANSWERABLE), candidate)
    assert found == {"evidence_only": "pass", "without_evidence": "pass"}
    found, _ = verdicts(judge_that(lambda shown: "May" if 3 in shown else NOT_ANSWERABLE), candidate)
    assert found == {"evidence_only": "another_answer", "without_evidence": "pass"}
    found, _ = verdicts(judge_that(lambda shown: "May" if 6 in shown else NOT_ANSWERABLE), candidate)
    assert found == {"evidence_only": "pass", "without_evidence": "another_answer"}


def test_one_page_is_no_question_of_single_pages_and_a_whole_segment_leaves_nothing():
    found, _ = verdicts(
        judge_that(lambda shown: "May" if 3 in shown else NOT_ANSWERABLE), posed(pages=(3,), task="extract-single")
    )
    assert set(found) == {"evidence_only", "without_evidence", "closed_book"}
    found, _ = verdicts(
        judge_that(lambda shown: "May" if len(shown) == 6 else NOT_ANSWERABLE), posed(pages=(2, 3, 4, 5, 6, 7))
    )
    assert found == dict.fromkeys(("evidence_only", "closed_book", "single_page"), "pass")


def test_a_tagged_reply_after_thinking():
    def respond(body):
        assert "response_format" not in body
        shown = {int(n) for n in re.findall(r"^Page (\d+):$", texts(body), re.MULTILINE)}
        return f"<think>Is it <answer>June</answer>?</think> So: <answer>{both_needed(shown)}</answer>"

    assert verdicts(respond, posed(), style="tagged")[0] == dict.fromkeys(CHECKS, "pass")


def test_a_request_that_fails_leaves_its_check_open():
    def answer(shown):
        return error(400, "too many images") if shown == {2, 4, 6, 7} else both_needed(shown)

    found, _ = verdicts(judge_that(answer), posed())
    assert found == dict.fromkeys(CHECKS, "pass") | {"without_evidence": "http_400"}
    found, _ = verdicts(lambda body: "May, I think.", posed(), checks=("evidence_only",))
    assert found == {"evidence_only": "not_json"}
    found, _ = verdicts(lambda body: json.dumps({"reply": "May"}), posed(), checks=("evidence_only",))
    assert found == {"evidence_only": "no_answer"}


def test_one_page_that_answers_outweighs_one_whose_request_failed():
    def answer(shown):
        return error(400, "no") if shown == {3} else "May"

    assert verdicts(judge_that(answer), posed(), checks=("single_page",))[0] == {"single_page": "one_page_enough"}


def test_what_stops_a_run_is_not_swallowed():
    with pytest.raises(EndpointRefused, match="no such key"):
        verdicts(lambda body: error(401, "no such key"), posed())
    with pytest.raises(BudgetSpent, match="max_usd is 1e-06"):
        verdicts(judge_that(both_needed), posed(), budget=Budget(max_usd=1e-6))


def test_a_batch_has_all_requests_of_a_question_in_one_round(tmp_path):
    options = EndpointOptions("a-judge", base_url="http://127.0.0.1:1/v1")

    async def export():
        async with BatchExport(options, ReplyCache(":memory:"), Budget(), tmp_path) as batch:
            await examine(batch, posed(), PAGES, JudgeOptions(options))

    with pytest.raises(Pending):
        asyncio.run(export())
    assert len((tmp_path / "requests-00001.jsonl").read_text().splitlines()) == 5


def test_a_judge_of_its_own_questions_warns():
    with pytest.warns(UserWarning, match="a-judge judges its own questions; a judge of another family"):
        verdicts(judge_that(both_needed), posed(teacher="a-judge"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        verdicts(judge_that(both_needed), posed(teacher="another"))


def test_nothing_is_asked_about_a_page_without_image_or_a_transcription():
    found, server = verdicts(judge_that(both_needed), posed(pages=(3, 99)))
    assert found == dict.fromkeys(CHECKS, "page_not_given")
    assert verdicts(judge_that(both_needed), posed(task="ocr-needle"))[0] == {}
    assert server.requests == []


def test_fields_of_replies():
    assert read_field('{"answer": ["May", "June"]}', "answer", "json") == "May; June"
    assert read_field('{"same": true}', "same", "json") == "True"
