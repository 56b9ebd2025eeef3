"""Questions about sections and their headings."""

from mmprolong_hf.synthesis.elements import Section, Stray, Structure
from mmprolong_hf.synthesis.teacher.naming import Names
from mmprolong_hf.synthesis.teacher.sections import ask_about_sections


def section(number, title, page, *, level=1, parent=-1):
    return Section(title, number, level, page, page, parent, (0.1, 0.1, 0.5, 0.13), ("T", 16.0), True)


SECTIONS = (
    section("1", "Valleys", 1), section("1.1", "High ones", 2, level=2, parent=0), section("1.2", "Low ones", 4, level=2, parent=0),
    section("2", "Rivers", 6),
)  # fmt: skip


def asked(*strays):
    structure = Structure(8, SECTIONS, strays, (), frozenset(), (), (), ())
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
