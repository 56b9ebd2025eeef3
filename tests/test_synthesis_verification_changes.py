"""What spoils a question, and what does not."""

import pytest

from mmprolong_hf.synthesis.questions import Candidate, Evidence
from mmprolong_hf.synthesis.schema import Question
from mmprolong_hf.synthesis.verification.changes import CHANGES, changed_fields


def posed(words='On which page does the section "Rain" start?', answer="12", evidence=None, **fields):
    evidence = evidence or (Evidence(3, (0, 0, 1, 1), "In 2012 the oldest of the 127 stations was moved.", "Text"),)
    pages = tuple(sorted({e.page for e in evidence}))
    fields = {"task": "extract-single", "answer_format": "Integer", **fields}
    question = Question(words, answer, evidence_pages=pages, evidence_sources=("Text",), segment=(1, 8), **fields)
    return Candidate(question, evidence, (answer,))


def change(kind, candidate, others=()):
    return CHANGES[kind][1](candidate, list(others), None, "0")


def test_fields_that_follow_are_changed_along():
    moved = changed_fields(posed(), parts=("a", "b"), evidence=(Evidence(5, (0, 0, 1, 1), "x", "Text"),))
    assert (moved.question.answer, moved.parts, moved.question.evidence_pages) == ("a; b", ("a", "b"), (5,))


@pytest.mark.parametrize(
    ("kind", "quote"),
    [
        ("right: quote in capitals, other spaces", "IN  2012  THE  OLDEST  OF  THE  127  STATIONS  WAS  MOVED. "),
        ("right: quote shortened by ...", "In 2012 the ... stations was moved."),
        ("right: quote without a short word", "In 2012 the oldest of 127 stations was moved."),
        ("quote with another digit", "In 3012 the oldest of the 127 stations was moved."),
        ("quote made up", "127 2012 In moved. of oldest stations the the was"),
    ],
)
def test_quotes(kind, quote):
    changed = change(kind, posed())
    assert changed.evidence[0].text == quote
    assert changed.question == posed().question


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ('place only "this page"', "On which page does this section start?"),
        ("place left out", "On which page does the section start?"),
        ("answer told in the question", 'On which page does the section "Rain" start? Is it Monday?'),
    ],
)
def test_words(kind, words):
    assert change(kind, posed(answer="Monday", answer_format="String")).question.question == words


@pytest.mark.parametrize(
    ("kind", "answer"),
    [("answer off by one", "13"), ("said to have no answer", "Not answerable"), ("answer of another question", "15")],
)
def test_answers(kind, answer):
    assert change(kind, posed(), [posed(), posed(answer="15")]).question.answer == answer


def test_answers_in_another_form():
    assert change("right: answer in another form", posed(answer="1250")).question.answer == "1,250"
    assert change("right: answer in another form", posed(answer="North", answer_format="String")).parts == ("north.",)
    assert change("right: answer in another form", posed()) is None


def test_evidence_goes_to_other_pages():
    moved = change("evidence on another page", posed())
    assert moved.question.evidence_pages != (3,)
    assert 1 <= moved.question.evidence_pages[0] <= 8


def test_a_needless_page_makes_a_question_for_several():
    far = posed(evidence=(Evidence(5, (0, 0, 1, 1), "x", "Text"),))
    changed = change("one page is enough", posed(), [posed(), far])
    assert (changed.question.task, changed.question.evidence_pages) == ("extract-multi", (3, 5))
    assert change("one page is enough", posed(), [posed()]) is None


def test_expressions():
    pair = (Evidence(3, (0, 0, 1, 1), "a", "Text"), Evidence(7, (0, 0, 1, 1), "b", "Text"))
    distance = posed(answer="4", evidence=pair, task="reasoning")
    assert change("right: expression", distance).question.expression == "abs(7 - 3)"
    assert change("expression off by one", distance).question.expression == "7 - 3 + 1"
    assert change("right: expression", posed(answer="5", evidence=pair, task="reasoning")) is None
