"""Near misses: what the document does not tell."""

import pytest

from mmprolong_hf.synthesis.elements import Caption, Line, Paragraph, Section, Structure, Table
from mmprolong_hf.synthesis.questions import ABSENT, known_kinds
from mmprolong_hf.synthesis.schema import NOT_ANSWERABLE
from mmprolong_hf.synthesis.teacher.absences import ask_about_absences
from mmprolong_hf.synthesis.teacher.fulltext import FullText
from mmprolong_hf.synthesis.teacher.gaps import read_prose
from mmprolong_hf.synthesis.teacher.naming import Names

BOX = (0.1, 0.1, 0.2, 0.2)
NUMBER = "The oldest of the 127 stations was built by hand long ago."
OTHER = "Nothing in this sentence may be asked for by any reader."
SECTIONS = tuple(
    Section(title, number, 2, 1, 2, -1, (0.1, top, 0.5, top + 0.03), ("T", 16), True)
    for title, number, top in (("Valleys", "3.1", 0.2), ("Rivers", "3.2", 0.5))
)
CAPTIONS = tuple(Caption("Figure", f"Figure {n}", n, "A map", 1, BOX) for n in ("1", "2"))


def tables():
    for number, page, key in (("1", 1, "Old lamp"), ("2", 2, "New lamp")):
        caption = Caption("Table", f"Table {number}", number, "Lamps", page, BOX)
        yield Table(caption, page, BOX, ("Lamp", "Height"), ((key, "12"),), ((BOX, BOX),), (BOX, BOX), True)


def asked(*pages, **parts):
    lines = [tuple(Line(t, (0.1, 0.1, 0.9, 0.2), 10, False, "T", k) for k, t in enumerate(page)) for page in pages]
    paragraphs = tuple(Paragraph(number, (line,)) for number, page in enumerate(lines, 1) for line in page)
    empty = {"sections": (), "strays": (), "captions": (), "countable": frozenset(), "figures": (), "tables": ()}
    structure = Structure(**{**empty, **parts}, num_pages=len(pages), paragraphs=paragraphs)
    prose = read_prose(structure, FullText(tuple(lines)), "0")
    return list(ask_about_absences(Names(structure, "0"), prose, (1, len(pages))))


def words(candidates):
    return {a.words for c in candidates for a in c.absent}


def test_every_near_miss_is_not_answerable_and_names_what_must_be_absent():
    found = asked(
        ["Table 1"],
        [NUMBER],
        [OTHER],
        sections=SECTIONS,
        captions=CAPTIONS,
        countable={"Figure"},
        tables=tuple(tables()),
    )
    assert {c.question.template for c in found} == {
        "title-of-number-absent", "caption-of-label-absent", "table-cell-absent",
    }  # fmt: skip
    for candidate in found:
        question = candidate.question
        assert (question.answer, question.answer_format) == (NOT_ANSWERABLE, "String")
        assert candidate.absent
        assert question.evidence_pages


@pytest.mark.parametrize(
    ("text", "left"), [("nothing", {"3.3"}), ("see 3.3 below", set()), ("see 3.3.1 below", {"3.3"})]
)
def test_the_next_number_is_asked_for_only_where_it_stands_nowhere(text, left):
    assert words(asked([text], ["nothing"], sections=SECTIONS)) == left


@pytest.mark.parametrize(("text", "left"), [("nothing", {"Figure 3"}), ("in Figure\n3", set())])
def test_the_next_label_is_asked_for_only_where_it_stands_nowhere(text, left):
    assert words(asked(text.split("\n"), captions=CAPTIONS, countable=frozenset({"Figure"}))) == left


def test_labels_of_which_one_may_be_missed_are_left_alone():
    assert not asked(["nothing"], captions=CAPTIONS)


def test_the_row_of_another_table():
    found = asked(["nothing"], ["nothing"], tables=tuple(tables()))
    assert {(c.question.evidence_pages, a.words, a.pages) for c in found for a in c.absent} <= {
        ((1,), "New lamp", (1,)),
        ((2,), "Old lamp", (2,)),
    }
    assert not asked(["a New lamp"], ["an Old lamp"], tables=tuple(tables()))


def test_a_sentence_is_not_asked_for_on_another_page():
    """It stands somewhere: a reader finds it there and answers."""
    assert not asked([NUMBER], [OTHER])
    assert not [kind for kind in known_kinds() if kind.startswith("sentence") and kind.endswith(ABSENT)]
