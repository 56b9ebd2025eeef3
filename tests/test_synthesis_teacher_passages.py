"""Questions about two passages, and about the heading over a sentence."""

import pytest

from mmprolong_hf.synthesis.elements import Line, Paragraph, Section, Stray, Structure
from mmprolong_hf.synthesis.sections import WHOLE_PAGE
from mmprolong_hf.synthesis.teacher.fulltext import FullText
from mmprolong_hf.synthesis.teacher.gaps import read_prose
from mmprolong_hf.synthesis.teacher.naming import Names
from mmprolong_hf.synthesis.teacher.passages import ask_about_passages

BUILT = "The oldest station of the valley was built in 1987 by hand."
OPENED = "The newest station of the valley was opened in 2003 by train."
SAVED = "All of the maps are kept by the MapStore of the valley."
LOADED = "On every start the lamps are read from the MapStore again."


def asked(*pages, heading=None, strays=()):
    lines = [tuple(Line(t, (0.1, 0.3, 0.9, 0.4), 10, False, "T", k) for k, t in enumerate(page)) for page in pages]
    paragraphs = tuple(Paragraph(number, (line,)) for number, page in enumerate(lines, 1) for line in page)
    sections = () if heading is None else (heading,)
    structure = Structure(len(pages), sections, strays, (), frozenset(), (), (), paragraphs)
    prose = read_prose(structure, FullText(tuple(lines)), "0")
    found = [c.question for c in ask_about_passages(Names(structure, "0"), prose, (1, len(pages)))]
    return {q.template: q for q in found}


def test_two_gaps_on_two_pages():
    question = asked([BUILT], [OPENED])["sentence-gaps"]
    assert question.answer == "1987; 2003"
    assert question.evidence_pages == (1, 2)
    assert question.evidence_sources == ("Text",)


def test_numbers_are_compared():
    questions = asked([BUILT], [OPENED])
    assert (questions["larger-number"].answer, questions["larger-number"].expression) == ("2003", "max(1987, 2003)")
    difference = questions["number-difference"]
    assert (difference.answer, difference.expression) == ("16", "2003 - 1987")


@pytest.mark.parametrize(
    "other",
    [
        "The newest station of the valley has 24 rooms for guests.",
        "The newest station of the valley is opened by 2003 visitors on a day.",  # a number that could be a year
        "The newest station of the valley is kept at 24, which is cold.",
    ],
)
def test_numbers_of_two_kinds_are_not_compared(other):
    assert not {"larger-number", "number-difference"} & set(asked([BUILT], [other]))


def test_numbers_are_compared_over_those_of_other_kinds():
    rooms = [
        "The valley has one station with 24 rooms for its guests.",
        "The hill has one station with 36 rooms for its guests.",
    ]
    questions = asked([rooms[0]], [BUILT], [rooms[1]])
    assert (questions["larger-number"].answer, questions["number-difference"].answer) == ("36", "12")


def test_what_is_no_statement_is_not_quoted():
    listed = "Donald Byrd, author of the MapStore and of other programs."
    assert "name-sentences" in asked([SAVED], [LOADED])
    assert "name-sentences" not in asked([SAVED], [listed])


def test_one_page_is_not_enough():
    assert not asked([BUILT, OPENED])


def test_sentences_with_one_name():
    question = asked([SAVED], ["Nothing."], [LOADED])["name-sentences"]
    assert question.answer == f"{SAVED}; {LOADED}"
    assert question.evidence_pages == (1, 3)
    assert "name-sentences" not in asked([SAVED, "MapStore"], ["Nothing."], [LOADED])  # twice on its page


def section(listed=True):
    return Section("Stations", "2", 1, 1, 2, -1, (0.1, 0.1, 0.5, 0.15), ("T", 16), listed)


def test_the_heading_over_a_sentence():
    question = asked(["Nothing."], [SAVED], heading=section())["section-of-sentence"]
    assert (question.answer, question.evidence_pages) == ("Stations", (1, 2))
    assert question.evidence_sources == ("Layout", "Text")


def test_no_heading_where_another_may_stand_between():
    small = Stray("Rooms", 2, (0.1, 0.2, 0.5, 0.25), ("T", 11), False)
    lost = Stray("Rooms", 1, WHOLE_PAGE, ("", 99.0), True)
    below = Stray("Rooms", 2, (0.1, 0.8, 0.5, 0.85), ("T", 11), False)
    assert "section-of-sentence" not in asked(["Nothing."], [SAVED], heading=section(), strays=(small,))
    assert "section-of-sentence" not in asked(["Nothing."], [SAVED], heading=section(), strays=(lost,))
    assert "section-of-sentence" in asked(["Nothing."], [SAVED], heading=section(), strays=(below,))
    assert "section-of-sentence" not in asked(["Nothing."], [SAVED], heading=section(listed=False))
