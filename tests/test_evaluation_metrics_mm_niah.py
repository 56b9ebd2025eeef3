"""metrics/mm_niah.py against the cases of tests/data/vectors/mm_niah.json, and what the default mode mends."""

import json
from pathlib import Path

import pytest
from random_text import random_texts

from mmprolong_hf.evaluation.metrics.mm_niah import is_correct, score

CASES = json.loads((Path(__file__).parent / "data/vectors/mm_niah.json").read_text(encoding="utf-8"))["cases"]
CASES = [case for case in CASES if case["function"] == "is_correct"]
MENDED = {("A", "A man"): 0.0, ("50%", "50%"): 1.0}  # as the module's docstring says


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_is_correct(case):
    gold, response = case["inputs"]["gold"], case["inputs"]["response"]
    assert is_correct(gold, response, upstream_compat=True) == pytest.approx(float(case["expected"]), abs=1e-9)
    expected = case["expected"] if isinstance(gold, list) else MENDED.get((gold, response), case["expected"])
    assert is_correct(gold, response) == pytest.approx(float(expected), abs=1e-9)


def test_the_mended_cases_are_there():
    assert len([case for case in CASES if (str(case["inputs"]["gold"]), case["inputs"]["response"]) in MENDED]) == 2


@pytest.mark.parametrize(
    ("gold", "response", "value"),
    [
        (1, "**B**", 1),
        (1, "The answer is B", 1),
        (1, "b.", 1),
        (1, "B, because. So", 0),
        (1, "B,. So", 1),  # commas go with the text behind the first period
        (1, "B,", 0),
        (0, "The camera is moving left", 1),
        (0, "", 0),
        ([1, 2], "```json\n[1, 2]\n```", 1),
        ([1, 2, 3], '{"a": [1, 2], "b": [3]}', 1),
        ([1, 2], '{"a": 1, "b": 2}', 0),
        ([1, 2], "[" * 100_000, 0),
        ([1, 2], "[NaN, 2]", 0.5),
        ("2", "12", 0),
        ("two", "chapter 2, page 5", 1),
    ],
)
def test_by_hand(gold, response, value):
    for upstream_compat in (False, True):
        assert is_correct(gold, response, upstream_compat=upstream_compat) == value


@pytest.mark.parametrize("gold", ["$5", "50%"])
def test_signs_at_the_ends_can_be_found(gold):
    assert is_correct(gold, f"It is {gold}", upstream_compat=True) == 0
    assert is_correct(gold, f"It is {gold}") == 1
    assert is_correct(gold, f"It is 1{gold}1") == 0


def test_a_right_answer_without_words_is_told():
    assert is_correct("A", "a man", upstream_compat=True) == 1
    assert score("A", "a man").value == 0
    assert score("A", "a man").error == "no word of the right answer counts: 'A'"


@pytest.mark.parametrize("response", ["²", "9" * 5000])
def test_digits_that_are_no_number(response):
    with pytest.raises(ValueError, match=r"int\(\)|integer string"):
        is_correct(1, response, upstream_compat=True)
    assert score(1, response).value == 0
    assert score(1, response).error.startswith("the answer is no number that can be read")


def test_an_empty_list():
    with pytest.raises(ZeroDivisionError):
        is_correct([], "[]", upstream_compat=True)
    assert score([], "[]").error == "the right answer is an empty list"


def test_a_right_answer_of_another_type():
    with pytest.raises(ValueError, match=r"gold is 1.5, expected an int \(a choice\), a list \(counts\) or a str"):
        is_correct(1.5, "x")


def test_no_answer_raises():
    for text in random_texts(10_000):
        for gold in (1, [1, 2, 3], "the red car", "50%"):
            assert 0 <= score(gold, text).value <= 1
        assert 0 <= score(text, text).value <= 1
