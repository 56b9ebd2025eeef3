"""needle_stamps.py: nothing is cut off at a stamp's edge, and what it shows is told apart."""

from itertools import pairwise, product

import numpy as np
import pytest

from mmprolong_hf.evaluation.needle_stamps import COLORS, SHAPES, shape_stamp, table_stamp, text_stamp

PAGE = (1224, 1584)


def grey(stamp):
    return np.asarray(stamp.image.convert("L"))


def edges(pixels):
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])


@pytest.mark.parametrize("text", ["lemon", "The secret fruit is lemon.", "Harbor walnut tulip velvet"])
@pytest.mark.parametrize("page", [(112, 84), PAGE])
def test_text_fills_a_whole_page_and_ends_before_its_edges(text, page):
    stamp = text_stamp(text, page, 1.0)
    assert stamp.image.size == page
    assert (edges(grey(stamp)) > 192).all()
    assert (grey(stamp) < 64).mean() > 0.02


def test_stamps_have_the_height_that_was_asked_for():
    for size in (0.02, 0.06, 0.09):
        stamps = [
            text_stamp("The secret fruit is lemon.", PAGE, size),
            table_stamp(["Item | Code", "lemon | 1"], PAGE, size),
            shape_stamp("lemon", "red star", PAGE, size),
        ]
        assert {stamp.image.height for stamp in stamps} == {round(size * PAGE[1])}
        for stamp in stamps:
            assert stamp.image.width < PAGE[0]
            assert (edges(grey(stamp)) > 192).all()


def test_the_height_of_capitals_is_that_of_what_is_drawn():
    for stamp in (text_stamp("H", PAGE, 0.05), shape_stamp("H", "yellow circle", PAGE, 0.1)):
        letter = grey(stamp)[:, stamp.image.width - round(2 * stamp.capital_height) :]
        assert (letter < 128).any(1).sum() == pytest.approx(stamp.capital_height, abs=1)


def test_a_table_has_its_rules_and_its_cells():
    stamp = table_stamp(["Item | Code", "lemon | 6822442", "maple | 1202641"], PAGE, 0.09)
    ruled = (grey(stamp) < 64).mean(1) > 0.8
    assert ruled.sum() == 4, "rows are not told apart"
    assert ((grey(stamp) < 64).mean(0) > 0.8).sum() == 3
    tops = np.flatnonzero(ruled)
    for top, bottom in pairwise(tops):
        assert (grey(stamp)[top + 3 : bottom - 2, :] < 64).sum() > 100, "an empty row"
    with pytest.raises(ValueError, match="zip"):
        table_stamp(["Item | Code", "lemon"], PAGE, 0.09)


def test_wide_words_are_made_smaller_until_they_fit():
    narrow = (150, 1584)
    for stamp in (table_stamp(["Item | Code", "lantern | 6822442"], narrow, 0.09), shape_stamp("lantern", "red star", narrow, 0.06)):  # fmt: skip
        assert stamp.image.width <= 150
        assert (edges(grey(stamp)) > 192).all()


def test_no_two_colored_shapes_look_alike():
    names = [f"{color} {shape}" for color, shape in product(COLORS, SHAPES)]
    pictures = [np.asarray(shape_stamp("x", name, PAGE, 0.06).image).astype(int) for name in names]
    for i, first in enumerate(pictures):
        for second in pictures[:i]:
            assert (np.abs(first - second).max(-1) > 60).mean() > 0.03


@pytest.mark.parametrize("name", ["red house", "pink star", "star"])
def test_unknown_shapes_are_refused(name):
    with pytest.raises(ValueError, match=f"the value is '{name}', expected one of red, orange"):
        shape_stamp("lemon", name, PAGE, 0.06)
