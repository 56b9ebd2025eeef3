"""Sentences of running text, and what may be asked for in them."""

import pytest

from mmprolong_hf.synthesis.elements import Line, Paragraph
from mmprolong_hf.synthesis.teacher.sentences import Sentence, find_names, is_told, only_number, sentences

PLAIN = "The station was built by hand and has not been moved since."


def paragraph(*lines):
    return Paragraph(
        1, tuple(Line(t, (0.1, 0.1 * k, 0.9, 0.1 * k + 0.05), 10, False, "T", 1) for k, t in enumerate(lines))
    )


@pytest.mark.parametrize(
    "text",
    [
        "Figure 3: " + PLAIN,  # a float
        "THE STATION was built by hand and has not been moved since.",  # shouted, or one name with a drawn underscore
        "The station of M ̈uller was built by hand and has not been moved.",
        "The station x ≥ y was built by hand and has not been moved since.",
        "the station was built by hand and has not been moved since.",  # begun on the page before
        "The station was built by hand and has not been moved since",
        "The station was built by hand and has not been moved since. • Rooms.",
        "The station was built by hand and has not been moved since: ○ Rooms.",
        "The station was built by hand and has not been moved since. – Rooms.",
        "The station was built by hand and has not been moved since. 2.",
        "The station was built by hand and its address is station@lists. debian.org today.",  # broken at the line's end
        "The station was built by hand: (a) one room and (b) another one.",
        "The station was built by hand and is called ”old by its guests.",  # the mark of another sentence
    ],
)
def test_what_is_no_certain_sentence(text):
    assert sentences(paragraph(PLAIN)) == [PLAIN]
    assert sentences(paragraph(text)) == []


def test_the_box_of_a_sentence_is_around_its_lines_only():
    lines = ("A first sentence stands over it.", "The second one goes over", "two lines of the text.")
    found = Sentence("The second one goes over two lines of the text.", paragraph(*lines), ())
    assert found.evidence.box == (0.1, 0.1, 0.9, 0.25)
    assert found.evidence.page == found.page == 1


def test_find_names():
    assert find_names("Call draw_line (or drawLine), not Draw; XML is read by LibXML2.") == (
        "draw_line",
        "drawLine",
        "XML",
        "LibXML2",
    )


@pytest.mark.parametrize(
    ("name", "sentence", "told"),
    [
        ("drawLine", "A stroke is made with drawLine and one colour.", False),
        ("drawLine", "To draw a stroke use drawLine and one colour.", True),
        ("AWS", "The Alpine Weather Service (AWS) has stations.", True),
        ("XML", "An XML file is not read as XMLish text.", True),
    ],
)
def test_is_told(name, sentence, told):
    assert is_told(name, sentence) is told


@pytest.mark.parametrize(
    "following", ["“Old”, they say.", "”Old, they say.", '"Old", they say.', "(Old ones are not.)"]
)
def test_a_sentence_ends_before_a_quotation(following):
    assert sentences(paragraph(f"{PLAIN} {following}"))[:1] == [PLAIN]


def test_a_sentence_begins_after_a_quotation():
    assert sentences(paragraph(f"They call the station “old and ugly.” {PLAIN}")) == [PLAIN]


def test_a_dash_within_a_sentence_begins_no_item():
    text = "The station – the old one – was built by hand and has not been moved."
    assert sentences(paragraph(text)) == [text]


@pytest.mark.parametrize(
    ("sentence", "number"),
    [
        ("The file is written in source format 3.0 by the program.", None),
        ("The release is numbered 12 by all of its makers.", None),
        ("The mark of the oldest station is “old 127 stones” in full.", None),
        ("The station has been run by Fedora 3.5 since it was built.", None),
        ("Since 9.0 several rooms of the station have been added.", None),
        ("It was given up in the 4.1.4 version of the plan of the station.", None),
        ("The days of week 01 of a year can be those of the previous one.", None),
        ("The station is 3.5 metres high and was built by hand.", "3.5"),
        ("The format of the map is kept by all of the 127 stations.", "127"),
        ("In October 2014 the station was closed.", "2014"),
    ],
)
def test_a_number_that_is_a_name_is_not_asked_for(sentence, number):
    assert only_number(sentence) == number
