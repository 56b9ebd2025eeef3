"""metrics/mmlongbench_text.py against the cases of tests/data/vectors/mmlongbench.json, and by hand."""

import json
from pathlib import Path

import pytest
from random_text import random_texts

from mmprolong_hf.evaluation.metrics import mmlongbench_text
from mmprolong_hf.evaluation.metrics.mmlongbench_text import (
    extract_number_list,
    get_docqa_clean_string,
    get_str_type,
    need_exact_match_check,
    normalize_answer,
    parse_output,
)

NAMES = {
    "parse_output",
    "get_docqa_clean_string",
    "extract_number_list",
    "need_exact_match_check",
    "get_str_type",
    "normalize_answer",
}
ALL = json.loads((Path(__file__).parent / "data/vectors/mmlongbench.json").read_text(encoding="utf-8"))["cases"]
CASES = [case for case in ALL if case["function"] in NAMES]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_vectors(case):
    got = getattr(mmlongbench_text, case["function"])(**case["inputs"])
    assert got == (pytest.approx(case["expected"], abs=1e-9) if isinstance(got, list) else case["expected"])


def test_every_function_has_a_case():
    assert {case["function"] for case in CASES} == NAMES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5 miles", "5"),
        ("3 million miles", "3"),  # "miles" goes first
        ("3 miles million", "3 miles"),  # and is not tried again
        ("3 miles mile", "3 miles"),
        ("$ 5 %", "5"),
        ("£$5", "$5"),  # dollars were tried before pounds
        ("''5''", "'5'"),
        ("(5)", "(5)"),
        (7.5, "7.5"),
    ],
)
def test_clean_string(text, expected):
    assert get_docqa_clean_string(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5 6", True),
        ("12-31-99", True),
        ("2019 5 1", True),
        ("1/2/2020", True),
        ("1/2/202", True),
        ("1/2/20190", False),
        ("see https://x", True),
        ("at 9 p.m.", True),
        ("notes.ipynb", True),
        ("mail a@b.co", False),
        ("a@b", False),
        ("-5", False),
        ("5.0", False),
    ],
)
def test_need_exact_match(text, expected):
    assert need_exact_match_check(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("-.5-.5", [-0.5, -0.5]), ("5.", [5.0]), ("9" * 400, []), ("--3", [-3.0]), ("1,,2", [12.0]), ("", [])],
)
def test_numbers(text, expected):
    assert extract_number_list(text) == expected


def test_types():
    types = [get_str_type(text) for text in ("5.0", "5.5", "100%", "1e400", "nan", "", "٣", "5 m")]
    assert types == ["Integer", "Float", "Float", "String", "String", "String", "Integer", "Integer"]


def test_prefix_in_other_cases_and_only_twice():
    assert parse_output("ANSWER: answer: Answer: x") == "Answer: x"
    assert parse_output("x (label) y", "(label)") == "y"


def test_articles_are_words():
    assert normalize_answer("A theory, an-other the") == "theory another"


def test_random_texts_raise_nothing():
    for text in random_texts(10_000, seed=2):
        get_str_type(text)
        need_exact_match_check(text)
        assert parse_output(text) in text
        assert all(number - number == 0 for number in extract_number_list(get_docqa_clean_string(text)))
        assert normalize_answer(normalize_answer(text)) == normalize_answer(text)
