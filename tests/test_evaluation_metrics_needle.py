"""metrics/needle.py against the cases of tests/data/vectors/doc_needle_reference.json, and by hand."""

import json
from pathlib import Path

import pytest

from mmprolong_hf.evaluation.metrics import needle

CASES = json.loads((Path(__file__).parent / "data/vectors/doc_needle_reference.json").read_text(encoding="utf-8"))[
    "cases"
]


CASES = [case for case in CASES if case["function"] == "check_needle"]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_reference(case):
    assert needle.check_needle(**case["inputs"]) == case["expected"]


@pytest.mark.parametrize(
    ("value", "output", "expected"),
    [
        ("cat", "concat cat", 1),  # the first place fails, a later one counts
        ("cat", "concatenate", 0),
        ("ﬁle", "FILE", 1),  # compatibility form
        ("straße", "STRASSE", 1),
        ("", "anything", 0),
        ("12", "12 %", 1),
        ("aa", "aaa aab", 0),
    ],
)
def test_check_needle(value, output, expected):
    assert needle.check_needle(value, output) == expected


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("Not answerable", 1),
        ("I can’t find it.", 1),
        ("The document DOES NOT  mention it", 1),
        ("6822442", 0),
        ("Not found. Perhaps 6822442?", 0),
        ("Not found on page 12", 1),
        ("not founded", 0),
        ("", 0),
    ],
)
def test_check_absent(output, expected):
    assert needle.check_absent(output) == expected
    assert needle.score("Not answerable", output).value == expected


def test_score():
    assert needle.score("euro", "5 €", ["€"]).value == 1
    assert needle.score(["1", "2"], "2, 1").value == 1
    assert needle.score(["1", "2"], "1, 12").value == 0
    assert needle.score([], "1") == needle.Score(0.0, "no value was hidden")
