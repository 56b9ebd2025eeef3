"""Questions about the pages on which a name stands."""

import pytest

from mmprolong_hf.synthesis.elements import Line, Paragraph, Structure
from mmprolong_hf.synthesis.teacher.fulltext import FullText
from mmprolong_hf.synthesis.teacher.gaps import read_prose
from mmprolong_hf.synthesis.teacher.mentions import ask_about_mentions

MAPS = "All of the maps are kept by the MapStore of the valley."
LAMPS = "All of the lamps are lit by a LampKeeper of the valley."


def asked(*pages, segment=None):
    lines = [tuple(Line(t, (0.1, 0.1, 0.9, 0.2), 10, False, "T", k) for k, t in enumerate(page)) for page in pages]
    paragraphs = tuple(Paragraph(number, (line,)) for number, page in enumerate(lines, 1) for line in page)
    structure = Structure(len(pages), (), (), (), frozenset(), (), (), paragraphs)
    prose = read_prose(structure, FullText(tuple(lines)), "0")
    return {c.question.template: c for c in ask_about_mentions(prose, segment or (1, len(pages)))}


def test_the_only_page_of_a_name():
    candidate = asked(["Nothing."], [MAPS], ["Nothing."])["name-page"]
    assert (candidate.question.answer, candidate.question.evidence_quotes) == ("2", ("MapStore",))
    assert [(a.words, a.pages) for a in candidate.absent] == [("MapStore", (1, 3))]


def test_how_far_two_names_are_apart():
    question = asked([MAPS], ["Nothing."], [LAMPS])["name-distance"].question
    assert (question.answer, question.expression, question.evidence_pages) == ("2", "3 - 1", (1, 3))


def test_all_pages_of_a_name_in_text_that_is_no_prose_too():
    found = asked([MAPS], ["Nothing."], ["x = MapStore()"], ["Nothing."])
    (candidate,) = found.values()
    expected = {"name-pages": "1; 3", "count-name-pages": "2"}
    assert candidate.question.answer == expected[candidate.question.template]
    assert [a.pages for a in candidate.absent] == [(2, 4)]


@pytest.mark.parametrize("other", ["MapStores", "Mapstore", "MapStoreFactory"])
def test_a_name_written_otherwise_elsewhere_is_not_asked(other):
    assert not asked([MAPS], [f"We saw {other} there."])


def test_a_name_that_leaves_the_segment_is_not_asked():
    assert not asked([MAPS], ["MapStore"], segment=(1, 1))
