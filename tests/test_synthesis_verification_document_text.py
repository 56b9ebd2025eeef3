"""The text of two engines side by side."""

from dataclasses import replace

import pytest
from synthetic_pdf import report

from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.rejected import RejectedDocument
from mmprolong_hf.synthesis.structure import build_structure
from mmprolong_hf.synthesis.verification import DocumentText, read_second


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = report(tmp_path_factory.mktemp("text") / "a.pdf", titles=["Rain", "Snow", "Rain", "Wind"])
    source = read_pdf(path, dpi=36)
    return DocumentText(source.pages, read_second(path), build_structure(source))


def test_both_engines_read_every_page(text):
    assert text.num_pages == len(text.second) == 12
    for number in range(1, 13):
        first, second = text.folded(number)
        assert len(first) > 100
        assert sorted(first) == sorted(second)
    assert all("11detailoneofrain" in page for page in text.folded(2))
    assert not any("11detailoneofrain" in page for page in text.folded(3))


def test_words_are_found_whole_whoever_reads_them(text):
    assert text.holds("Table 1", 2)
    assert text.holds("one OF rain", 2)
    assert not text.holds("ain", 2)
    assert not text.holds("Table 1", 5)
    alone = replace(text, second=("",) * 12)
    assert alone.holds("Table 1", 2)
    assert replace(alone, second=("", "", "", "", "see Table 1.", *[""] * 7)).holds("Table 1", 5)


def test_sections_are_found_with_and_without_their_number(text):
    assert [s.page for s in text.sections_titled("rain")] == [1, 7]
    assert [s.page for s in text.sections_titled("3 Rain")] == [7]
    assert text.sections_titled("Hail") == []


def test_lines_inside_a_box(text):
    heading = text.structure.sections[1]
    assert text.printed_at(2, heading.box) == "1.1 Detail one of Rain"
    assert text.printed_at(2, (0.0, 0.0, 1.0, 0.01)) == ""


def test_a_file_that_only_one_engine_opens_is_rejected(tmp_path):
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4 nothing more")
    with pytest.raises(RejectedDocument, match="unreadable: a second engine cannot open it"):
        read_second(tmp_path / "a.pdf")
