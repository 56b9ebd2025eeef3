"""metrics/slidevqa_vlmevalkit.py against the cases of tests/data/vectors/slidevqa.json."""

import json
from pathlib import Path

import pytest
from random_text import random_texts

from mmprolong_hf.evaluation.metrics.slidevqa_vlmevalkit import vlmevalkit_f1, vlmevalkit_scores

CASES = json.loads((Path(__file__).parent / "data/vectors/slidevqa.json").read_text(encoding="utf-8"))["cases"]
FUNCTIONS = {"vlmevalkit_f1": vlmevalkit_f1, "vlmevalkit_scores": vlmevalkit_scores}


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["function"] in FUNCTIONS], ids=lambda case: case["id"]
)
def test_vlmevalkit(case):
    got = FUNCTIONS[case["function"]](**case["inputs"], upstream_compat=True)
    assert got == pytest.approx(case["expected"], abs=1e-9)


def test_repetition_pays_upstream_only():
    assert vlmevalkit_f1("a", "a a", upstream_compat=True) == pytest.approx(4 / 3)
    assert vlmevalkit_f1("a", "a a") == 1
    assert vlmevalkit_scores("A", "a a")["f1"] == 1
    assert vlmevalkit_scores("A", "a a", upstream_compat=True)["f1"] == pytest.approx(4 / 3)


def test_line_breaks_of_the_right_answer_are_deleted():
    assert vlmevalkit_scores("Big\nDog", "bigdog") == {"anls": 1.0, "em": 1.0, "f1": 1.0}


def test_no_answer_raises():
    texts = random_texts(10_000)
    for gold, prediction in zip(texts, reversed(texts), strict=True):
        assert all(0 <= value <= 1 for value in vlmevalkit_scores(gold, prediction).values())
