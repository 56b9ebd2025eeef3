"""metrics/mmlongbench_summary.py against the cases of tests/data/vectors/mmlongbench.json, and by hand."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from random_text import LONG, random_texts

from mmprolong_hf.evaluation.metrics.mmlongbench_summary import rouge
from mmprolong_hf.evaluation.metrics.rouge import rouge_l

ALL = json.loads((Path(__file__).parent / "data/vectors/mmlongbench.json").read_text(encoding="utf-8"))["cases"]
CASES = [case for case in ALL if case["function"] == "rouge"]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_vectors(case):
    assert rouge(**case["inputs"]) == pytest.approx(case["expected"], abs=1e-9)


# Made by running google-research's rouge_score 0.1.2 (rougeL, rougeLsum, use_stemmer=True).
@pytest.mark.parametrize(
    ("prediction", "gold", "expected"),
    [
        (
            "The police killed the gunman.\nHe fled.",
            "He had fled.\nPolice kill the gunman\n\nThe end",
            [0.5, 0.4444444444444444, 0.8750000000000001, 0.7777777777777778],
        ),
        ("w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "w1 w2 w3 w4 w5", [0.5333333333333333, 0.8, 0.5333333333333333, 0.8]),
        (
            "a b c\na d",
            "a b\nd a c a",
            [0.7272727272727272, 0.6666666666666666, 0.9090909090909091, 0.8333333333333334],
        ),
        (
            "connected data runs reports data\ndies happy generalization run\nruns connected finding",
            "dies reports relational finding\nhappily relational generalization\nreport agency data finding",
            [0.2608695652173913, 0.2727272727272727, 0.43478260869565216, 0.45454545454545453],
        ),
        (
            "dies report generalization\nagencies bees bees agencies\n"
            "relational connected finding finding sensational",
            "run happily generalization running\nrun dies sensational\nagencies dies generalization dies report",
            [0.16666666666666666, 0.16666666666666666, 0.3333333333333333, 0.3333333333333333],
        ),
        (
            "reported relational reports sensational\ndies finding reported\nagencies connected happily run running",
            "the dies runs\nagencies connected\nbees sensational generalization",
            [0.3, 0.375, 0.5, 0.625],
        ),
        (
            "sensational reports reports run run\nreported report found dies bees\nagencies finding report finding",
            "run relational agency\nhappy running data\nagency agency",
            [0.2727272727272727, 0.375, 0.2727272727272727, 0.375],
        ),
    ],
)
def test_reference_implementation(prediction, gold, expected):
    got = rouge(prediction, gold)
    assert [got[name] for name in ("rougeL_f1", "rougeL_recall", "rougeLsum_f1", "rougeLsum_recall")] == pytest.approx(
        expected, abs=1e-9
    )


def test_a_word_counts_no_more_often_than_it_is_said():
    # each line of the gold finds the one "x"
    assert rouge("x", "x\nx\nx") == pytest.approx(
        {"rougeL_f1": 0.5, "rougeL_recall": 1 / 3, "rougeLsum_f1": 0.5, "rougeLsum_recall": 1 / 3}
    )


def test_random_texts_raise_nothing():
    texts = [text for text in random_texts(10_000, seed=5) if len(text) < min(map(len, LONG))]
    assert len(texts) > 9_000
    for prediction, gold in pairwise(texts):
        got = rouge(prediction, gold)
        assert all(0 <= value <= 1 for value in got.values())
        assert got["rougeL_f1"] == pytest.approx(rouge_l(gold, prediction), abs=1e-12)


def test_long_texts_take_no_minutes():
    got = rouge("a b c\n" * 33_000, "c a b\n" * 1_000)
    assert got["rougeL_recall"] == 1
    assert got["rougeLsum_recall"] == pytest.approx(2 / 3)  # of "c a b", "a b" is in each line
