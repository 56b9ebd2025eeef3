"""Questions about sections and their headings."""

import re

import pytest

from mmprolong_hf.synthesis.elements import Line, Paragraph, Section, Stray, Structure
from mmprolong_hf.synthesis.questions import load_templates
from mmprolong_hf.synthesis.teacher.naming import Names
from mmprolong_hf.synthesis.teacher.sections import ask_about_sections
from mmprolong_hf.synthesis.verification.anchors import QUOTED, own_words


def section(number, title, page, *, level=1, parent=-1, style=("T", 16.0)):
    return Section(title, number, level, page, page, parent, (0.1, 0.1, 0.5, 0.13), style, True)


SECTIONS = (
    section("1", "Valleys", 1), section("1.1", "High ones", 2, level=2, parent=0), section("1.2", "Low ones", 4, level=2, parent=0),
    section("2", "Rivers", 6),
)  # fmt: skip


TEXT = Paragraph(8, (Line("Much text.", (0.1, 0.5, 0.9, 0.6), 10, False, "T", 1),))


def asked(*strays, sections=SECTIONS):
    structure = Structure(8, sections, strays, (), frozenset(), (), (), (TEXT,))
    return [c.question for c in ask_about_sections(Names(structure, "0"), (1, 8))]


def test_distances_tell_their_arithmetic():
    found = [q for q in asked() if q.template == "section-distance"]
    assert found
    for question in found:
        last, first = map(int, question.expression.split(" - "))
        assert (first, last) == question.evidence_pages
        assert int(question.answer) == last - first


def test_one_place_is_named_by_the_anchor():
    anchors = {q.template: q.anchor for q in asked()}
    assert anchors["section-title-on-page"].startswith("page ")
    assert anchors["title-of-number"].startswith("section ")
    assert anchors["titles-on-pages"] == ""


def test_a_serious_stray_stops_only_its_page():
    stray = Stray("Brooks", 4, (0.1, 0.5, 0.5, 0.53), ("T", 16.0), True)
    pages = {q.evidence_pages[0] for q in asked(stray) if q.template == "section-title-on-page"}
    assert pages == {1, 2, 6}


@pytest.mark.parametrize(("style", "known"), [(("T", 10.5), False), (("T", 12.0), True), (("T-Bold", 10.0), True)])
def test_a_heading_in_the_type_of_the_text_is_no_section(style, known):
    found = asked(sections=(*SECTIONS[:3], section("2", "RIVERS", 6, style=style)))
    assert bool([q for q in found if "RIVERS" in q.question + q.answer or 6 in q.evidence_pages]) is known
    assert [q for q in found if q.template == "next-section" and q.answer == "Low ones"]


def test_every_question_that_gives_or_asks_for_a_page_says_how_pages_are_counted():
    kinds = load_templates()["kinds"]
    slots = dict.fromkeys(("page", "other", "first", "last"), 7)
    slots |= dict.fromkeys(
        ("section", "third", "label", "kind", "name", "number", "sentence", "other_sentence", "start"), "x"
    )
    for kind, template in kinds.items():
        for wording in template["wordings"]:
            if re.search(r"\{(?:page|first)\}|[Ww]hich page|[Ww]here does|pages? where", wording):
                filled = wording.format(**slots)
                own = own_words(filled)
                assert own != QUOTED.sub('""', filled), f"{kind}: {wording}"
                assert not re.search(r"\b1\b|first page", own), f"{kind}: {own}"
