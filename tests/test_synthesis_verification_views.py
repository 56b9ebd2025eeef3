"""What a judge is shown for each check."""

import pytest

from mmprolong_hf.synthesis.schema import NOT_ANSWERABLE, Question
from mmprolong_hf.synthesis.verification.judge import CHECKS
from mmprolong_hf.synthesis.verification.views import shown_pages, views


def question(task="extract-single", evidence=(3,), answer="B", segment=(2, 5)):
    return Question("On page 3, which is it?", answer, task, "String", evidence, ("Layout",), segment=segment)


def seen(asked, num_pages=9):
    return views(asked, shown_pages(asked, num_pages), CHECKS)


def test_one_page_of_a_segment():
    assert seen(question()) == [("evidence_only", (3,)), ("without_evidence", (2, 4, 5)), ("closed_book", ())]


def test_each_page_of_several_is_shown_alone():
    asked = question("extract-multi", evidence=(3, 5))
    assert seen(asked)[3:] == [("single_page", (3,)), ("single_page", (5,))]
    assert "single_page" not in dict(seen(question("reasoning", evidence=(3, 5))))


def test_what_has_no_answer_is_not_asked_without_a_page():
    assert "closed_book" not in dict(seen(question(answer=NOT_ANSWERABLE)))


def test_a_segment_that_is_all_evidence_leaves_nothing_to_show():
    assert "without_evidence" not in dict(seen(question("reasoning", evidence=(2, 3), segment=(2, 3))))


def test_without_a_segment_it_is_the_document():
    assert dict(seen(question(segment=()), num_pages=4))["without_evidence"] == (1, 2, 4)


@pytest.mark.parametrize("task", ["ocr-full", "ocr-needle"])
def test_transcriptions_are_not_judged(task):
    assert seen(question(task)) == []
