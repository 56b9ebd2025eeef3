"""How far sections reach."""

import pytest

from mmprolong_hf.synthesis.elements import Caption, Line, Section, Stray, Structure
from mmprolong_hf.synthesis.teacher.extents import ask_about_extents, follows
from mmprolong_hf.synthesis.teacher.fulltext import FullText
from mmprolong_hf.synthesis.teacher.naming import Names

STYLE = ("T", 16.0)


def section(number, title, page, *, top=0.1, level=1):
    return Section(title, number, level, page, page, -1, (0.1, top, 0.5, top + 0.03), STYLE, True)


def caption(number, page, top=0.5):
    return Caption("Figure", f"Figure {number}", number, "A map", page, (0.1, top, 0.5, top + 0.02))


THREE = (section("1", "Valleys", 1), section("2", "Rivers", 3), section("3", "Lakes", 6))


def asked(sections=THREE, *, captions=(), strays=(), pages=7, over=(), lines=6, countable=("Figure",)):
    """Pages of six lines each; `over` are pages where text stands over the heading."""
    heights = [0.2 + 0.1 * k for k in range(lines)]
    text = tuple(
        tuple(Line("words", (0.1, y, 0.9, y + 0.02), 10, False, "T", 1) for y in [0.05] * (page in over) + heights)
        for page in range(1, pages + 1)
    )
    text = tuple((*page, *page[-1:] * (number in over)) for number, page in enumerate(text, 1))
    structure = Structure(pages, tuple(sections), strays, captions, frozenset(countable), (), (), ())
    found = ask_about_extents(Names(structure, "0"), FullText(text), (1, pages))
    return [c.question for c in found]


def of(questions, kind):
    return [q for q in questions if q.template == kind]


def test_sections_that_fill_their_pages_have_a_length():
    found = of(asked(), "section-length")
    assert {(q.evidence_pages, q.answer, q.expression) for q in found} == {
        ((1, 3), "2", "3 - 1"),
        ((3, 6), "3", "6 - 3"),
    }


def test_a_section_that_shares_a_page_has_none():
    moved = (THREE[0], section("2", "Rivers", 3, top=0.5), THREE[2])
    assert not of(asked(moved), "section-length")


def test_no_length_over_blank_pages_or_other_headings():
    stray = Stray("Brooks", 4, (0.1, 0.5, 0.5, 0.53), STYLE, True)
    assert not of(asked(lines=2), "section-length")
    assert [q.answer for q in of(asked(strays=(stray,)), "section-length")] == ["2"]


def test_numbered_headings_are_counted_where_their_numbers_run_on():
    sections = (section("1", "Valleys", 1), section("1.1", "High", 2, level=2), section("1.2", "Low", 3, level=2))
    counts = {q.evidence_pages: q.answer for q in of(asked(sections), "count-headings")}
    assert counts
    assert all(int(answer) == len(pages) for pages, answer in counts.items())
    gap = (sections[0], section("1.2", "Low", 3, level=2))
    assert not of(asked(gap), "count-headings")
    numbered = Stray("1.3 Flat", 2, (0.1, 0.5, 0.5, 0.53), ("T", 10.0), False)
    assert not of(asked(sections[:2], strays=(numbered,)), "count-headings")


@pytest.mark.parametrize(
    ("number", "other", "expected"),
    [("1", "2", True), ("9", "10", True), ("1.9", "1.10", True), ("1", "1.1", True), ("1", "1.1.1", False), ("2.1", "3.1", False), ("A", "B", False)],
)  # fmt: skip
def test_follows(number, other, expected):
    assert follows(number, other) is expected


def test_captions_of_a_section():
    questions = asked(captions=(caption("1", 3), caption("2", 4), caption("3", 7)))
    (labels,) = of(questions, "section-labels")
    assert (labels.answer, labels.evidence_pages) == ("Figure 1; Figure 2", (3, 4))
    assert [q.answer for q in of(questions, "count-section-labels")] == ["2"]


@pytest.mark.parametrize("border", [caption("2", 6, top=0.5), caption("2", 6, top=0.05), caption("2", 3, top=0.05)])
def test_a_float_on_the_border_of_a_section_leaves_it_uncounted(border):
    questions = asked(captions=(caption("1", 4), border, caption("3", 5)))
    assert "Rivers" not in " ".join(q.question for q in of(questions, "section-labels"))


def test_kinds_of_which_one_may_be_missed_are_not_counted():
    assert not of(asked(captions=(caption("1", 3), caption("2", 4)), countable=()), "section-labels")
