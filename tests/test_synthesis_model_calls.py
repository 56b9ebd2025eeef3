"""Calls before they are made. That they are as many as are made is in test_synthesis_cost.py."""

import pytest
from synthetic_pdf import report

from mmprolong_hf.lengths import page_tokens
from mmprolong_hf.synthesis.document import Checked
from mmprolong_hf.synthesis.elements import Page
from mmprolong_hf.synthesis.endpoint import EndpointOptions
from mmprolong_hf.synthesis.model_calls import (
    ANSWER_TOKENS,
    JUDGE_INSTRUCTION_TOKENS,
    Call,
    judge_calls,
    reading_calls,
)
from mmprolong_hf.synthesis.plan import BuildPlan
from mmprolong_hf.synthesis.questions import Candidate
from mmprolong_hf.synthesis.schema import Question
from mmprolong_hf.synthesis.verification import Verdict
from mmprolong_hf.synthesis.yaml_options import read_options

PAGES = [Page(number, 280, 280 * number, (100.0, 100.0 * number), b"", ()) for number in range(1, 6)]


def plan(tmp_path, **verify):
    report(tmp_path / "a.pdf")
    values = {"pdfs": str(tmp_path), "output": str(tmp_path / "set"), "verify": verify}
    return read_options(BuildPlan, values, "test")


def checked(verdict="pass", evidence=(2, 4), task="extract-multi"):
    question = Question("On pages 2 and 4?", "B", task, "String", evidence, ("Layout",), segment=(2, 5))
    reason = "" if verdict == "pass" else "found"
    return Checked(Candidate(question, (), ("B",)), {"wording": Verdict(verdict, reason)})


def judge(*checks):
    return {"judge": {"endpoint": {"model": "j", "base_url": "http://localhost:1/v1"}, "checks": list(checks)}}


def tokens(*numbers):
    return sum(page_tokens(280, 280 * number) for number in numbers)


def test_each_view_is_a_call_of_its_pages(tmp_path):
    wanted = plan(tmp_path, **judge("evidence_only", "without_evidence", "closed_book", "single_page"))
    calls = judge_calls([checked()], PAGES, wanted)
    shown = [tokens(2, 4), tokens(3, 5), 0, tokens(2), tokens(4)]
    assert calls == [Call(JUDGE_INSTRUCTION_TOKENS + size, ANSWER_TOKENS) for size in shown]


@pytest.mark.parametrize(("verdict", "num_calls"), [("pass", 1), ("unchecked", 1), ("fail", 0)])
def test_what_the_rules_reject_is_not_judged(tmp_path, verdict, num_calls):
    assert len(judge_calls([checked(verdict)], PAGES, plan(tmp_path, **judge("closed_book")))) == num_calls
    kept = plan(tmp_path, require=["quotes_found"], **judge("closed_book"))  # the wording is not required
    assert len(judge_calls([checked(verdict)], PAGES, kept)) == 1


def test_without_a_judge_nobody_is_asked(tmp_path):
    assert judge_calls([checked()], PAGES, plan(tmp_path)) == []
    assert judge_calls([checked(task="ocr-full")], PAGES, plan(tmp_path, **judge("evidence_only"))) == []


def test_a_reader_writes_no_more_than_it_may():
    written = {
        call.written for limit in (500, 9000) for call in reading_calls(EndpointOptions("r", max_tokens=limit), 3, 99)
    }
    assert written == {500, 3000}
