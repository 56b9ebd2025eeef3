"""Columns are read one after the other."""

import random

import pytest

from mmprolong_hf.synthesis.reading_order import in_reading_order

LEFT, RIGHT, WIDE = (0.1, 0.48), (0.52, 0.9), (0.1, 0.9)


def ordered(boxes):
    """Names in the order found, whatever order they come in."""
    names = list(boxes)
    found = set()
    for seed in range(5):
        random.Random(seed).shuffle(names)
        found.add(tuple(in_reading_order(names, lambda name: boxes[name])))
    assert len(found) == 1
    return "".join(found.pop())


def box(columns, top, bottom):
    return (columns[0], top, columns[1], bottom)


def test_one_column():
    assert ordered({"a": box(WIDE, 0.1, 0.2), "b": box(LEFT, 0.25, 0.3), "c": box(WIDE, 0.3, 0.5)}) == "abc"


def test_two_columns_under_a_title_and_over_a_note():
    boxes = {
        "t": box(WIDE, 0.05, 0.1),
        "a": box(LEFT, 0.15, 0.4), "b": box(LEFT, 0.42, 0.8),
        "c": box(RIGHT, 0.15, 0.4), "d": box(RIGHT, 0.42, 0.8),
        "n": box(WIDE, 0.85, 0.9),
    }  # fmt: skip
    assert ordered(boxes) == "tabcdn"


def test_a_wide_figure_parts_the_columns():
    boxes = {
        "a": box(LEFT, 0.1, 0.3), "b": box(RIGHT, 0.1, 0.3),
        "f": box(WIDE, 0.32, 0.5),
        "c": box(LEFT, 0.52, 0.8), "d": box(RIGHT, 0.52, 0.8),
    }  # fmt: skip
    assert ordered(boxes) == "abfcd"


def test_three_columns():
    columns = [(0.1, 0.35), (0.38, 0.62), (0.65, 0.9)]
    assert ordered({name: box(c, 0.1, 0.8) for name, c in zip("abc", columns)}) == "abc"
    boxes = {
        name: box(c, top, top + 0.3) for top in (0.1, 0.45) for name, c in zip("adg" if top < 0.4 else "beh", columns)
    }
    assert ordered(boxes) == "abdegh"


@pytest.mark.parametrize("height", [0.02, 0.05])
def test_labels_beside_text_are_no_column(height):
    """Keys at the left, each with its text at the right, are read line by line."""
    tops = [0.1, 0.3, 0.5]
    boxes = {name: (0.1, top, 0.2, top + height) for name, top in zip("ace", tops)}
    boxes |= {name: (0.3, top, 0.9, top + 0.15) for name, top in zip("bdf", tops)}
    assert ordered(boxes) == "abcdef"
