"""metrics/short_answers.py: the cases of tests/data/vectors/mmlongbench_doc.json, and by hand where those are silent."""

import random
import re

import pytest
from random_text import random_texts
from vectors import vector_cases

from mmprolong_hf.evaluation.metrics.short_answers import (
    anls_compute,
    is_exact_match,
    is_float,
    is_float_equal,
    rule_of,
    score_text,
    without_outer_quotes,
    without_parentheses,
)

cases = vector_cases("mmlongbench_doc")


@cases("is_exact_match")
def test_is_exact_match(case):
    assert is_exact_match(**case["inputs"]) == case["expected"]


@cases("anls_compute")
def test_anls_compute(case):
    assert anls_compute(**case["inputs"]) == pytest.approx(case["expected"], abs=1e-9)


@pytest.mark.parametrize(
    "text",
    [
        "see https://a.b",
        "x.py",
        "a.ipynb",
        "pages",
        "12",
        "555 1234",
        "2019-05-01",
        "2019 05 01",
        "9 a.m.",
        "a.b@c.org",
    ],
)
def test_fixed_forms(text):
    assert is_exact_match(text)
    assert score_text(text, text) == 1
    assert score_text(text, text + "x") == 0


@pytest.mark.parametrize(
    "text", ["http://a.b", "x.pyc", "a page", "1.2", "5-", "2019-5-1", "9 am", "a@b", "see a@b.co", "12 34 5", ""]
)
def test_other_texts(text):
    assert not is_exact_match(text)


@pytest.mark.parametrize(
    ("gold", "prediction", "equal"),
    [
        (100.0, 101.0, True),
        (100.0, 101.1, False),
        (100.0, 1.0, True),  # a percentage
        (0.5, 50.0, True),
        (0.001, 0.0, True),  # equal at two decimals
        (0.001, 0.004, False),  # not at three
        (0.1234, 0.1266, False),  # compared at four decimals, and more than 1 % apart
        (1e-7, 2e-7, True),  # str() has no point: three decimals
        (float("nan"), float("nan"), False),
        (float("inf"), float("inf"), True),
        (1e308, -1e308, False),
    ],
)
def test_is_float_equal(gold, prediction, equal):
    assert is_float_equal(gold, prediction) is equal


def test_half_alike_is_not_alike():
    assert anls_compute("ab", "ax") == 0
    assert anls_compute("abc", "abx") == pytest.approx(2 / 3)


def test_no_text_raises():
    texts = random_texts(10_000)
    for gold, prediction in zip(texts, reversed(texts), strict=True):
        assert 0 <= score_text(gold, prediction) <= 1
        if is_float(gold):
            assert is_float_equal(float(gold), 7.0) in (True, False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a (b) c", "a c"),
        ("a (b (c) d)", "a d)"),
        ("a) (b) \n(c)d", "a)d"),
        ("(a) b (", " b ("),
        ("a \u2003(b)", "a"),
        (" " * 200_000 + "b", " " * 200_000 + "b"),
        ("(" * 200_000, "(" * 200_000),
        (" (" * 100_000 + ")", ""),
    ],
    ids=range(8),
)
def test_without_parentheses(text, expected):
    assert without_parentheses(text) == expected


def test_without_parentheses_is_what_the_regular_expression_leaves():
    draw = random.Random(0)
    for _ in range(2_000):
        text = "".join(draw.choices("ab() \t\u2003", k=draw.randrange(12)))
        assert without_parentheses(text) == re.sub(r"\s*\([^)]*\)", "", text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("'a'", "a"), ("\"a'", "a"), ("a'", "a"), ("''a", "'a"), ("it's", "it's"), ("'", ""), ("", "")],
)
def test_one_quote_is_taken_off_each_end(text, expected):
    assert without_outer_quotes(text) == expected


def test_a_format_has_two_names_and_any_case():
    rules = {"Int": min, "String": max}
    assert [rule_of(name, rules) for name in ("Int", "INTEGER", "str", "String")] == [min, min, max, max]
    with pytest.raises(ValueError, match="answer_format is 'Float', expected one of Int, String"):
        rule_of("Float", rules)
