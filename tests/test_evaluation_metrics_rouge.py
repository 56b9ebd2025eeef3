"""metrics/rouge.py by hand; metrics/vtcbench.py has cases of the original."""

import pytest

from mmprolong_hf.evaluation.metrics.rouge import rouge_l


@pytest.mark.parametrize(
    ("gold", "prediction", "expected"),
    [
        ("a c e", "a b c d e", 0.75),
        ("c b a", "a b c", 1 / 3),
        ("the adoption agencies", "Adopting agency", 0.8),
        ("his", "hi", 0),  # words of three letters keep their endings
        ("", "a", 0),
        ("北京", "北京", 0),  # no ASCII letter, no word
    ],
)
def test_rouge_l(gold, prediction, expected):
    assert rouge_l(gold, prediction) == pytest.approx(expected)
