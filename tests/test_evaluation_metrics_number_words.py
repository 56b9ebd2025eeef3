"""metrics/number_words.py: the words and their digits."""

from mmprolong_hf.evaluation.metrics.number_words import DIGITS, DIGITS_UP_TO_NINETEEN


def test_number_words():
    assert list(DIGITS_UP_TO_NINETEEN.values()) == [str(number) for number in range(20)]
    assert DIGITS_UP_TO_NINETEEN["thirteen"] == DIGITS["thirteen"] == "13"
    assert DIGITS["twenty"] == "20"
    assert DIGITS["ninety"] == "90"
    assert "twenty" not in DIGITS_UP_TO_NINETEEN
