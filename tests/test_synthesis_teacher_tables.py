"""Questions about one table."""

import dataclasses

import pytest

from mmprolong_hf.synthesis.elements import Caption, Structure, Table
from mmprolong_hf.synthesis.teacher.naming import Names
from mmprolong_hf.synthesis.teacher.tables import ask_about_tables, column_values

BOX = (0.1, 0.1, 0.2, 0.2)
ROWS = (("Old", "12.5", "-3"), ("New", "3", "4"), ("Blue", "9", "2"))
CAPTION = Caption("Table", "Table 1", "1", "Lamps", 1, BOX)
TABLE = Table(CAPTION, 1, BOX, ("Lamp", "Height", "Depth"), ROWS, tuple((BOX,) * 3 for _ in ROWS), (BOX,) * 3, True)


def asked(table):
    captions = (table.caption,) if table.caption else ()
    structure = Structure(1, (), (), captions, frozenset(), (), (table,), ())
    return [c.question for c in ask_about_tables(Names(structure, "0"), (1, 1))]


def test_sums_and_differences_tell_their_arithmetic():
    found = {(q.template, q.expression): q.answer for q in asked(TABLE) if q.expression}
    assert found["table-sum", "12.5 + 3 + 9"] == "24.5"
    assert found["table-sum", "-3 + 4 + 2"] == "3"
    differences = {key[1]: answer for key, answer in found.items() if key[0] == "table-difference"}
    assert differences
    assert all(answer != "0" and not answer.startswith("-") for answer in differences.values())


def test_a_whole_column_is_asked_only_of_a_table_that_ends_where_it_seems_to():
    whole = {"table-sum", "table-rows", "table-maximum"}
    assert whole <= {q.template for q in asked(TABLE)}
    kinds = {q.template for q in asked(dataclasses.replace(TABLE, closed=False))}
    assert "table-cell" in kinds
    assert not whole & kinds


def test_a_table_without_a_caption_is_not_asked_for():
    """There may be another on its page that could not be read."""
    assert asked(TABLE)
    assert not asked(dataclasses.replace(TABLE, caption=None))


@pytest.mark.parametrize("name", ["10", "4.5"])
def test_a_number_is_no_name_of_a_column(name):
    assert not asked(dataclasses.replace(TABLE, header=("Lamp", "Height", name)))
    assert asked(dataclasses.replace(TABLE, header=("Lamp", "Height", "2019")))


def test_column_values_are_exact_or_none():
    assert sum(column_values(["0.1", "0.2"])) * 10 == 3
    assert column_values(["0.1", "n/a"]) is None
