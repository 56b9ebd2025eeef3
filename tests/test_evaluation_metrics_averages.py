"""metrics/averages.py against the cases of tests/data/vectors/mmlongbench_aggregate.json and a paper's averages."""

import json
from pathlib import Path

import pytest

from mmprolong_hf.evaluation.metrics.averages import (
    COLUMNS,
    category_averages,
    dataset_score,
    mean,
    mm_niah_average,
    mmprolong_averages,
    vtcbench_average,
)

CASES = json.loads((Path(__file__).parent / "data/vectors/mmlongbench_aggregate.json").read_text(encoding="utf-8"))[
    "cases"
]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_vectors(case):
    got = category_averages(**case["inputs"])
    assert len(got) == len(case["expected"])
    for row, expected in zip(got, case["expected"], strict=True):
        expected = {name: value for name, value in expected.items() if name != "Model"}
        assert row == pytest.approx(expected, abs=1e-9)


def complete(value=60.0):
    return dict.fromkeys(COLUMNS, value)


@pytest.mark.parametrize(
    ("missing", "without"),
    [
        ("slidevqa", {"SlideVQA", "DocVQA", "Ours"}),
        ("mm_niah_counting-text", {"MM-NIAH-Count (T)", "MM-NIAH-Count", "NIAH", "Ours"}),
        ("vh_multi", {"VH-Multi", "NIAH", "Ours"}),
    ],
)
@pytest.mark.parametrize("told", [True, False])
def test_an_average_with_a_missing_part_is_none(missing, without, told):
    scores = complete() | {missing: None}
    if not told:
        del scores[missing]
    row = category_averages({8192: scores})[0]
    assert {name for name, value in row.items() if value is None} == without
    assert {value for name, value in row.items() if name not in {*without, "input_max_length"}} == {60.0}


def test_a_haystack_at_50_is_not_flipped():
    row = category_averages({8192: complete() | {"vh_single": 50.0, "vh_multi": 20.0}})[0]
    assert (row["VH-Single"], row["VH-Multi"]) == (50.0, 80.0)
    assert row["NIAH"] == pytest.approx((50 + 80 + 3 * 60) / 5)


def test_unknown_dataset():
    with pytest.raises(ValueError, match=r"unknown datasets \['docvqa'\]"):
        category_averages({8192: {"docvqa": 1.0}})


# Rows of the tables of arXiv 2605.13831: MMLongBench-Doc, LongDocURL, SlideVQA and AVG at 64K, at 128K, ALL. It
# cuts averages to two digits: 52.2467 stands as 52.24.
@pytest.mark.parametrize(
    ("short", "long", "overall"),
    [
        ((36.00, 62.69, 80, 59.56), (34.19, 56.33, 77, 55.84), 57.70),
        ((32.17, 49.57, 75, 52.24), (26.96, 51.85, 68, 48.94), 50.59),
        ((38.00, 51.72, 69, 52.91), (27.94, 61.13, 68, 52.35), 52.63),
    ],
)
def test_headline_of_mmprolong(short, long, overall):
    names = ("mmlongdoc", "longdocurl", "slidevqa")
    averages = mmprolong_averages({"65536": dict(zip(names, short)), 131072: dict(zip(names, long))})
    assert averages["AVG"] == pytest.approx({65536: short[3], 131072: long[3]}, abs=0.01)
    assert averages["ALL"] == pytest.approx(overall, abs=0.01)


def test_headline_at_other_lengths_and_without_one():
    scores = {
        length: {"mmlongdoc": value, "longdocurl": value, "slidevqa": value}
        for length, value in ((1, 10.0), (2, 20.0))
    }
    assert mmprolong_averages(scores, lengths=(1, 2)) == {"AVG": {1: 10.0, 2: 20.0}, "ALL": 15.0}
    assert mmprolong_averages(scores, lengths=(1, 3)) == {"AVG": {1: 10.0, 3: None}, "ALL": None}


def test_mm_niah_leaves_visual_haystack_out():
    assert mm_niah_average(complete() | {"vh_single": None, "vh_multi": 100.0}) == 60
    assert mm_niah_average(complete() | {"mm_niah_counting-image": None}) is None


def test_vtcbench_weighs_its_splits():
    assert vtcbench_average({"retrieval": 91.63, "reasoning": 15.63, "memory": 33.83}) == pytest.approx(
        48.23, abs=0.005
    )
    assert vtcbench_average({"retrieval": 1.0, "reasoning": 1.0}) is None


def test_failures_stay_in_the_mean():
    # upstream printed 87.10 for 81 right of 93 answered questions of 100
    scores, outputs = [1.0] * 81 + [0.0] * 19, ["x"] * 93 + [""] * 7
    assert dataset_score(scores, outputs) == pytest.approx(81)
    assert dataset_score(scores, outputs, upstream_compat=True) == pytest.approx(87.0967741935)
    assert dataset_score([0.0], [""], upstream_compat=True) is None
    assert dataset_score([], []) is None
    assert mean([0.0, 100.0]) == 50
    with pytest.raises(ValueError, match="1 scores and 0 answers"):
        dataset_score([1.0], [])
