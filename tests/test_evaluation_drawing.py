"""drawing.py: a needle is where it says it is, never on another, and never on print if there is room beside it."""

import random

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mmprolong_hf.evaluation.drawing import DARK, Canvas, read_height
from mmprolong_hf.evaluation.needle_stamps import text_stamp
from mmprolong_hf.lengths import ImageLimits

SIZE = (800, 1200)
STAMP = text_stamp("The secret fruit is lemon.", SIZE, 0.03)


def printed_page(free=(400, 900)):
    """A page full of lines, but for a band of rows."""
    page = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(page)
    for y in range(0, 1200, 12):
        if not free[0] - 12 < y < free[1]:
            draw.rectangle((0, y, 799, y + 5), fill=(40, 40, 40))
    return page


@pytest.mark.parametrize("seed", range(5))
def test_it_stands_in_the_empty_part_and_changes_nothing_else(seed):
    page = printed_page()
    canvas = Canvas(page)
    place, covered = canvas.find_place(STAMP, random.Random(seed))
    x0, y0, x1, y1 = canvas.draw(STAMP, place)
    assert covered == 0
    assert 400 <= y0 < y1 <= 900
    assert 0 <= x0 < x1 <= 800
    before, after = np.array(page), np.array(canvas.image)
    assert (before[y0:y1, x0:x1] >= DARK).all()
    assert (after[y0:y1, x0:x1] == np.asarray(STAMP.image)).all()
    after[y0:y1, x0:x1] = before[y0:y1, x0:x1]
    assert (after == before).all()
    assert canvas.page_image().open().tobytes() == canvas.image.tobytes()


def test_without_an_empty_part_it_covers_the_least():
    page = printed_page(free=(0, 0))
    ImageDraw.Draw(page).rectangle((0, 700, 799, 720), fill="white")
    (_, y), covered = Canvas(page).find_place(STAMP, random.Random(0))
    assert y <= 700 < 720 <= y + STAMP.image.height
    pixels = np.asarray(page.convert("L"))
    by_hand = min((pixels[top : top + 36] < DARK).mean() for top in range(1200 - 36 + 1))
    assert covered == pytest.approx(by_hand)
    assert 0 < covered < 0.4


def test_needles_do_not_overlap_and_fill_a_page_to_the_last():
    canvas, rng = Canvas(Image.new("RGB", SIZE, "white")), random.Random(0)
    stamp = text_stamp("lemon", (800, 300), 1.0)
    while (found := canvas.find_place(stamp, rng)) is not None:
        canvas.draw(stamp, found[0])
        assert len(canvas.boxes) <= 4
    assert len(canvas.boxes) >= 2
    taken = np.zeros((1200, 800), int)
    for x0, y0, x1, y1 in canvas.boxes:
        taken[y0:y1, x0:x1] += 1
    assert taken.max() == 1


def test_a_crowded_page_prefers_print_to_another_needle():
    canvas, rng = Canvas(printed_page(free=(600, 660))), random.Random(0)
    covered = []
    for _ in range(6):
        place, share = canvas.find_place(STAMP, rng)
        canvas.draw(STAMP, place)
        covered.append(share)
    assert covered[0] == 0 < covered[-1]
    boxes = canvas.boxes
    for i, (x0, y0, x1, y1) in enumerate(boxes):
        assert all(x1 <= a0 or a1 <= x0 or y1 <= b0 or b1 <= y0 for a0, b0, a1, b1 in boxes[:i])


def test_the_page_given_stays_as_it_is():
    page = printed_page()
    before = page.tobytes()
    canvas = Canvas(page)
    canvas.draw(STAMP, (0, 0))
    assert page.tobytes() == before != canvas.image.tobytes()


def test_same_seed_same_place_other_seed_other_place():
    places = [Canvas(printed_page()).find_place(STAMP, random.Random(seed)) for seed in (1, 1, 2)]
    assert places[0] == places[1] != places[2]


def test_what_the_model_could_not_read_is_refused():
    page = (1224, 1584)
    stamp = text_stamp("The secret fruit is lemon.", page, 0.02)
    assert 10 < read_height(stamp, page, ImageLimits()) < 20
    with pytest.raises(
        ValueError, match=r"capitals would be 2\.\d pixels high .* at least 10: raise the needle's size"
    ):
        read_height(stamp, page, ImageLimits(max_pixels=400 * 28 * 28 // 4))
    with pytest.raises(ValueError, match="at least 10: raise"):
        read_height(text_stamp("The secret fruit is lemon.", page, 0.01), page, ImageLimits())


def test_what_is_erased_was_never_there():
    page = Image.effect_noise((600, 800), 60).convert("RGB")
    canvas = Canvas(page)
    first, second = text_stamp("lemon", page.size, 0.2), text_stamp("maple", page.size, 0.1)
    canvas.draw(first, (10, 20))
    before = canvas.image.copy()
    canvas.draw(second, (30, 40))
    assert canvas.image != before
    canvas.erase()
    assert (canvas.image, len(canvas.boxes)) == (before, 1)
    canvas.erase()
    assert (canvas.image, canvas.boxes) == (page, [])
