"""Comparisons of entries, columns and tables."""

import dataclasses

from mmprolong_hf.synthesis.elements import Caption, Structure, Table
from mmprolong_hf.synthesis.teacher.comparisons import ask_about_comparisons
from mmprolong_hf.synthesis.teacher.naming import Names

BOX = (0.1, 0.1, 0.2, 0.2)


def table(number, page, header, *rows, closed=True):
    caption = Caption("Table", f"Table {number}", number, "Lamps", page, BOX)
    boxes = tuple(tuple(BOX for _ in row) for row in rows)
    return Table(caption, page, BOX, header, rows, boxes, tuple(BOX for _ in header), closed)


FIRST = table(
    "1", 1, ("Lamp", "Height (m)", "Width (m)"), ("Old", "12.5", "7"), ("New", "3", "4"), ("Blue", "9", "2.25")
)
SECOND = table("2", 3, ("Lamp", "Height (m)", "Colour"), ("Old", "11", "red"), ("Green", "5", "grey"))


def asked(*tables):
    structure = Structure(3, (), (), tuple(t.caption for t in tables if t.caption), frozenset(), (), tables, ())
    return [c.question for c in ask_about_comparisons(Names(structure, "0"), (1, 3))]


def of(questions, kind):
    return [q for q in questions if q.template == kind]


def test_the_larger_of_two_entries():
    found = of(asked(FIRST), "table-larger-entry")
    assert found
    for question in found:
        first, second = question.expression.removeprefix("max(").removesuffix(")").split(", ")
        assert question.answer == max(first, second, key=float)
        assert question.anchor == "Table 1"


def test_columns_of_one_unit_are_compared_row_by_row():
    (question,) = of(asked(FIRST), "table-compare-columns")
    assert (question.answer, question.answer_format) == ("2", "Integer")
    other = dataclasses.replace(FIRST, header=("Lamp", "Height (m)", "Weight (kg)"))
    assert not of(asked(other), "table-compare-columns")
    assert not of(asked(dataclasses.replace(FIRST, closed=False)), "table-compare-columns")


def test_one_row_in_two_tables():
    questions = asked(FIRST, SECOND)
    (same,) = of(questions, "tables-same-row")
    assert '"Old"' in same.question
    assert same.evidence_pages == (1, 3)
    assert set(same.answer.split("; ")) <= {"12.5", "7", "11", "red"}
    (difference,) = of(questions, "tables-difference")
    assert (difference.answer, difference.expression, difference.answer_format) == ("1.5", "12.5 - 11", "Float")


def test_tables_without_a_common_row_or_column_are_not_compared():
    other = table("2", 3, ("Lamp", "Depth (m)"), ("Red", "11"), ("Green", "5"))
    assert not of(asked(FIRST, other), "tables-same-row")
    assert not of(asked(FIRST, other), "tables-difference")


def test_a_table_without_words_over_its_columns_is_not_asked():
    bare = table("1", 1, ("10", "11"), ("20", "21"), ("30", "31"))
    years = table("1", 1, ("Lamp", "2019", "2020"), ("Old", "21", "22"), ("New", "31", "30"), ("Blue", "4", "5"))
    assert not asked(bare)
    assert [q.answer for q in of(asked(years), "table-compare-columns")] == ["1"]
