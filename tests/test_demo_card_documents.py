import pymupdf
import pytest
from synthetic_pdf import built

from mmprolong_hf.demo.card_documents import CARD_TITLES, write_cards
from mmprolong_hf.lengths import QWEN2_5_VL_LIMITS, page_tokens


@pytest.fixture(scope="module")
def cards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cards")
    write_cards(folder, num_documents={1: 4, 4: 4, 8: 2}, seed=5)
    return sorted(folder.glob("*.pdf"))


def test_same_seed_same_bytes(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_cards(tmp_path / name, num_documents={2: 1}, seed=seed)
    first, same, other = (next((tmp_path / name).glob("*.pdf")).read_bytes() for name in "abc")
    assert first == same
    assert first != other


def test_every_page_of_a_card_document_has_its_question(cards):
    for path in cards:
        row, _, _, dropped = built(path, questions__kinds=["section-title-on-page"], pages__dpi=144)
        with pymupdf.open(path) as document:
            titles = [document[page].get_text().strip() for page in range(len(document))]
        assert not dropped
        assert [question["answer"] for question in row["questions"]] == titles
        assert [question["evidence_pages"] for question in row["questions"]] == [[k + 1] for k in range(len(titles))]
        assert len(set(titles)) == len(titles)
        assert set(titles) <= set(CARD_TITLES)
        assert {page_tokens(*size, QWEN2_5_VL_LIMITS) for size in row["page_sizes"]} == {4}


def test_no_title_is_cut_off(cards):
    for path in cards:
        with pymupdf.open(path) as document:
            for page in document:
                pixels = page.get_pixmap(dpi=144, colorspace=pymupdf.csGRAY)
                rows = [pixels.samples[k * pixels.stride : k * pixels.stride + 56] for k in range(56)]
                edges = rows[0] + rows[-1] + bytes(row[0] for row in rows) + bytes(row[-1] for row in rows)
                assert min(edges) == 255, (path.name, page.number)
                assert min(min(row) for row in rows) < 64


def test_more_pages_than_titles(tmp_path):
    with pytest.raises(ValueError, match=r"11 pages asked for, expected 1 to 10"):
        write_cards(tmp_path, num_documents={11: 1})
