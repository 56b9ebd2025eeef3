"""metrics/slidevqa.py against the cases of tests/data/vectors/slidevqa.json, and what the default mode mends."""

import json
from pathlib import Path

import pytest
from random_text import random_texts

from mmprolong_hf.evaluation.metrics.slidevqa import es_f1_em, main_f1_em, normalize_answer, qa_f1_em, score

CASES = json.loads((Path(__file__).parent / "data/vectors/slidevqa.json").read_text(encoding="utf-8"))["cases"]
FUNCTIONS = {"qa_f1_em": qa_f1_em, "es_f1_em": es_f1_em, "main_f1_em": main_f1_em}
GTS = {
    "1": {"question": "what?", "answer": "x", "evidence_pages": [1]},
    "2": {"question": "what?", "answer": "y z", "evidence_pages": [2, 3]},
}
PREDS = {"1": {"answer": "x", "evidence_pages": [1]}, "2": {"answer": "y", "evidence_pages": [3]}}


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["function"] == "normalize_answer"], ids=lambda case: case["id"]
)
def test_normalize_answer(case):
    if "raises" in case:
        with pytest.raises(IndexError, match="expected a word behind 'how many' in the question"):
            normalize_answer(**case["inputs"], upstream_compat=True)
        assert isinstance(normalize_answer(**case["inputs"]), str)
        return
    for upstream_compat in (False, True):
        assert normalize_answer(**case["inputs"], upstream_compat=upstream_compat) == case["expected"]


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["function"] in FUNCTIONS], ids=lambda case: case["id"]
)
def test_scores(case):
    for upstream_compat in (False, True):
        got = FUNCTIONS[case["function"]](**case["inputs"], upstream_compat=upstream_compat)
        assert got.keys() == case["expected"].keys()
        for key, expected in case["expected"].items():
            if isinstance(expected, dict):
                expected = {name: float(value) for name, value in expected.items()}  # some are true and false
            assert got[key] == pytest.approx(expected, abs=1e-9), key


@pytest.mark.parametrize(
    ("answer", "question", "normalized"),
    [
        ("5 slides", "how many slides are there?", "5"),
        ("5 slides?", "how many slides?", "5"),
        ("the red team", "which team has how many members?", "red"),
        ("North America", "where?", "north"),
        ("The North America", "where?", "north america"),  # the article leaves a blank before "north"
        ("Not answerable", "what?", "not"),
        ("it is due to the organisation", "why?", "organization"),
        ("ten percent and twenty minites", "what?", "10 twenty min"),
    ],
)
def test_normalization_by_hand(answer, question, normalized):
    assert normalize_answer(answer, question) == normalized


@pytest.mark.parametrize("cue", ["how many", "which"])
def test_a_question_that_ends_in_its_cue_names_nothing(cue):
    with pytest.raises(IndexError, match=f"expected a word behind '{cue}' in the question"):
        normalize_answer("5 slides", f"and {cue}", upstream_compat=True)
    assert score("5 slides", "five slides", f"and {cue}").value == 1


def test_means_are_over_questions():
    assert qa_f1_em(GTS, PREDS)["F1"] == pytest.approx((1 + 2 / 3) / 2)
    assert es_f1_em(GTS, PREDS)["F1"] == pytest.approx((1 + 2 / 3) / 2)
    # the second: precision 1, recall 1/2 * 1/2
    assert main_f1_em(GTS, PREDS) == pytest.approx({"F1": (1 + 0.4) / 2, "EM": 0.5})


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_question_without_a_prediction_scores_0(function):
    whole, half = function(GTS, PREDS), function(GTS, {"1": PREDS["1"]})
    assert half["F1"] == 0.5 < whole["F1"]
    with pytest.raises(KeyError, match="2"):
        function(GTS, {"1": PREDS["1"]}, upstream_compat=True)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_no_questions(function):
    assert function({}, {})["F1"] is function({}, {})["EM"] is None
    with pytest.raises(ZeroDivisionError):
        function({}, {}, upstream_compat=True)


def test_a_right_answer_without_words_is_told():
    assert score("the", "the", "what?").error == "no word of the right answer counts: 'the'"
    assert score("7", "", "what?").error is None


def test_no_answer_raises():
    texts = random_texts(10_000)
    for prediction, other in zip(texts, reversed(texts), strict=True):
        assert 0 <= score("the big dog", prediction, "how many dogs are there?").value <= 1
        assert 0 <= score(prediction, other, f"how many {other}").value <= 1
