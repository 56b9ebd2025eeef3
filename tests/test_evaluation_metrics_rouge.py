"""metrics/rouge.py by hand; metrics/vtcbench.py has cases of the original."""

import random
from itertools import pairwise, product

import pytest

from mmprolong_hf.evaluation.metrics.rouge import common_rows, rouge_l


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


def test_long_texts_take_no_minutes():
    assert rouge_l("a b " * 50_000, "b a " * 50_000) == pytest.approx(1 - 1 / 100_000)


def test_common_rows_are_the_steps_of_the_textbook_table():
    draw = random.Random(0)
    for _ in range(300):
        left, right = (draw.choices("abcd", k=draw.randrange(9)) for _ in range(2))
        table = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
        for i, j in product(range(len(left)), range(len(right))):
            table[i + 1][j + 1] = table[i][j] + 1 if left[i] == right[j] else max(table[i][j + 1], table[i + 1][j])
        steps = [[after - before for before, after in pairwise(row)] for row in table[1:]]
        assert [[row >> i & 1 for i in range(len(right))] for row in common_rows(left, right)] == steps
