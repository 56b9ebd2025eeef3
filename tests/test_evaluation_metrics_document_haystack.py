"""metrics/document_haystack.py against the cases of tests/data/vectors/document_haystack.json, and by hand."""

import builtins
import json
from pathlib import Path

import pytest

from mmprolong_hf.evaluation.metrics import document_haystack

CASES = json.loads((Path(__file__).parent / "data/vectors/document_haystack.json").read_text(encoding="utf-8"))[
    "cases"
]


def cases(function):
    found = [case for case in CASES if case["function"] == function]
    assert found
    return pytest.mark.parametrize("case", found, ids=[case["id"] for case in found])


@cases("check_answer")
def test_check_answer(case):
    assert document_haystack.check_answer(**case["inputs"], upstream_compat=True) == case["expected"]


@cases("bucket_accuracy")
def test_bucket_accuracy(case):
    if "raises" in case:
        with pytest.raises(getattr(builtins, case["raises"]), match="expected sizes that differ by at most 1"):
            document_haystack.bucket_accuracy(**case["inputs"], upstream_compat=True)
    else:
        got = document_haystack.bucket_accuracy(**case["inputs"], upstream_compat=True)
        for value, expected in zip(got, case["expected"], strict=True):
            assert value == (expected if isinstance(expected, str) else pytest.approx(expected, abs=1e-9))


@pytest.mark.parametrize(
    ("needle", "output"),
    [("car", "card"), ("hat", "that"), ("lamp", "delightful"), ("pan", "Japan"), ("tea", "steak"), ("star", "start")],
)
def test_words_that_only_hold_the_secret(needle, output):
    assert document_haystack.check_answer(needle, output, use_aliases=True) == 0
    assert document_haystack.check_answer(needle, output, use_aliases=True, upstream_compat=True) == 1
    assert document_haystack.score(needle, output, True).value == 0


def test_another_word_with_a_capital():
    assert document_haystack.check_answer("Eiffel Tower", "tour eiffel", True) == 1
    assert document_haystack.check_answer("Eiffel Tower", "tour eiffel", True, upstream_compat=True) == 0
    assert document_haystack.check_answer("Eiffel Tower", "tour eiffel") == 0


def test_empty_bucket_is_no_zero():
    assert document_haystack.bucket_accuracy([1, 1, 0], 5, [1, 1, 5], 5) == [1.0, None, None, None, 0.0]


@pytest.mark.parametrize("pages", [None, [1], [0, 1], [1, 6]])
def test_pages_outside_the_document(pages):
    with pytest.raises(ValueError, match="expected one from 1 to n_pages for each of 2 scores"):
        document_haystack.bucket_accuracy([1, 0], 5, pages, 5)


@pytest.mark.parametrize(
    ("scores", "num_buckets", "error"),
    [([1, 0, 1, 1], 2, TypeError), ([1, 0, 1], 10, AssertionError), ([], 10, ValueError)],
)
def test_upstream_fails_without_pages(scores, num_buckets, error):
    with pytest.raises(error, match="pages and n_pages are missing"):
        document_haystack.bucket_accuracy(scores, num_buckets, upstream_compat=True)
