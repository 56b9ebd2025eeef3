"""metrics/longdocurl.py against the cases of tests/data/vectors/longdocurl.json, and what the default mode mends."""

import json

import pytest
from random_text import random_texts
from vectors import check_eval_score, check_long_answers, vector_cases

from mmprolong_hf.evaluation.metrics import longdocurl
from mmprolong_hf.evaluation.metrics.longdocurl import (
    calculate_acc_and_f1,
    calculate_accuracy,
    eval_score,
    get_clean_string,
    parse_concise_safe,
    score,
)

cases = vector_cases("longdocurl")
FORMATS = ("Integer", "Float", "String", "None", "List")


@cases("eval_score")
def test_eval_score(case):
    check_eval_score(case, longdocurl)


@cases("get_clean_string")
def test_get_clean_string(case):
    assert get_clean_string(**case["inputs"]) == case["expected"]


@cases("calculate_accuracy")
def test_calculate_accuracy(case):
    for upstream_compat in (False, True):
        got = calculate_accuracy(**case["inputs"], upstream_compat=upstream_compat)
        assert got == pytest.approx(case["expected"], abs=1e-9)


@cases("calculate_acc_and_f1")
def test_calculate_acc_and_f1(case):
    assert calculate_acc_and_f1(**case["inputs"], upstream_compat=True) == pytest.approx(case["expected"], abs=1e-9)


@cases("parse_concise_safe")
def test_parse_concise_safe(case):
    got = parse_concise_safe(**case["inputs"], upstream_compat=True)
    assert json.loads(json.dumps(got)) == case["expected"]


def test_no_questions():
    assert calculate_accuracy([], [], []) == {"generalized_score": None, "rectified": 0.0}
    with pytest.raises(ZeroDivisionError):
        calculate_accuracy([], [], [], upstream_compat=True)
    with pytest.raises(ValueError, match="shorter"):
        calculate_accuracy([1, 2], ["1"], ["Integer", "Integer"])


def reply(answer):
    return f"<concise_answer>{answer}</concise_answer><answer_format>Integer</answer_format>"


def test_a_number_with_commas_stays_one_number():
    assert score(1234, parse_concise_safe(reply("1,234"))["pred"], "Integer").value == 1
    assert score(1234, parse_concise_safe(reply("1,234"), upstream_compat=True)["pred"], "Integer").value == 0
    assert parse_concise_safe(reply("['a', 2]"))["pred"] == ["a", 2]
    assert parse_concise_safe(reply(" ['a', 2] "))["pred"] == ["a", 2]
    assert parse_concise_safe(reply("[a, 2]"))["pred"] == "[a, 2]"


@pytest.mark.parametrize(
    ("gold", "prediction", "error", "match"),
    [
        ("[]", "['a']", IndexError, "at least one item"),
        (["a"], [], IndexError, "at least one item"),
        (["a"], "[a]", NameError, "found the name 'a'"),
        (["a"], "[1 of 2]", SyntaxError, "invalid"),
    ],
)
def test_what_upstream_raises_scores_0_and_is_told(gold, prediction, error, match):
    with pytest.raises(error, match=match):
        eval_score(gold, prediction, "List", upstream_compat=True)
    got = score(gold, prediction, "List")
    assert got.value == 0
    assert match in got.error


@pytest.mark.parametrize(
    ("gold", "answer_format"), [("Not answerable", "Integer"), ("5.0", "Integer"), ("x", "Float")]
)
def test_a_right_answer_that_is_no_number_is_told(gold, answer_format):
    assert eval_score(gold, gold, answer_format, upstream_compat=True) == 0
    assert repr(gold) in score(gold, gold, answer_format).error


def test_the_empty_right_answer():
    """What is no integer counts as the empty text upstream."""
    assert eval_score("", "x", "Integer", upstream_compat=True) == 1
    assert score("", "x", "Integer").value == 0


def test_formats_have_two_names_and_any_case():
    for name in ("Integer", "integer", "Int"):
        assert score(5, "5 kg", name).value == 1
    with pytest.raises(ValueError, match="answer_format is 'Number', expected one of Integer"):
        score(5, "5", "Number")
    assert eval_score(5, "5", "Number", upstream_compat=True) == 1


def test_items_that_are_dicts_stand_for_their_values():
    table = [{"name": "Paris", "count": 3}, {"name": "Rome", "count": 12}]
    assert score(table, ["rome-12", "Paris-3"], "List").value == 1
    assert score(table, str(table), "List").value == 1
    assert score(table, [{"x": "Rome", "y": 12}], "List").value == pytest.approx((0 + 1) / 2)


def test_too_many_items_cost_and_the_best_ones_count():
    assert score(["abcd", "x"], ["abce", "x", "y", "z"], "List").value == pytest.approx((0.75 + 1) / 2 * 0.5**0.5)
    assert score(["x", "y", "z"], ["x"], "List").value == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("gold", "answer_format"),
    [(5, "Integer"), ("18.29%", "Float"), ("well-off", "String"), ("Not answerable", "None"), (["a", "3"], "List")],
)
def test_no_answer_raises(gold, answer_format):
    for text in random_texts(10_000):
        assert 0 <= score(gold, text, answer_format).value <= 1
        assert 0 <= score(gold, parse_concise_safe(reply(text))["pred"], answer_format).value <= 1


def test_no_right_answer_raises():
    assert all(
        0 <= score(text, text, FORMATS[index % 5]).value <= 1 for index, text in enumerate(random_texts(2000, seed=1))
    )


def test_a_long_answer_takes_no_minutes():
    check_long_answers(longdocurl)


def test_tags_that_never_end_take_no_minutes():
    assert parse_concise_safe("<concise_answer>" * 12_500) == {"pred": "Fail to extract", "format": "None"}
    reply = "<concise_answer>5</concise_answer>" + "<answer_format>" * 15_000
    assert parse_concise_safe(reply) == {"pred": "Fail to extract", "format": "None"}


def test_an_answer_goes_from_the_first_tag_to_the_first_end_behind_it():
    reply = "</concise_answer><concise_answer>\n<concise_answer>5</concise_answer></concise_answer><answer_format>Str</answer_format>"
    assert parse_concise_safe(reply) == {"pred": "\n<concise_answer>5", "format": "Str"}
