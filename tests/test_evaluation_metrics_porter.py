"""metrics/porter.py on the pairs of Porter's paper and of NLTK's changes."""

import pytest

from mmprolong_hf.evaluation.metrics.porter import stem


# Pairs from Porter's paper, one or more for each rule, and from NLTK's list of changes.
@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("caresses", "caress"),
        ("ponies", "poni"),
        ("ties", "tie"),
        ("caress", "caress"),
        ("feed", "feed"),
        ("agreed", "agre"),
        ("died", "die"),
        ("spied", "spi"),
        ("plastered", "plaster"),
        ("bled", "bled"),
        ("motoring", "motor"),
        ("sing", "sing"),
        ("conflated", "conflat"),
        ("troubled", "troubl"),
        ("sized", "size"),
        ("hopping", "hop"),
        ("falling", "fall"),
        ("hissing", "hiss"),
        ("fizzed", "fizz"),
        ("filing", "file"),
        ("happy", "happi"),
        ("enjoy", "enjoy"),
        ("by", "by"),
        ("relational", "relat"),
        ("conditional", "condit"),
        ("rational", "ration"),
        ("digitizer", "digit"),
        ("radically", "radic"),
        ("vietnamization", "vietnam"),
        ("operator", "oper"),
        ("decisiveness", "decis"),
        ("sensibiliti", "sensibl"),
        ("geologi", "geolog"),
        ("hopefulli", "hope"),
        ("triplicate", "triplic"),
        ("electrical", "electr"),
        ("goodness", "good"),
        ("revival", "reviv"),
        ("adoption", "adopt"),
        ("replacement", "replac"),
        ("bowdlerize", "bowdler"),
        ("probate", "probat"),
        ("rate", "rate"),
        ("cease", "ceas"),
        ("controll", "control"),
        ("roll", "roll"),
        ("dying", "die"),
        ("skies", "sky"),
        ("proceed", "proceed"),
        ("2023", "2023"),
    ],
)
def test_stem(word, expected):
    assert stem(word) == expected


def test_a_long_word_of_one_letter():
    """An "y" is a consonant or not by the letter before it, which must not recurse."""
    assert len(stem("y" * 20_000)) == 20_000
