"""Cleaning and comparing text."""

import pytest

from mmprolong_hf.synthesis.text import clean, fold, is_clean, join_lines


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("e\ufb03cient", "efficient"),
        ("a\u00a0b\tc", "a b c"),
        ("co\u00adop\u2010ed", "co-op-ed"),
        ("\uff21\uff11", "A1"),
    ],
)
def test_clean_resolves_what_engines_write_differently(raw, expected):
    assert clean(raw) == expected


@pytest.mark.parametrize("text", ["a\x01b", "a\ue012b", "a\ufffdb"])
def test_characters_without_a_meaning_are_seen(text):
    assert not is_clean(text)
    assert is_clean(text.replace(text[1], " "))


def test_fold_keeps_letters_and_digits_of_any_script():
    assert fold("第 1 章: Ca\u0301fe-9") == fold("第1章 cáfe 9") == "第1章cáfe9"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["end", "start"], "end start"),
        (["proces-", "sing"], "processing"),
        (["X-", "Axis"], "X-Axis"),
        (["1990 -", "2000"], "1990 - 2000"),
    ],
)
def test_join_lines(lines, expected):
    assert join_lines(lines) == expected
