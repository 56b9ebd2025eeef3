"""metrics/mmlongbench_choices.py against the cases of tests/data/vectors/mmlongbench.json, and by hand."""

import json
import time
from pathlib import Path

import pytest
from random_text import random_texts

from mmprolong_hf.evaluation.metrics.mmlongbench_choices import (
    binary_acc,
    cls_acc,
    mc_acc,
    parse_binary,
    parse_choice,
    parse_label,
    whole_numbers,
)

CASES = json.loads((Path(__file__).parent / "data/vectors/mmlongbench.json").read_text(encoding="utf-8"))["cases"]


def cases(function):
    found = [case for case in CASES if case["function"] == function]
    assert found
    return pytest.mark.parametrize("case", found, ids=[case["id"] for case in found])


@cases("mc_acc")
def test_mc_acc(case):
    got = {"choice": parse_choice(case["inputs"]["prediction"]), "mc_acc": mc_acc(**case["inputs"])}
    assert got == case["expected"]


@cases("cls_acc")
def test_cls_acc(case):
    got = {"label": parse_label(case["inputs"]["prediction"]), "cls_acc": cls_acc(**case["inputs"])}
    assert got == case["expected"]


@cases("binary_acc")
def test_binary_acc(case):
    got = {"label": parse_binary(case["inputs"]["prediction"]), "acc": binary_acc(**case["inputs"])}
    assert got == case["expected"]


@pytest.mark.parametrize(
    ("prediction", "choice"),
    [
        ("Answer: A, so the answer is (B)", 1),
        ("Answer: A. Answer: B", 1),
        ("Answer: A\nAnswer: B", 0),
        ("Answer: Answer: B", 1),  # the A of the second "Answer" is no option while a later one is
        ("answer:\n\n(A) C", 2),
        ("K L", -1),
        ("a", -1),
    ],
)
def test_choice(prediction, choice):
    assert parse_choice(prediction) == choice


@pytest.mark.parametrize(
    ("prediction", "label"), [("label: 3 label: 4", 3), ("x1 2 y3", 2), ("v1.2", 2), ("9" * 5000 + "x", -1)]
)
def test_label(prediction, label):
    assert parse_label(prediction) == label


@pytest.mark.parametrize(
    ("prediction", "label"), [("NO, no. Yes", 1), ("nothing", -1), ("0 and yes", 1), ("is 3", 3), ("yes_no", -1)]
)
def test_binary(prediction, label):
    assert parse_binary(prediction) == label
    expected = {1: 1.0, 0: 0.0, -1: 1.0, 3: 0.0}[label]  # the default answer, 1, counts where nothing was said
    assert binary_acc(prediction, "Yes", 1) == expected


def test_runs_of_digits_that_are_no_number_are_left_out():
    assert whole_numbers(r"\d+", "1 " + "2" * 1001 + " " + "3" * 1000) == [1, int("3" * 1000)]


def test_random_texts_raise_nothing():
    found = [set(), set(), set()]
    for text in random_texts(10_000, seed=4):
        for seen, parse in zip(found, (parse_choice, parse_label, parse_binary), strict=True):
            seen.add(parse(text))
    assert {-1, 0, 1} <= found[0] <= set(range(-1, 10))
    assert all(min(seen) == -1 and len(seen) > 3 for seen in found[1:])


def test_long_texts_take_no_longer_than_their_length():
    start = time.perf_counter()
    for text in ("answer " * 100_000, "answer: " * 100_000, "1 " * 300_000, "a" * 700_000):
        parse_choice(text)
        parse_label(text)
    assert time.perf_counter() - start < 5  # in the square of the length: hours
