"""Questions drawn on their pages."""

import numpy as np
import pytest
from synthetic_pdf import report

from mmprolong_hf.synthesis.document import BuildOptions, build_document
from mmprolong_hf.synthesis.preview import draw_question


@pytest.fixture(scope="module")
def row(tmp_path_factory):
    return build_document(report(tmp_path_factory.mktemp("pdf") / "a.pdf"), "a.pdf", BuildOptions(dpi=72))[0]


def test_evidence_is_framed_in_colour_on_each_of_its_pages(row):
    index, question = next((k, q) for k, q in enumerate(row["questions"]) if len(q["evidence_pages"]) == 2)
    image = draw_question(row, index, page_width=400)
    assert image.width == 400 * 2 + 10
    assert image.height > 400 * 792 / 612
    pixels = np.asarray(image).astype(int)
    for k in range(2):
        page = pixels[:500, 410 * k : 410 * k + 400]
        red = (page[..., 0] > 180) & (page[..., 1] < 90) & (page[..., 2] < 90)
        assert red.sum() > 100, question


def test_no_such_question(row):
    with pytest.raises(ValueError, match="index is 99, but the row has 16 questions"):
        draw_question(row, 99)
