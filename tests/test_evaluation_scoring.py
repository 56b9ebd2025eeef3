"""scoring.py against the reference cases of tests/data/doc_needle_reference.json, and by hand where those are silent."""

import json
from pathlib import Path

import pytest

from mmprolong_hf.evaluation.scoring import check_needle, depth_bin, exact_match, summarize_grid, wilson_interval

CASES = json.loads((Path(__file__).parent / "data" / "doc_needle_reference.json").read_text(encoding="utf-8"))["cases"]


def cases(function):
    found = [case for case in CASES if case["function"] == function]
    assert found
    return pytest.mark.parametrize("case", found, ids=[case["id"] for case in found])


@cases("check_needle")
def test_check_needle(case):
    assert check_needle(**case["inputs"]) == case["expected"]


@cases("heatmap")
def test_heatmap(case):
    records, num_bins = case["inputs"]["records"], case["inputs"]["n_depth_bins"]
    lengths = sorted({record["length"] for record in records})
    got = summarize_grid(
        records, lengths, num_bins, lambda depth: depth_bin(depth, num_bins), case["inputs"]["threshold"]
    )
    got = json.loads(json.dumps(got))
    for key, expected in case["expected"].items():
        if key == "grid":
            for got_row, row in zip(got["grid"], expected, strict=True):
                assert got_row == pytest.approx(row, abs=1e-9)
        else:
            assert got[key] == pytest.approx(expected, abs=1e-9), key


@cases("wilson95")
def test_wilson(case):
    assert wilson_interval(case["inputs"]["k"], case["inputs"]["n"]) == pytest.approx(case["expected"], abs=1e-9)


def test_wilson_without_a_trial_knows_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(0, 10)[0] == pytest.approx(0, abs=1e-12)


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
def test_check_needle_by_hand(value, output, expected):
    assert check_needle(value, output) == expected


@pytest.mark.parametrize(
    ("prediction", "answer", "answer_format", "expected"),
    [
        ("the River.", "River", "String", 1),
        ("  “Net   income” ", "net income", "String", 1),
        ("well-known", "well known", "String", 1),
        ("4.2.1", "421", "String", 0),
        ("3.10", "3.1", "String", 0),
        ("1,234", "1234", "String", 1),
        ("1,23", "123", "String", 0),
        ("-5", "5", "String", 0),
        ("−5", "-5", "String", 1),
        ("2-3", "23", "String", 0),
        ("5%", "5", "String", 0),
        ("$1,200.50", "1200.50", "Float", 1),
        ("12.50", "12.5", "Float", 1),
        ("12.5.", "12.5", "Float", 1),
        ("7.0", "7", "Integer", 1),
        ("0.30000000000000001", "0.3", "Float", 0),
        ("7 pages", "7", "Integer", 0),
        ("page 7", "7", "Integer", 0),
        ("12:30", "1230", "String", 0),
        ("snake_case", "snake case", "String", 1),
        ("", "x", "String", 0),
        ("3; 1; 2", "1; 2; 3", "List", 1),
        ("1; 2", "1; 2; 3", "List", 0),
        ("1; 1; 2", "1; 2; 2", "List", 0),
        ("The Sea; the Land", "land; sea", "List", 1),
        ("3; 1; 2", "1; 2; 3", "String", 0),
    ],
)
def test_exact_match(prediction, answer, answer_format, expected):
    assert exact_match(prediction, answer, answer_format) == expected


def test_unmeasured_length_takes_no_part():
    records = [{"length": 10, "depth": 0.0, "score": 1.0}, {"length": 30, "depth": 0.0, "score": 1.0}]
    summary = summarize_grid(records, [10, 20, 30], 1, lambda depth: 0)
    assert summary["grid"] == [[1.0, None, 1.0]]
    assert summary["counts"] == [[1, 0, 1]]
    assert summary["per_length"] == {10: 1.0, 20: None, 30: 1.0}
    assert summary["effective_length_prefix"] == 30


def test_nothing_measured():
    summary = summarize_grid([], [10], 2, lambda depth: 0)
    assert summary["grid"] == [[None], [None]]
    assert summary["mean"] is None
    assert summary["effective_length_max"] is None
