"""metrics/vqa_normalization.py against the cases of tests/data/vectors/mm_niah.json, and by hand where those are silent."""

import json
from pathlib import Path

import pytest
from random_text import random_texts

from mmprolong_hf.evaluation.metrics.vqa_normalization import vqa_normalize

CASES = json.loads((Path(__file__).parent / "data/vectors/mm_niah.json").read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["function"] == "vqa_normalize"], ids=lambda case: case["id"]
)
def test_vqa_normalize(case):
    assert vqa_normalize(**case["inputs"]) == case["expected"]


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("x/y", "x y"),
        ("x/ y/z", "x yz"),  # a blank beside one "/" deletes them all
        ("x/y 1,000", "xy 1000"),  # and so does a number with a comma
        ("2.5 kg. .5", "2.5 kg .5"),
        ("none, Two and thirty", "0 2 and 30"),
        ("youre shouldntve shouldn'tve Twas", "you're shouldntve shouldn't've 'twas"),
        ("50% of $5", "50% of $5"),
    ],
)
def test_by_hand(text, normalized):
    assert vqa_normalize(text) == normalized


def test_only_32_periods_go():
    assert vqa_normalize("x." * 40) == "x" * 32 + "x." * 8


def test_no_text_raises():
    assert all(len(vqa_normalize(text).split()) <= len(text) for text in random_texts(10_000))
