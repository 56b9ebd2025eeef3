"""Every line of a page is in exactly one element, in reading order."""

from collections import Counter
from pathlib import Path

import pymupdf
import pytest
from synthetic_pdf import BODY, report, rows

from mmprolong_hf.synthesis.elements import ELEMENT_KINDS, Line, Page, Source, Structure
from mmprolong_hf.synthesis.layout import find_elements, group_lines
from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.structure import build_structure
from mmprolong_hf.synthesis.text import fold

DOCUMENTS = sorted((Path(__file__).resolve().parents[2] / "shared" / "documents").glob("*.pdf"))
NOTHING = Structure(1, (), (), (), frozenset(), (), (), ())


def read(path):
    source = read_pdf(path, images=False, min_characters=0)
    return source, build_structure(source)


def lost_or_doubled(source, structure):
    """(page, text) of every line that is not in exactly one group."""
    wrong = []
    for page, groups in zip(source.pages, group_lines(source, structure), strict=True):
        count = Counter(id(line) for group in groups for line in group.lines)
        wrong += [(page.number, line.text) for line in page.lines if count.pop(id(line), 0) != 1]
        assert not count, "a line that is not on the page"
    return wrong


def page_of(*lines):
    made = [Line(text, (0.1, y, 0.6, y + 0.02), size, False, font, block) for text, y, size, font, block in lines]
    return Source("", "", (), (Page(1, 100, 100, (72, 72), b"", tuple(made)),))


def kinds(source, structure=NOTHING):
    return [(element.kind, element.text) for element in find_elements(source, structure)]


def test_a_report(tmp_path):
    source, structure = read(report(tmp_path / "a.pdf", chapters=2))
    assert lost_or_doubled(source, structure) == []
    elements = find_elements(source, structure)
    assert [e.page for e in elements] == sorted(e.page for e in elements)
    found = [(e.kind, e.level, e.text) for e in elements if e.page == 2]
    assert found[0] == ("section", 2, "1.1 Detail one of Topic one")
    assert found[1:-2] == [("paragraph", 0, " ".join([BODY] * 12))]
    assert found[-2] == ("caption", 0, "Table 1: Stations of Topic one")
    assert found[-1][0] == "table"
    assert found[-1][2].splitlines()[:3] == [
        "| Station | Height | Visitors |",
        "|---|---|---|",
        "| One peak | 107.5 | 1001 |",
    ]
    assert [list(row) for row in elements[[e.kind for e in elements].index("table")].cells] == rows(1)
    assert [(e.kind, e.text) for e in elements if e.page == 3][-2:] == [
        ("figure", ""), ("caption", "Figure 1: Sketch of Topic one."),
    ]  # fmt: skip


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_no_line_of_a_real_document_is_lost_or_doubled(path):
    source, structure = read(path)
    assert lost_or_doubled(source, structure) == []
    elements = find_elements(source, structure)
    assert {e.kind for e in elements} <= set(ELEMENT_KINDS)
    printed = sum(len(fold(line.text)) for page in source.pages for line in page.lines)
    told = sum(len(fold(e.text)) for e in elements)
    assert abs(told - printed) <= 0.001 * printed  # the cells of a table are read from words, not from lines


def test_a_lost_line_is_seen(tmp_path, monkeypatch):
    source, structure = read(report(tmp_path / "a.pdf", chapters=1))
    monkeypatch.setattr("mmprolong_hf.synthesis.layout._running_text", lambda lines: [])
    assert (1, BODY) in lost_or_doubled(source, structure)


def test_headers_and_footers_stand_first_and_last(tmp_path):
    document = pymupdf.open()
    for k in range(1, 5):
        page = document.new_page(width=612, height=792)
        page.insert_text((72, 40), "A running head")
        page.insert_text((300, 770), f"{k}")
        page.insert_text((72, 200), f"What page number {'abcd'[k - 1]} says is not repeated.")
    document.save(tmp_path / "a.pdf")
    source, structure = read(tmp_path / "a.pdf")
    found = [(e.kind, e.text) for e in find_elements(source, structure) if e.page == 2]
    assert found == [
        ("header", "A running head"),
        ("paragraph", "What page number b says is not repeated."),
        ("footer", "2"),
    ]


def test_two_columns_are_read_one_after_the_other(tmp_path):
    document = pymupdf.open()
    page = document.new_page(width=612, height=792)
    page.insert_text((72, 80), "A title over both of the columns of this page", fontsize=20)
    for x, side in ((330, "right"), (72, "left")):  # written in another order than read
        for k in range(12):
            page.insert_text((x, 120 + 16 * k), f"{side} {k} says a few words")
    document.save(tmp_path / "a.pdf")
    source, structure = read(tmp_path / "a.pdf")
    words = " ".join(e.text for e in find_elements(source, structure)).split()
    assert words[0] == "A"
    sides = [word for word in words if word in ("left", "right")]
    assert sides == ["left"] * 12 + ["right"] * 12


def test_items_of_a_list_keep_their_lines():
    source = page_of(
        ("1. the first item goes", 0.2, 10, "Serif", 0), ("on below", 0.22, 10, "Serif", 0), ("2. the second", 0.24, 10, "Serif", 0),
        ("1998 was a year.", 0.4, 10, "Serif", 1),
    )  # fmt: skip
    assert kinds(source) == [
        ("list", "1. the first item goes on below\n2. the second"),
        ("paragraph", "1998 was a year."),
    ]


def test_lines_of_a_listing_are_not_joined():
    source = page_of(("if x:", 0.2, 10, "CMTT10", 0), ("return", 0.22, 10, "CMTT10", 0), ("Text", 0.4, 10, "Serif", 1))
    assert kinds(source)[0] == ("paragraph", "if x:\nreturn")


def test_the_largest_lines_of_the_first_page_are_the_title():
    text = [(BODY, 0.3 + k / 20, 10, "Serif", 2 + k) for k in range(9)]
    title = [("A long title that", 0.1, 20, "Serif", 0), ("goes on", 0.14, 20, "Serif", 0)]
    assert kinds(page_of(*title, *text))[0] == ("title", "A long title that goes on")
    assert {kind for kind, _ in kinds(page_of(*text))} == {"paragraph"}


def test_a_document_without_text():
    assert find_elements(page_of(), NOTHING) == ()
