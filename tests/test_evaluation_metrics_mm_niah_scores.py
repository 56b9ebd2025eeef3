"""metrics/mm_niah_scores.py against the cases of tests/data/vectors/mm_niah.json, and what the default mode mends."""

import json
from pathlib import Path

import pytest

from mmprolong_hf.evaluation.metrics.mm_niah_scores import TASKS, main_scores, score_cells

CASES = json.loads((Path(__file__).parent / "data/vectors/mm_niah.json").read_text(encoding="utf-8"))["cases"]
CASES = [case for case in CASES if case["function"] == "main_scores"]


def row(context_length=1500, placed_depth=0.5, response="oak"):
    return {"answer": "oak", "response": response, "context_length": context_length, "placed_depth": placed_depth}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_main_scores(case):
    if "raises" in case:
        with pytest.raises(RuntimeError, match=r"file name is .* expected \{model\}_\{task\}-\{split\}\.jsonl"):
            main_scores(**case["inputs"], upstream_compat=True)
        with pytest.raises(ValueError, match=r"file name is .* expected \{model\}_\{task\}-\{split\}\.jsonl"):
            main_scores(**case["inputs"])
        return
    got = main_scores(**case["inputs"], upstream_compat=True)
    assert got.keys() == case["expected"].keys()
    for name, expected in case["expected"].items():
        assert got[name].keys() == expected.keys()
        for key, values in expected.items():
            assert got[name][key] == (values if key == "context_ranges" else pytest.approx(values, abs=1e-9)), key


def test_a_cell_without_a_question_is_none_and_0_upstream():
    files = {"m_counting-text-val.jsonl": [row(), row(placed_depth=0.1, response="elm"), row(context_length=999)]}
    assert main_scores(files)["m/scores_val.json"]["counting-text-val"] == [0.5] + [None] * 10
    upstream = main_scores(files, upstream_compat=True)["m/scores_val.json"]["counting-text-val"]
    assert upstream == [0.2] + [0.0] * 10


@pytest.mark.parametrize(
    ("depth", "cell"), [(0.0, 0), (0.19, 0), (0.2, 1), (0.6, 3), (0.8, 4), (1.0, 4), ([0.0, 1.0], 2), ([1.0, 1.0], 4)]
)
def test_depths(depth, cell):
    scores = score_cells([row(placed_depth=depth)])[0]
    assert [score is not None for score in scores] == [index == cell for index in range(5)]


def test_upstream_puts_a_depth_of_three_fifths_lower():
    assert score_cells([row(placed_depth=0.6)], upstream_compat=True)[0][2] == 1


@pytest.mark.parametrize(
    ("length", "cell"), [(1000, 0), (1999, 0), (2000, 1), (63_999, 9), (64_000, 10), (500_000, 10)]
)
def test_context_lengths(length, cell):
    scores = score_cells([row(context_length=length)])
    assert [depths[2] is not None for depths in scores] == [index == cell for index in range(11)]


def test_overall_needs_all_tasks_of_one_model_and_split():
    files = {f"a_b_{task}-val.jsonl": [row(response="oak" if "text" in task else "elm")] for task in TASKS}
    scores = main_scores(files)
    assert list(scores) == ["a_b/scores_val.json"]
    assert scores["a_b/scores_val.json"]["overall"] == [0.5] + [None] * 10
    files["a_b_retrieval-text-test.jsonl"] = files.pop("a_b_retrieval-text-val.jsonl")
    assert all("overall" not in scores for scores in main_scores(files).values())
