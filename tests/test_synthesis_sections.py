"""Sections from the outline, located on their pages."""

import pymupdf
import pytest
from synthetic_pdf import cards, report

from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.sections import find_sections


@pytest.mark.parametrize("outline", [True, False])
def test_every_heading_is_found_on_its_page_with_number_parent_and_extent(tmp_path, outline):
    sections, strays = find_sections(read_pdf(report(tmp_path / "a.pdf", outline=outline)))
    assert not strays
    assert [(s.number, s.title, s.page) for s in sections[:4]] == [
        ("1", "Topic one", 1),
        ("1.1", "Detail one of Topic one", 2),
        ("1.2", "Detail two of Topic one", 3),
        ("2", "Topic two", 4),
    ]
    assert [s.parent for s in sections[:5]] == [-1, 0, 0, -1, 3]
    assert [s.last_page for s in sections[:3]] == [4, 3, 4]
    assert all(s.listed for s in sections)
    assert all(0.08 < s.box[1] < 0.12 and s.box[0] == pytest.approx(72 / 612, abs=0.01) for s in sections)


def test_a_bookmark_that_is_not_printed_is_no_section_but_a_warning(tmp_path):
    path = report(tmp_path / "a.pdf")
    with pymupdf.open(path) as document:
        document.set_toc([*document.get_toc(), [1, "Nowhere printed", 12]])
        document.saveIncr()
    sections, strays = find_sections(read_pdf(path))
    assert "Nowhere printed" not in {s.title for s in sections}
    assert [(s.text, s.page, s.serious) for s in strays] == [("Nowhere printed", 12, True)]


def test_a_heading_that_no_bookmark_names_is_a_stray(tmp_path):
    path = report(tmp_path / "a.pdf")
    with pymupdf.open(path) as document:
        document[4].insert_text((72, 700), "An unlisted heading", fontsize=16, fontname="hebo")
        document.saveIncr()
    _, strays = find_sections(read_pdf(path))
    assert [(s.text, s.page, s.serious) for s in strays] == [("An unlisted heading", 5, True)]


def test_cards(tmp_path):
    sections, strays = find_sections(read_pdf(cards(tmp_path / "a.pdf", "7A7"), min_characters=1))
    assert [(s.title, s.page) for s in sections] == [("7", 1), ("A", 2), ("7", 3)]
    assert not strays


def test_a_wrapped_title_is_spelt_as_its_bookmark_spells_it(tmp_path):
    document = pymupdf.open()
    for k in range(3):
        page = document.new_page()
        page.insert_text((72, 90), f"{k + 1} Architecture-", fontsize=18, fontname="hebo")
        page.insert_text((72, 112), "independent replace- ", fontsize=18, fontname="hebo")
        page.insert_text((72, 134), f"ment number {'abc'[k]}", fontsize=18, fontname="hebo")
        for line in range(20):
            page.insert_text(
                (72, 200 + 16 * line), "Some running text under the heading, and more of it.", fontsize=11
            )
    titles = [f"Architecture-independent replacement number {x}" for x in "abc"]
    document.set_toc([[1, title, k] for k, title in enumerate(titles, 1)])
    document.save(tmp_path / "a.pdf")
    sections, _ = find_sections(read_pdf(tmp_path / "a.pdf", min_characters=1))
    assert [s.title for s in sections] == titles
