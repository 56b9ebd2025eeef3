"""The checks without a model, one question spoilt in one way at a time."""

from dataclasses import replace

import pytest
from synthetic_pdf import report

from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.questions import Absence, Candidate, Evidence
from mmprolong_hf.synthesis.schema import NOT_ANSWERABLE, VERDICTS, Question
from mmprolong_hf.synthesis.structure import build_structure
from mmprolong_hf.synthesis.teacher.extractive import ask
from mmprolong_hf.synthesis.verification import DocumentText, check, failed, read_second

CELL = (Evidence(2, (0.1, 0.4, 0.9, 0.9), "One peak 107.5 1001", "Table"),)
TWO = (Evidence(2, (0, 0, 0, 0), "1001", "Table"), Evidence(5, (0, 0, 0, 0), "2001", "Table"))


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = report(tmp_path_factory.mktemp("checks") / "a.pdf", titles=["Rain", "Snow", "Rain", "Wind"])
    source = read_pdf(path, dpi=36)
    return DocumentText(source.pages, read_second(path), build_structure(source))


def posed(words="In Table 1, how many visitors had One peak?", answer="1001", evidence=CELL, **fields):
    parts = fields.pop("parts", (answer,))
    absent = fields.pop("absent", ())
    fields = {
        "task": "extract-single",
        "answer_format": "Integer",
        "evidence_pages": tuple(sorted({e.page for e in evidence})),
        "evidence_sources": ("Table",),
        "segment": (1, 8),
        "teacher": "a-model",
        **fields,
    }
    return Candidate(Question(words, answer, **fields), evidence, parts, absent)


def outcome(text, **changes):
    """Of the only check that does not pass, its name, value and reason."""
    found = {k: v for k, v in check(posed(**changes), text).items() if v.value != "pass"}
    if "expression" not in changes:
        assert found.pop("expression").reason == "no_expression"
    return [(name, v.value, v.reason) for name, v in found.items()]


def test_a_right_question_passes_everything(text):
    assert outcome(text) == []
    assert tuple(check(posed(), text)) == VERDICTS[:6]


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("page_outside_document", {"evidence": (*CELL, replace(CELL[0], page=13))}),
        ("page_outside_segment", {"segment": (3, 9)}),
        ("page_without_evidence", {"evidence_pages": (2, 3)}),
        ("one_page", {"task": "extract-multi"}),
    ],
)
def test_evidence_inside(text, reason, changes):
    verdict = check(posed(**changes), text)["evidence_inside"]
    assert (verdict.value, verdict.reason) == ("fail", reason)


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("not_confirmed", {"evidence": (replace(CELL[0], page=5),)}),
        ("not_confirmed", {"evidence": (*CELL, replace(CELL[0], text="Nine peak"))}),
        ("answer_not_in_quotes", {"answer": "1002"}),
        ("answer_not_in_quotes", {"answer": "Ten peaks", "answer_format": "String"}),
        ("not_absent", {"absent": (Absence("Table 2"),)}),
        ("not_absent", {"absent": (Absence("Table 1", (2, 3)),)}),
    ],
)
def test_quotes_found(text, reason, changes):
    assert outcome(text, **changes) == [("quotes_found", "fail", reason)]


def test_what_is_absent_is_absent(text):
    assert outcome(text, absent=(Absence("Table 9"), Absence("Table 1", (3, 4)))) == []


def test_text_that_cannot_be_read_is_not_held_against_a_question(text):
    blind = replace(text, second=("",) * 12)
    assert outcome(blind) == [("quotes_found", "unchecked", "no_text")]
    drawn = (*CELL, Evidence(2, (0, 0, 1, 1), "only in the picture", "Figure"))
    assert outcome(text, evidence=drawn) == [("quotes_found", "unchecked", "drawn")]


def test_the_answer_of_a_reasoning_need_not_be_printed(text):
    assert outcome(text, task="reasoning", answer="17") == []


@pytest.mark.parametrize(
    ("reason", "words", "anchor"),
    [
        ("no_anchor", "How many visitors had One peak?", ""),
        ("anchor_nowhere", "In Table 9, how many visitors had One peak?", ""),
        ("anchor_ambiguous", 'In the section "Rain", how many visitors had One peak?', ""),
        ("anchor_not_in_question", "In Table 1, how many visitors had One peak?", "Table 2"),
    ],
)
def test_anchor_unique(text, reason, words, anchor):
    assert outcome(text, words=words, anchor=anchor) == [("anchor_unique", "fail", reason)]


def test_what_is_nowhere_may_be_why_a_question_has_no_answer(text):
    absent = {"answer": NOT_ANSWERABLE, "answer_format": "String", "parts": (NOT_ANSWERABLE,)}
    assert outcome(text, words="In Table 9, how many visitors had One peak?", **absent) == []
    assert outcome(text, evidence=(Evidence(2, (0, 0, 1, 1), "", "Table"),), **absent) == []
    vague = outcome(text, words="How many visitors had One peak?", **absent)
    assert vague == [("anchor_unique", "fail", "no_anchor")]


@pytest.mark.parametrize(
    "words",
    [
        "In the table above on page 2, how many visitors had One peak?",
        "On page 2, how many visitors does this table give for One peak?",
        "Based on the provided pages, how many visitors had One peak in Table 1?",
        "How many visitors are shown for One peak in the given excerpt of page 2?",
        "How many visitors does it have? Look at Table 1 for One peak.",
        "Across the document, how many visitors had One peak in Table 1?",
        "Considering the whole document, how many visitors had One peak in Table 1?",
        "As mentioned above, One peak is in Table 1. How many visitors had it?",
        "第 2 页的上表中, One peak 有多少游客?",
    ],
)
def test_vague_phrases(text, words):
    assert outcome(text, words=words) == [("wording", "fail", "vague_reference")]


@pytest.mark.parametrize(
    "words",
    [
        "Counting the first page of the document as page 1, how many visitors had One peak on page 2?",
        'On page 2, how many visitors had One peak, "as shown in the table above"?',
        "Which number comes after the previous section of page 2 for One peak?",
        "A table stands on page 2. What is it called, and how many visitors had One peak?",
        "In Table 1 of the document, how many visitors had One peak?",
        "On page 2, which visitors does the following station have?",
    ],
)
def test_phrases_that_are_not_vague(text, words):
    assert check(posed(words), text)["wording"].value == "pass"


def test_the_document_alone_is_no_scope(text):
    found = check(posed("In the document, how many visitors had One peak?"), text)
    assert found["wording"].reason == "vague_reference"
    assert found["anchor_unique"].reason == "no_anchor"


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("unreadable_characters", {"answer": "a \x02 b"}),
        ("unreadable_characters", {"answer": "10^6"}),
        ("unreadable_characters", {"words": "In Table 1, what is \ue012?"}),
        ("answer_empty_or_long", {"answer": ""}),
        ("answer_empty_or_long", {"answer": "x" * 401}),
        ("question_empty_or_long", {"words": "In Table 1, what is it called? " + "x" * 1000}),
        ("separator_in_answer", {"answer": "Fit; predict; B", "parts": ("Fit; predict", "B")}),
    ],
)
def test_wording(text, reason, changes):
    verdict = check(posed(**{"answer_format": "String", **changes}), text)["wording"]
    assert (verdict.value, verdict.reason) == ("fail", reason)


@pytest.mark.parametrize(
    ("words", "answer", "answer_format", "value"),
    [
        ("On page 3, what is the title of the first section?", "Title", "String", "fail"),
        ("On page 3, what is the title of the first section?", "first", "String", "fail"),
        ("On page 3, what is the title of the first section?", "3", "String", "pass"),  # a page's number is no hint
        ("On page 3, what is the title of the first section?", "A", "String", "pass"),
        ("On page 3, is there no other section?", "No", "String", "pass"),
        ("How many figures are there on pages 3 to 9?", "3", "Integer", "fail"),
        ("How many figures are there on pages 3 to 9?", "4", "Integer", "pass"),
        ("What is said of Rain and of Snow on page 3?", NOT_ANSWERABLE, "String", "pass"),
    ],
)
def test_answer_hidden(text, words, answer, answer_format, value):
    verdict = check(posed(words, answer, answer_format=answer_format), text)["answer_hidden"]
    assert verdict.value == value
    assert verdict.reason == ("answer_in_question" if value == "fail" else "")


@pytest.mark.parametrize(
    ("expression", "answer", "value", "reason"),
    [
        ("2001 - 1001", "1000", "pass", ""),
        ("(1,001 + 2,001) / 2", "1501", "pass", ""),
        ("count('1001', '2001')", "2", "pass", ""),
        ("5 - 2", "3", "pass", ""),  # pages of the evidence
        ("2001 - 1001", "1001", "fail", "other_value"),
        ("2001 - 1002", "999", "fail", "operand_not_in_quotes"),
        ("count('1001', 'North')", "2", "fail", "operand_not_in_quotes"),
        ("2001 ** 1001", "1", "fail", "unreadable_expression"),
        ("2001 - 1001", "one thousand", "fail", "other_value"),
        ("*".join(["2001"] * 200), "1", "fail", "other_value"),  # too large for a float
    ],
)
def test_expression(text, expression, answer, value, reason):
    words = "By how much do the visitors of One peak in Table 1 and Table 2 differ?"
    candidate = posed(words, answer, TWO, task="reasoning", expression=expression)
    verdict = check(candidate, text)["expression"]
    assert (verdict.value, verdict.reason) == (value, reason)


def test_an_expression_behind_a_name_cannot_be_compared(text):
    candidate = posed(
        "Which of Table 1 and Table 2 has more?", "Table B", TWO, answer_format="String", expression="max(1001, 2001)"
    )
    assert check(candidate, text)["expression"].reason == "answer_no_number"


def test_of_a_transcription_only_its_pages_are_checked(text):
    found = check(posed("Transcribe it.", "x" * 9999, task="ocr-full", answer_format="String"), text)
    assert [(name, v.value) for name, v in found.items()] == [("evidence_inside", "pass")]


def test_extractive_questions_pass(text):
    asked = ask(text.structure, seed="0", lines=[page.lines for page in text.pages])
    assert len(asked) > 50
    flagged = {(failed(v, VERDICTS), c.question.question) for c in asked if failed(v := check(c, text), VERDICTS)}
    assert {name for name, _ in flagged} <= {"answer_hidden"}
    assert len(flagged) < 0.1 * len(asked)
