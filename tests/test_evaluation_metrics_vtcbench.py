"""metrics/vtcbench.py against the cases of tests/data/vectors/vtcbench.json, and by hand."""

import builtins
import json
from pathlib import Path

import pytest

from mmprolong_hf.evaluation.metrics import vtcbench

CASES = json.loads((Path(__file__).parent / "data/vectors/vtcbench.json").read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_vectors(case):
    options = {"upstream_compat": True} if case["function"] == "calc_metrics" else {}
    function = getattr(vtcbench, case["function"])
    if "raises" in case:
        with pytest.raises(getattr(builtins, case["raises"]), match="expected at least one"):
            function(**case["inputs"], **options)
    elif options:
        assert function(**case["inputs"], **options) == pytest.approx(case["expected"], abs=1e-9)
    else:
        assert function(**case["inputs"]) == case["expected"]


def test_without_a_right_answer_all_scores_are_0_and_told():
    assert set(vtcbench.calc_metrics("x", []).values()) == {0.0}
    assert vtcbench.score([], "x") == vtcbench.Score(0.0, "no right answer is given")


def test_scores_of_one_answer():
    answer = "Perhaps Bob.\nKatie"
    values = {metric: vtcbench.score(["Katie", "Bob"], answer, metric).value for metric in vtcbench.METRICS}
    assert values == {
        "EM": 0,
        "contains": 1,
        "contains_all": 1,
        "lastline_EM": 1,
        "lastline_contains": 1,
        "ROUGE-L": pytest.approx(0.5),
    }


def test_unknown_metric():
    with pytest.raises(ValueError, match="'F1', expected one of EM, contains"):
        vtcbench.score(["a"], "a", "F1")


def test_judge_sees_what_follows_the_last_thought():
    assert vtcbench.extract_final_answer("<think>a</think>b</think> c") == "c"


def test_a_thought_of_many_lines_does_not_count():
    assert vtcbench.score(["Bob"], "<think>Bob\nor Katie?</think>Katie", "contains").value == 0
    assert vtcbench.score(["Katie"], "<think>Bob\nor Katie?</think>Katie", "EM").value == 1


def test_thoughts_that_never_end_take_no_minutes():
    assert vtcbench.score(["Katie"], "<think>" * 500_000 + "Katie", "contains").value == 1


@pytest.mark.parametrize(
    ("response", "said"),
    [("a</think>b<think>c", "a</think>b<think>c"), ("<think>a<think>b</think>c</think>d", "c</think>d")],
)
def test_only_a_whole_thought_does_not_count(response, said):
    assert vtcbench.score([said], response, "EM").value == 1
