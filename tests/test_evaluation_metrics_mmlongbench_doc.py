"""metrics/mmlongbench_doc.py against the cases of tests/data/vectors/mmlongbench_doc.json, and what the default mode mends."""

import pytest
from random_text import random_texts
from vectors import check_eval_score, check_long_answers, vector_cases

from mmprolong_hf.evaluation.metrics import mmlongbench_doc
from mmprolong_hf.evaluation.metrics.mmlongbench_doc import (
    eval_score,
    get_clean_string,
    parse_extracted_answer,
    score,
)

cases = vector_cases("mmlongbench_doc")
FORMATS = ("Int", "Float", "Str", "None", "List")


@cases("eval_score")
def test_eval_score(case):
    check_eval_score(case, mmlongbench_doc)


@cases("get_clean_string")
def test_get_clean_string(case):
    assert get_clean_string(**case["inputs"]) == case["expected"]


@cases("parse_extracted_answer")
def test_parse_extracted_answer(case):
    if "raises" in case:
        with pytest.raises(IndexError, match="expected 'Extracted answer:' in the reply"):
            parse_extracted_answer(**case["inputs"], upstream_compat=True)
        assert parse_extracted_answer(**case["inputs"]) is None
        return
    for upstream_compat in (False, True):
        assert parse_extracted_answer(**case["inputs"], upstream_compat=upstream_compat) == case["expected"]


def test_a_second_label_ends_the_answer():
    assert parse_extracted_answer("Extracted answer: 1 Extracted answer: 2") == "1"


@pytest.mark.parametrize(
    ("gold", "prediction", "answer_format", "error", "match"),
    [
        ("[]", "[]", "List", IndexError, "at least one item"),
        ("['a']", "[a]", "List", NameError, "found the name 'a'"),
        ("['a']", "[1 of 2]", "List", SyntaxError, "invalid"),
        ("5 million", "5", "Float", ValueError, "could not convert string to float: '5 million'"),
        ("['a']", "[0x" + "f" * 5000 + "]", "List", ValueError, "limit"),
    ],
)
def test_what_upstream_raises_scores_0_and_is_told(gold, prediction, answer_format, error, match):
    with pytest.raises(error, match=match):
        eval_score(gold, prediction, answer_format, upstream_compat=True)
    got = score(gold, prediction, answer_format)
    assert got.value == 0
    assert match in got.error
    assert repr(gold) in got.error


@pytest.mark.parametrize("gold", ["8.0", "Not answerable", "", None, float("inf")])
def test_a_right_answer_that_is_no_integer_is_told(gold):
    """Upstream scores it 0, and the empty one 1, for what is no number counts as the empty text."""
    assert eval_score(gold, "none", "Int", upstream_compat=True) == (gold == "")
    assert score(gold, "none", "Int").value == 0
    assert "as Int" in score(gold, "none", "Int").error


@pytest.mark.parametrize("prediction", ["", "eight", "1e999", "nan", "9" * 5000, ["8"]])
def test_a_prediction_that_is_no_integer_is_wrong_and_no_fault(prediction):
    assert score("8", prediction, "Int") == score("8", "9", "Int")
    assert eval_score("8", prediction, "Int", upstream_compat=True) == 0


@pytest.mark.parametrize(
    ("name", "short"), [("Integer", "Int"), ("integer", "Int"), ("String", "Str"), ("list", "List")]
)
def test_formats_have_two_names(name, short):
    for gold, prediction in (("8", "8.9"), ("abcd", "abce"), ("['a']", "a")):
        assert score(gold, prediction, name).value == score(gold, prediction, short).value
    assert eval_score("8", "8.9", "Integer", upstream_compat=True) == 0  # a list to upstream


def test_an_unknown_format_is_an_error():
    with pytest.raises(ValueError, match="answer_format is 'Number', expected one of Int, Float, Str, None, List"):
        eval_score("8", "8", "Number")
    assert eval_score("8", "8", "Number", upstream_compat=True) == 1


def test_a_list_counts_as_its_worst_item_in_alphabetical_order():
    assert eval_score("['white', 'black']", "['blac', 'white']", "List") == pytest.approx(0.8)
    assert eval_score("['white', 'black']", "['red', 'white']", "List") == 0
    assert eval_score("['10', 'abc']", "['10', 'abd']", "List") == 0  # the first is a number: all must be equal


@pytest.mark.parametrize(
    ("gold", "answer_format"),
    [("8", "Int"), ("18.29%", "Float"), ("well-off", "Str"), ("Not answerable", "None"), ("['a', '3']", "List")],
)
def test_no_answer_raises(gold, answer_format):
    texts = random_texts(10_000)
    assert all(0 <= score(gold, text, answer_format).value <= 1 for text in texts)
    assert all(parse_extracted_answer(f"Extracted answer:{text}") is not None for text in texts)


def test_no_right_answer_raises():
    for index, text in enumerate(random_texts(2000, seed=1)):
        got = score(text, text, FORMATS[index % 5])
        assert 0 <= got.value <= 1
        assert got.value == 1 or got.error or index % 5 in (1, 4)  # nan is not itself; [nan] is


def test_a_long_answer_takes_no_minutes():
    check_long_answers(mmlongbench_doc)
