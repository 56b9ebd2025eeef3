"""What is known of a document by page, and how its sections are named."""

from mmprolong_hf.synthesis.elements import Caption, Line, Paragraph, Section, Stray, Structure
from mmprolong_hf.synthesis.teacher.naming import Names, quotable

STYLE = ("T", 16.0)


def section(title, page, *, number="", level=1, parent=-1, top=0.1, listed=True):
    return Section(title, number, level, page, page, parent, (0.1, top, 0.5, top + 0.03), STYLE, listed)


def stray(text, page, top):
    return Stray(text, page, (0.1, top, 0.5, top + 0.03), STYLE, True)


def caption(number, text):
    return Caption("Figure", f"Figure {number}", number, text, 1, (0.1, 0.8, 0.5, 0.82))


def paragraph(page, left):
    return Paragraph(page, (Line("words", (left, 0.2, left + 0.3, 0.3), 10, False, "T", 1),))


def names(sections=(), strays=(), captions=(), paragraphs=()):
    return Names(Structure(9, tuple(sections), strays, captions, frozenset(), (), (), paragraphs), "0")


def test_parts_are_found_by_page():
    first, second, other = section("Valleys", 2), section("Rivers", 2, top=0.5), section("Lakes", 4)
    known = names([first, second, other], strays=(stray("Brooks", 4, 0.5),))
    assert known.sections_on(2) == [first, second]
    assert known.sections_on(3) == []
    assert [s.text for s in known.strays_on(4)] == ["Brooks"]


def test_children_are_those_directly_under_a_section():
    sections = [section("Valleys", 1), section("High", 2, level=2, parent=0), section("Steep", 2, level=3, parent=1)]
    known = names(sections)
    assert [known.children(s) for s in sections] == [[sections[1]], [sections[2]], []]


def test_strays_between_start_below_the_heading():
    known = names(
        [section("Valleys", 2)],
        strays=(stray("a", 2, 0.05), stray("b", 2, 0.5), stray("c", 3, 0.05), stray("d", 4, 0.5)),
    )
    assert [s.text for s in known.strays_between(known.structure.sections[0], 3)] == ["b", "c"]


def test_captions_are_counted_by_their_first_words():
    known = names(
        captions=(caption("1", "Map of the high valley"), caption("2", "Map of the low valley"), caption("3", "Plan"))
    )
    assert [known.captions_starting(start) for start in ("Map of", "map of the low", "Plan", "Plans", "valley")] == [
        2,
        1,
        1,
        0,
        0,
    ]
    assert known.is_label("Figure", "2")
    assert not known.is_label("Table", "2")


def test_columns():
    known = names(paragraphs=(paragraph(1, 0.1), paragraph(2, 0.1), paragraph(2, 0.55)))
    assert [known.is_single_column(page) for page in (1, 2, 3)] == [True, False, True]


def test_a_title_that_stands_twice_needs_its_parent():
    sections = [
        section("Valleys", 1), section("Overview", 2, level=2, parent=0),
        section("Rivers", 3), section("Overview", 4, level=2, parent=2),
    ]  # fmt: skip
    known = names(sections)
    assert known.phrase(sections[1], nested=False) is None
    assert quotable(sections[0].title) in known.phrase(sections[1])
    assert names(sections[:2], strays=(stray("Overview", 7, 0.5),)).phrase(sections[1]) is None


def test_numbers_name_sections_only_if_they_are_unique():
    sections = [
        section("Valleys", 1, number="2.1"),
        section("Rivers", 2, number="2.1"),
        section("Lakes", 3, number="2.2"),
    ]
    assert [names(sections).numbered(s) for s in sections] == [None, None, "section 2.2"]
