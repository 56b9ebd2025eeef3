"""Questions drawn on their pages."""

import numpy as np
import pytest
from PIL import ImageColor
from synthetic_pdf import built, report

from mmprolong_hf.synthesis.preview import COLOURS, draw_question


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
