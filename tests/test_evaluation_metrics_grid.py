"""metrics/grid.py against the cases of tests/data/vectors/doc_needle_reference.json, and by hand."""

import json
from pathlib import Path

import pytest

from mmprolong_hf.evaluation.metrics import grid
from mmprolong_hf.evaluation.metrics.statistics import wilson_interval

CASES = json.loads((Path(__file__).parent / "data/vectors/doc_needle_reference.json").read_text(encoding="utf-8"))[
    "cases"
]


def cases(function):
    found = [case for case in CASES if case["function"] == function]
    assert found
    return pytest.mark.parametrize("case", found, ids=[case["id"] for case in found])


@cases("heatmap")
def test_heatmap(case):
    got, expected = json.loads(json.dumps(grid.heatmap(**case["inputs"]))), case["expected"]
    for got_row, row in zip(got.pop("grid"), expected["grid"], strict=True):
        assert got_row == pytest.approx(row, abs=1e-9)
    for key in expected.keys() - {"grid"}:
        assert got[key] == pytest.approx(expected[key], abs=1e-9), key


@cases("wilson95")
def test_interval_of_a_cell(case):
    assert wilson_interval(case["inputs"]["k"], case["inputs"]["n"]) == pytest.approx(case["expected"], abs=1e-9)


def test_unmeasured_length_takes_no_part():
    records = [{"length": 10, "depth": 0.0, "score": 1.0}, {"length": 30, "depth": 0.0, "score": 1.0}]
    summary = grid.summarize_grid(records, [10, 20, 30], 1, lambda depth: 0)
    assert summary["grid"] == [[1.0, None, 1.0]]
    assert summary["counts"] == [[1, 0, 1]]
    assert summary["per_length"] == {10: 1.0, 20: None, 30: 1.0}
    assert summary["effective_length_prefix"] == 30


def test_effective_lengths_differ_where_a_shorter_one_fails():
    records = [{"length": length, "depth": 0.0, "score": score} for length, score in ((1, 1), (2, 0), (3, 1))]
    summary = grid.heatmap(records)
    assert (summary["effective_length_prefix"], summary["effective_length_max"]) == (1, 3)
    assert summary["wavg_inc"] == pytest.approx((1 * 1 + 2 * 0 + 3 * 1) / 6)


def test_nothing_measured():
    summary = grid.summarize_grid([], [10], 2, lambda depth: 0)
    assert summary["grid"] == [[None], [None]]
    assert summary["mean"] is None
    assert summary["effective_length_max"] is None
    assert summary["lost_in_the_middle"] is None


@pytest.mark.parametrize(
    ("per_depth", "expected"),
    [
        ([1.0, 0.0, 1.0], 1.0),
        ([0.5, 1.0, 1.0, 0.5], -0.5),
        ([1.0, None, 0.5, None], 0.5),
        ([None, 0.5, None], None),
        ([1.0, None, 1.0], None),
        ([1.0], None),
        ([], None),
    ],
)
def test_lost_in_the_middle(per_depth, expected):
    assert grid.lost_in_the_middle(per_depth) == expected
