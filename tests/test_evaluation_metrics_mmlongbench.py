"""metrics/mmlongbench.py against the cases of tests/data/vectors/mmlongbench.json, and on faulty golds."""

import builtins
import json
from pathlib import Path

import pytest
from random_text import random_texts

from mmprolong_hf.evaluation.metrics.mmlongbench import docqa_pipeline, eval_docqa_score, parse_output, score

CASES = json.loads((Path(__file__).parent / "data/vectors/mmlongbench.json").read_text(encoding="utf-8"))["cases"]
FORMATS = ("Integer", "Float", "String", "None", "List")


def cases(function):
    found = [case for case in CASES if case["function"] == function]
    assert found
    return pytest.mark.parametrize("case", found, ids=[case["id"] for case in found])


@cases("eval_docqa_score")
def test_eval_docqa_score(case):
    if "raises" in case:
        with pytest.raises(getattr(builtins, case["raises"])):
            eval_docqa_score(**case["inputs"], upstream_compat=True)
        assert eval_docqa_score(**case["inputs"]) == 0
        assert score(**case["inputs"]).error
        return
    assert eval_docqa_score(**case["inputs"], upstream_compat=True) == pytest.approx(case["expected"], abs=1e-9)
    assert score(**case["inputs"]).value == pytest.approx(case["expected"], abs=1e-9)
    assert score(**case["inputs"]).error is None


@cases("docqa_pipeline")
def test_docqa_pipeline(case):
    for upstream_compat in (False, True):
        got = docqa_pipeline(**case["inputs"], upstream_compat=upstream_compat)
        assert got["parsed_output"] == case["expected"]["parsed_output"]
        assert got["doc_qa"] == pytest.approx(case["expected"]["doc_qa"], abs=1e-9)


@pytest.mark.parametrize(
    ("gold", "answer_format", "error", "match"),
    [
        ("[]", "List", ZeroDivisionError, "at least one item"),
        ("[1, 2", "List", json.JSONDecodeError, "Expecting ',' delimiter"),
        ("3", "List", TypeError, "not iterable"),
        ("[[1]]", "List", AssertionError, r"found \[1\]"),
        ("[null]", "List", AssertionError, "found None"),
        ("[true]", "List", ValueError, "could not convert"),
        ("[" * 100_000, "List", RecursionError, "recursion"),
        ("2.5", "Integer", AssertionError, "a whole number"),
        ("nan", "Integer", AssertionError, "a whole number"),
        ("five", "Integer", ValueError, "could not convert"),
        ("x", "Float", ValueError, "could not convert"),
        ("x", "Str", KeyError, "'Str', expected one of"),
    ],
)
def test_a_faulty_gold_is_a_failure_that_is_told(gold, answer_format, error, match):
    with pytest.raises(error, match=match):
        eval_docqa_score(gold, "1", answer_format, upstream_compat=True)
    assert eval_docqa_score(gold, "1", answer_format) == 0
    assert score(gold, "1", answer_format).error.startswith(f"gold {gold!r} as {answer_format}: ")


@pytest.mark.parametrize(
    ("gold", "prediction", "answer_format", "expected"),
    [
        ("5", "4.0 or 5.0", "Integer", 1),
        ("5", "5.5", "Integer", 0),
        ("1,200 miles", "1200", "Integer", 1),
        ("0.0", "0", "Float", 1),
        ("0.0", "0.001", "Float", 0),
        ("100", "1", "Float", 1),
        ("100", "99", "Float", 1),
        ("100", "98.9", "Float", 0),
        ("19", "2019", "String", 1),
        ("Page 19", "page 19", "String", 1),
        ("page 19", "Page 19", "String", 0),
        ("a b b", "b b b", "String", 0.8),
        ("the", "the", "String", 0),
        ('["b c", 3, "d"]', "e b c d 3", "List", (0.75 + 1) / 2),
        ('["page 3", "5"]', "on page 3", "List", 0.5),
        ('["2%", 2]', "0.02", "List", 0.5),
        ("[0.5]", "50 %", "List", 1),
    ],
)
def test_by_hand(gold, prediction, answer_format, expected):
    assert eval_docqa_score(gold, prediction, answer_format) == pytest.approx(expected, abs=1e-9)
    assert eval_docqa_score(gold, prediction, answer_format, upstream_compat=True) == pytest.approx(expected, abs=1e-9)


def test_random_predictions_raise_nothing():
    golds = {
        "Integer": "7",
        "Float": "-3.5",
        "String": "Not answerable",
        "None": "page 7",
        "List": '["A", 7, "7%", "é 7"]',
    }
    values = set()
    for text in random_texts(10_000):
        parsed = parse_output(text)
        for answer_format, gold in golds.items():
            result = score(gold, parsed, answer_format)
            assert result.error is None
            values.add(result.value)
    assert min(values) == 0
    assert max(values) == 1
    assert len(values) > 10


def test_random_golds_raise_nothing_and_failures_are_0():
    texts = random_texts(10_000, seed=1)
    for index, text in enumerate(texts):
        result = score(text, texts[index - 1], FORMATS[index % len(FORMATS)])
        assert 0 <= result.value <= 1
        assert result.error is None or result.value == 0
