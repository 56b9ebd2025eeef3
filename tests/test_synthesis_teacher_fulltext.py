"""Where words stand in a document, and where else."""

import pytest

from mmprolong_hf.synthesis.elements import Line
from mmprolong_hf.synthesis.teacher.fulltext import FullText, stands_in


def full(*pages):
    return FullText(tuple(tuple(Line(t, (0, 0, 1, 1), 10, False, "T", 1) for t in page) for page in pages))


def test_a_word_is_found_on_its_pages_as_often_as_it_stands_there():
    text = full(["set_font and set_font"], ["nothing"], ["a set_", "set_font."])
    assert text.pages_of("set_font") == (1, 1, 3)
    assert text.pages_of("get_font") == ()


@pytest.mark.parametrize("other", ["XmlWriters", "Xmlwriter", "MyXmlWriter", "Xml-\nWriterFactory"])
def test_a_word_that_is_also_written_otherwise_or_inside_another_has_no_pages(other):
    assert full(["XmlWriter"], ["other words"]).pages_of("XmlWriter") == (1,)
    assert full(["XmlWriter"], other.split("\n")).pages_of("XmlWriter") == ()


def test_a_word_cut_at_the_end_of_a_line_counts():
    assert full(["An Xml-", "Writer here"], ["XmlWriter"]).pages_of("XmlWriter") == (1, 2)
    assert full(["An Xml-", "Writer and Yaml-", "Writer here"], ["YamlWriter"]).pages_of("YamlWriter") == (1, 2)


def test_a_stressed_word_is_common_and_a_part_of_a_file_name_is_none():
    text = full(["It is NOT there. Use PDF, not x.pdf."])
    assert text.is_common("NOT")
    assert not text.is_common("PDF")


def test_gaps_with_two_fillings_are_seen():
    text = full(["It has 127 rooms and a hall.", "It has 128 rooms and a hall."], ["It has 127 rooms and a hall."])
    assert [text.count_gap("It has ", " rooms and a hall.", page) for page in (1, 2)] == [2, 1]


def test_count_knows_pages_outside():
    assert [full(["one"]).count("one", page) for page in (0, 1, 2)] == [0, 1, 0]


@pytest.mark.parametrize(
    ("words", "text", "expected"),
    [
        ("4.2", "as in 4.2.", True),
        ("4.2", "as in 4.2.1", False),
        ("4.2", "as in 14.2", False),
        ("Table 9", "table\n9: Stations", True),
        ("Table 9", "Table 9-2", False),
        ("drawString", "draw-\nString", True),
        ("an office", "an o\N{LATIN SMALL LIGATURE FFI}ce", True),
    ],
)
def test_stands_in(words, text, expected):
    assert stands_in(words, text) is expected


def test_holds_looks_at_all_pages_or_at_those_named():
    text = full(["Table 9"], ["Table 8"])
    assert text.holds("table 8")
    assert not text.holds("table 8", (1,))


@pytest.mark.parametrize("other", ["MapStore's", "MapStore’s", "Map-Store", "Map Store", "map store", "MapStore-like"])
def test_a_word_that_is_also_written_apart_or_with_an_apostrophe_has_no_pages(other):
    assert full(["MapStore"], ["a map and a Store"]).pages_of("MapStore") == (1,)
    assert full(["MapStore"], [f"the {other} here"]).pages_of("MapStore") == ()


@pytest.mark.parametrize("other", ["NaN", "NaN's", "NaN values"])
def test_a_plural_whose_singular_stands_elsewhere_has_no_pages(other):
    assert full(["NaNs"], ["none"]).pages_of("NaNs") == (1,)
    assert full(["NaNs"], [other]).pages_of("NaNs") == ()
    assert full(["TLS"], ["exactly"]).pages_of("TLS") == (1,)  # no plural of "TL"
