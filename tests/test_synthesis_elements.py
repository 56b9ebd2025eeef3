"""Boxes."""

from mmprolong_hf.synthesis.elements import union


def test_union_of_one_is_itself():
    assert union([(0.1, 0.2, 0.3, 0.4)]) == (0.1, 0.2, 0.3, 0.4)


def test_union_holds_every_box():
    boxes = [(0.5, 0.5, 0.6, 0.9), (0.1, 0.7, 0.2, 0.8), (0.3, 0.2, 0.9, 0.3)]
    assert union(boxes) == (0.1, 0.2, 0.9, 0.9)
