"""Which place a question names."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic_pdf import report

from mmprolong_hf.synthesis.elements import Stray
from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.structure import build_structure
from mmprolong_hf.synthesis.teacher.extractive import ask
from mmprolong_hf.synthesis.verification import DocumentText, check, read_second
from mmprolong_hf.synthesis.verification.anchors import ambiguous, find_anchors, load_phrases

DOCUMENTS = Path(__file__).resolve().parents[2] / "shared" / "documents"


def read(path):
    source = read_pdf(path, dpi=36)
    return DocumentText(source.pages, read_second(path), build_structure(source))


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """Twelve pages; "Rain" is the title of two chapters, on pages 1 and 7."""
    path = report(tmp_path_factory.mktemp("anchors") / "a.pdf", titles=["Rain", "Snow", "Rain", "Wind"])
    return read(path)


@pytest.mark.parametrize(
    ("question", "places"),
    [
        ("What stands on page 7?", [((7, 7),)]),
        ("Compare pages 3, 5 and 9.", [((3, 3),), ((5, 5),), ((9, 9),)]),
        ("How many figures are there on pages 3 to 9?", [((3, 9),)]),
        ("How many figures are there on pages 3–9?", [((3, 9),)]),
        ("What stands on page 13?", [()]),
        ("第 7 页的标题是什么?", [((7, 7),)]),
        ("What does Table 3 show?", [((8, 8),)]),
        ("Compare Figures 1 and 2.", [((3, 3),), ((6, 6),)]),
        ("What does Fig. 4 show?", [((12, 12),)]),
        ("What does Table 5 show?", [()]),
        ("What is the title of section 2.1?", [((5, 6),)]),
        ("What are sections 1.1 and 2.2 called?", [((2, 3),), ((6, 7),)]),
        ("What does Sec. 2.1 say?", [((5, 6),)]),
        ("第 2 章讲什么?", [((4, 7),)]),
        ("How does Chapter 2 begin?", [((4, 7),)]),
        ("What is section 9.9 about?", [()]),
        ('Where does the section "Snow" start?', [((4, 7),)]),
        ("Where does the section “Snow” start?", [((4, 7),)]),
        ("Where does the section 'Snow' start?", [((4, 7),)]),
        ("In the visitors' section 'Snow', what falls?", [((4, 7),)]),
        ('Where does the section "Rain" start?', [((1, 4), (7, 10))]),
        ('Where does the section titled "Hail" start?', [()]),
        ('How long is the section "Detail one of Rain" within "Rain"?', [((2, 3), (8, 9))]),
        ('How long is the section "Detail one of Snow" within "Snow"?', [((5, 6),)]),
        ("What falls according to the Snow section?", [((4, 7),)]),
        ("According to the Weather section, what falls?", []),
        ('Which figure has a caption that begins with "Sketch of Snow"?', [((6, 6),)]),
        ('One caption begins with "Sketch of Snow", another with "Sketch of Wind".', [((6, 6),), ((12, 12),)]),
        ('On which page is the term "Snow"?', [((4, 4), (5, 5), (6, 6))]),
        ('In Table 3, what is in the row "Rain"?', [((8, 8),)]),
        ("Counting the first page as page 1, where is Table 3?", [((8, 8),)]),
        ("How many stations are there?", []),
    ],
)
def test_places(text, question, places):
    assert [anchor.places for anchor in find_anchors(question, text)] == places


def test_one_name_singles_out_one_of_the_places_of_another(text):
    question = 'What does the section "Rain" on page 7 say?'
    assert not ambiguous(find_anchors(question, text), (7,))
    assert ambiguous(find_anchors(question.replace("page 7", "page 4"), text), (7,))


def test_the_table_on_a_page_must_be_the_only_one(text):
    assert not ambiguous(find_anchors("What does the table on page 8 show?", text), (8,))
    crowded = replace(
        text.structure, captions=(*text.structure.captions, replace(text.structure.captions[4], number="9"))
    )
    twice = replace(text, structure=crowded)
    assert ambiguous(find_anchors("What does the table on page 8 show?", twice), (8,))


def test_a_stray_heading_of_the_same_title_is_another_place(text):
    stray = Stray("Snow", 11, (0.1, 0.1, 0.2, 0.2), ("hebo", 16.0), True)
    strayed = replace(text, structure=replace(text.structure, strays=(stray,)))
    question = 'Where does the section "Snow" start?'
    assert not ambiguous(find_anchors(question, text), (4,))
    assert ambiguous(find_anchors(question, strayed), (4,))


def test_what_the_structure_missed_is_looked_for_in_the_lines(text):
    bare = replace(text, structure=replace(text.structure, sections=(), captions=()))
    assert [a.places for a in find_anchors("What does Table 3 show?", bare)] == [((8, 8),)]
    assert [a.places for a in find_anchors("What is section 2.1 about?", bare)] == [((5, 5),)]
    assert [a.places for a in find_anchors('Where is the section "Rain"?', bare)] == [((1, 1), (7, 7))]


@pytest.mark.parametrize(
    "hostile",
    [
        "page 1" + ",   " * 200 + "x",
        "Table 1" + ", " * 300,
        "the " + "A of " * 200,
        "section " * 120,
        '"a" ' * 200 + "caption",
    ],
)
def test_hostile_questions_take_no_time(text, hostile):
    started = time.perf_counter()
    find_anchors(hostile, text)
    assert time.perf_counter() - started < 1


def test_the_phrases_can_be_read():
    phrases = load_phrases()
    assert set(phrases) == {"conventions", "vague", "scopes"}
    assert all(set(rule) <= {"found", "unless"} for rule in phrases["vague"])


@pytest.mark.skipif(not DOCUMENTS.is_dir(), reason="shared/documents is not here")
@pytest.mark.parametrize("name", ["zoo.pdf", "fhs-3.0.pdf"])  # "Purpose" is a title there 59 times
def test_questions_of_the_extractive_teacher_name_one_place(name):
    text = read(DOCUMENTS / name)
    asked = ask(text.structure, seed="0")
    found = [v for c in asked if (v := check(c, text)["anchor_unique"]).value != "pass"]
    assert len(asked) > 100
    assert found == []
