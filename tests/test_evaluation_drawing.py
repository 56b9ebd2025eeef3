"""drawing.py: a needle is legible, where it says it is, and never on the print if there is room beside it."""

import random

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mmprolong_hf.evaluation.drawing import DARK, Needle, draw_needle
from mmprolong_hf.lengths import ImageLimits

LIMITS = ImageLimits()
TEXT = "The secret fruit is lemon."


def printed_page(free=(400, 900)):
    """A page full of lines, but for a band of rows."""
    page = Image.new("RGB", (800, 1200), "white")
    draw = ImageDraw.Draw(page)
    for y in range(0, 1200, 12):
        if not free[0] - 12 < y < free[1]:
            draw.rectangle((0, y, 799, y + 5), fill=(40, 40, 40))
    return page


def pixels(image, box):
    """The part of an image under a box of fractions."""
    x0, y0, x1, y1 = (round(edge * side) for edge, side in zip(box, image.size * 2))
    return np.asarray(image.convert("L"))[y0:y1, x0:x1]


@pytest.mark.parametrize("seed", range(5))
def test_the_box_stands_in_the_empty_part_and_holds_all_that_changed(seed):
    page = printed_page()
    drawn, box = draw_needle(page, TEXT, size=0.03, limits=LIMITS, rng=random.Random(seed))
    assert (pixels(page, box) >= DARK).all()
    assert (pixels(drawn, box) < DARK).any()
    changed = np.argwhere(np.asarray(page.convert("L")) != np.asarray(drawn.convert("L")))
    (top, left), (bottom, right) = changed.min(0), changed.max(0) + 1
    assert box[0] * 800 <= left
    assert right <= box[2] * 800
    assert box[1] * 1200 <= top
    assert bottom <= box[3] * 1200


def test_without_an_empty_part_the_box_covers_the_least():
    page = printed_page(free=(0, 0))
    ImageDraw.Draw(page).rectangle((0, 700, 799, 720), fill="white")
    _, box = draw_needle(page, TEXT, size=0.03, limits=LIMITS, rng=random.Random(0))
    assert box[1] * 1200 <= 700 < 720 <= box[3] * 1200


def test_the_page_given_stays_as_it_is():
    page = printed_page()
    before = page.tobytes()
    draw_needle(page, TEXT, size=1.0, limits=LIMITS, rng=random.Random(0))
    assert page.tobytes() == before


def test_same_seed_same_page_other_seed_other_place():
    drawn = [draw_needle(printed_page(), TEXT, size=0.03, limits=LIMITS, rng=random.Random(s)) for s in (1, 1, 2)]
    assert drawn[0][0].tobytes() == drawn[1][0].tobytes()
    assert drawn[0][1] != drawn[2][1]


@pytest.mark.parametrize("text", ["lemon", TEXT, "Harbor walnut tulip velvet"])
def test_size_1_replaces_a_tiny_page(text):
    page = Image.new("RGB", (112, 84), "gray")
    drawn, box = draw_needle(page, text, size=1.0, limits=ImageLimits(max_pixels=112 * 84), rng=random.Random(0))
    assert box == (0, 0, 1, 1)
    gray = np.asarray(drawn.convert("L"))
    edges = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
    assert (edges > DARK).all(), "text is cut off at the edge of the page"
    assert (gray < 64).mean() > 0.02


def test_what_the_model_could_not_read_is_refused():
    page = Image.new("RGB", (1224, 1584), "white")
    rng = random.Random(0)
    draw_needle(page, TEXT, size=0.02, limits=LIMITS, rng=rng)
    with pytest.raises(
        ValueError, match=r"capitals of 'The secret .* would be 2\.\d pixels high .* at least 10: raise"
    ):
        draw_needle(page, TEXT, size=0.02, limits=ImageLimits(max_pixels=400 * 28 * 28 // 4), rng=rng)
    with pytest.raises(ValueError, match="at least 10: raise the needle's size"):
        draw_needle(page, TEXT, size=0.01, limits=LIMITS, rng=rng)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": 0}, "size is 0, expected a fraction"),
        ({"size": 1.5}, r"size is 1\.5, expected a fraction"),
        ({"text": "no value {key}"}, "expected a {value} in it"),
        ({"question": "Is it {value}?"}, r"question holds \['value'\], expected only \['key', 'page'\] in braces"),
        ({"text": "{value} {colour}"}, r"text holds \['colour'\], expected only"),
        ({"values": ()}, "0 values, expected at least one"),
    ],
)
def test_needle_refuses(fields, message):
    with pytest.raises(ValueError, match=message):
        Needle(**fields)
