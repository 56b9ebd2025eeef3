"""Questions drawn on their pages."""

import io

import numpy as np
import pytest
from PIL import Image, ImageColor, ImageFont
from synthetic_pdf import built, report

from mmprolong_hf.synthesis.preview import COLOURS, _drawable, draw_question


@pytest.fixture(scope="module")
def row(tmp_path_factory):
    return built(report(tmp_path_factory.mktemp("pdf") / "a.pdf"), pages__dpi=72).row


@pytest.mark.parametrize("source", ["Layout", "Table"])
def test_evidence_is_framed_in_colour_on_each_of_its_pages(row, source):
    index = next(
        k
        for k, q in enumerate(row["questions"])
        if len(q["evidence_pages"]) == 2 and q["evidence_sources"][0] == source
    )
    image = draw_question(row, index, page_width=400)
    assert image.width == 400 * 2 + 10
    assert image.height > 400 * 792 / 612
    distance = np.abs(np.asarray(image).astype(int) - ImageColor.getrgb(COLOURS[source]))
    for k in range(2):
        framed = (
            distance[25:500, 410 * k : 410 * k + 400].max(axis=2) < 40
        )  # below the page's label, which has the colour too
        assert framed.sum() > 100


def test_no_such_question(row):
    with pytest.raises(ValueError, match=rf"index is 999, but the row has {len(row['questions'])} questions"):
        draw_question(row, 999)


def test_the_number_of_a_page_stands_over_it(row):
    plain = Image.open(io.BytesIO(row["images"][0]["bytes"])).convert("RGB")
    question = {**row["questions"][0], "evidence_pages": [1], "evidence_boxes": [[1.0, 0.4, 0.9, 0.6, 0.95]]}
    drawn = draw_question({**row, "questions": [question]}, 0, page_width=400)
    strip = next(y for y in range(drawn.height) if drawn.getpixel((200, y)) == (0x88, 0x88, 0x88))  # the page's frame
    page = plain.resize((400, round(400 * plain.height / plain.width)))
    corner = (2, 2, 398, 120)  # inside of the frame
    assert drawn.crop((0, strip, 400, strip + page.height)).crop(corner).tobytes() == page.crop(corner).tobytes()
    assert min(drawn.crop((0, 0, 400, strip)).convert("L").tobytes()) < 128  # and the number is there


def test_letters_that_the_font_lacks_are_escaped(row):
    font = ImageFont.load_default(20)
    assert _drawable("An “x” … \N{CJK UNIFIED IDEOGRAPH-56F3}", font) == "An “x” … \\u56f3"
