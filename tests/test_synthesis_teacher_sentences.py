"""Sentences of running text, and what may be asked for in them."""

import pytest

from mmprolong_hf.synthesis.elements import Line, Paragraph
from mmprolong_hf.synthesis.teacher.sentences import Sentence, find_names, is_told, sentences

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
