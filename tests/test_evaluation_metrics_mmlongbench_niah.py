"""metrics/mmlongbench_niah.py against the cases of tests/data/vectors/mmlongbench.json, and by hand."""

import json
from pathlib import Path

import pytest
from random_text import random_texts

from mmprolong_hf.evaluation.metrics.mmlongbench_niah import default_pipeline, parse_counts, score, soft_acc, sub_em

CASES = json.loads((Path(__file__).parent / "data/vectors/mmlongbench.json").read_text(encoding="utf-8"))["cases"]


def cases(function):
    found = [case for case in CASES if case["function"] == function]
    assert found
    return pytest.mark.parametrize("case", found, ids=[case["id"] for case in found])


@cases("sub_em")
def test_sub_em(case):
    assert sub_em(**case["inputs"]) == case["expected"]


@cases("soft_acc")
def test_soft_acc(case):
    assert parse_counts(case["inputs"]["prediction"]) == case["expected"]["list"]
    assert soft_acc(**case["inputs"]) == case["expected"]["soft_acc"]


@cases("default_pipeline")
def test_default_pipeline(case):
    assert default_pipeline(**case["inputs"]) == case["expected"]
    inputs = case["inputs"]
    result = score(inputs["gold"], inputs["raw_output"], inputs["metric"], inputs["prefix"])
    assert result.value == case["expected"][inputs["metric"]]
    assert result.error is None


@pytest.mark.parametrize(
    ("prediction", "counts"),
    [
        ("[1, 2] then [x]", [1, 2]),  # numbers only come before other brackets
        ("[01] then [-1]", [-1]),  # the first is no JSON
        ("[1.9, true, 'x']", [1, 9]),  # neither is this, so digits are taken
        ('[1.9, true, "x", {}]', [1, 1]),
        ("[[1, 2], [3, 4]]", [3, 4]),
        ("[1e999, 2]", [2]),
        ("[\n-1,\n2\n]", [-1, 2]),
        ('["' + "9" * 5000 + '", 2]', [2]),
        ("9" * 5000 + " 3", [3]),
        ("[" + '{"a":' * 100_000 + "]", []),
        ("[a 1]", [1]),
    ],
)
def test_counts(prediction, counts):
    assert parse_counts(prediction) == counts


def test_the_better_of_raw_and_parsed_counts():
    raw = "[1, 1] Answer: none, Answer: [3]"
    assert default_pipeline(raw, [3], "soft_acc")["soft_acc"] == 1
    assert default_pipeline("Yes, oak. Answer: elm", "oak", "sub_em") == {"parsed_output": "elm", "sub_em": 1.0}


@pytest.mark.parametrize("metric", ["sub_em", "soft_acc"])
def test_no_right_answer(metric):
    assert score([], "x", metric) == score([], "0", metric)
    assert score([], "x", metric).value == 0
    assert "gold [] for" in score([], "x", metric).error


def test_refusals():
    with pytest.raises(ValueError, match="gold is empty"):
        sub_em("x", [])
    with pytest.raises(ValueError, match="metric is 'f1', expected one of"):
        default_pipeline("x", "x", "f1")


def test_random_texts_raise_nothing():
    golds = {"sub_em": ["no", "北京"], "soft_acc": [7, 0], "mc_acc": 0, "cls_acc": 7}
    values = {metric: set() for metric in golds}
    for text in random_texts(10_000, seed=3):
        for metric, gold in golds.items():
            values[metric].add(score(gold, text, metric).value)
    assert all(seen == {0.0, 1.0} for seen in values.values())
