"""metrics/answerable_f1.py against the cases of tests/data/vectors/mmlongbench_doc.json, and what the default mode mends."""

import json
from pathlib import Path

import pytest

from mmprolong_hf.evaluation.metrics.answerable_f1 import acc_and_f1_by_group, eval_acc_and_f1

CASES = json.loads((Path(__file__).parent / "data/vectors/mmlongbench_doc.json").read_text(encoding="utf-8"))["cases"]
RIGHT = {"answer": "a", "pred": "a", "score": 1.0}
WRONG = {"answer": "b", "pred": "c", "score": 0.0}
FAILED = {"answer": "b", "pred": "c"}
UNANSWERABLE = {"answer": "Not answerable", "pred": "Not answerable", "score": 1.0}


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case["function"] == "eval_acc_and_f1"],
    ids=lambda case: case["id"],
)
def test_eval_acc_and_f1(case):
    got = eval_acc_and_f1(**case["inputs"], upstream_compat=True)
    assert got == pytest.approx(case["expected"], abs=1e-9)


def test_a_failure_counts_as_0():
    assert eval_acc_and_f1([RIGHT, FAILED]) == eval_acc_and_f1([RIGHT, WRONG]) == {"acc": 0.5, "f1": 0.5}
    assert eval_acc_and_f1([RIGHT, FAILED], upstream_compat=True) == {"acc": 1.0, "f1": 1.0}


def test_what_was_not_measured_is_none():
    assert eval_acc_and_f1([]) == {"acc": None, "f1": None}
    assert eval_acc_and_f1([UNANSWERABLE]) == {"acc": 1.0, "f1": None}
    assert eval_acc_and_f1([UNANSWERABLE], upstream_compat=True) == {"acc": 1.0, "f1": 0.0}


def test_a_model_that_never_answers_has_f1_0():
    assert eval_acc_and_f1([RIGHT | {"pred": "Not answerable", "score": 0.0}, UNANSWERABLE]) == {"acc": 0.5, "f1": 0.0}


def test_an_answer_to_what_has_none_lowers_the_precision():
    answered = UNANSWERABLE | {"pred": "x", "score": 0.0}
    assert eval_acc_and_f1([RIGHT, answered])["f1"] == pytest.approx(2 * 0.5 * 1 / 1.5)


def test_groups():
    samples = [
        RIGHT | {"evidence_pages": [3], "evidence_sources": ["Table", "Chart"], "doc_type": "Brochure"},
        WRONG | {"evidence_pages": [3, 4], "evidence_sources": ["Table"], "doc_type": "Brochure"},
        UNANSWERABLE | {"evidence_pages": [], "evidence_sources": [], "doc_type": "Guidebook"},
    ]
    groups = acc_and_f1_by_group(samples)
    assert {group: scores["acc"] for group, scores in groups["pages"].items()} == {
        "single-page": 1.0,
        "cross-page": 0.0,
        "unanswerable": 1.0,
    }
    assert {group: scores["acc"] for group, scores in groups["evidence_sources"].items()} == {
        "Table": 0.5,
        "Chart": 1.0,
    }
    assert groups["doc_type"]["Guidebook"] == {"acc": 1.0, "f1": None}
    assert acc_and_f1_by_group(samples, upstream_compat=True)["doc_type"]["Guidebook"] == {"acc": 1.0, "f1": 0.0}
