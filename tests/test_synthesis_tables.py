"""Tables: exact cells, or none."""

import pymupdf
import pytest
from synthetic_pdf import rows, table

from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.structure import build_structure
from mmprolong_hf.synthesis.tables import is_number


def tables_of(path, *drawn, text=""):
    document = pymupdf.open()
    page = document.new_page()
    for options in drawn:
        table(page, **options)
    if text:
        page.insert_text((90, 600), text)
    document.save(path, no_new_id=True)  # the same file for every run: its hash seeds the questions
    return build_structure(read_pdf(path, min_characters=1)).tables


@pytest.mark.parametrize("ruled", [True, False])
@pytest.mark.parametrize("seed", [1, 2, 3, 9])
def test_cells_are_exact(tmp_path, ruled, seed):
    cells = rows(seed)
    (found,) = tables_of(
        tmp_path / "a.pdf", {"top": 200, "caption": "Table 1: Peaks.", "cells": cells, "ruled": ruled}
    )
    assert [list(found.header), *map(list, found.rows)] == cells
    assert found.caption.label == "Table 1"
    assert found.closed
    for row, boxes in zip(found.rows, found.boxes):
        for cell, box in zip(row, boxes):
            assert min(box[2] - box[0], box[3] - box[1]) > 0, cell
    tops = [boxes[0][1] for boxes in found.boxes]
    assert tops == sorted(tops)
    assert 200 / 842 < tops[0] < tops[-1] < 320 / 842


def test_two_tables_on_a_page_keep_apart(tmp_path):
    found = tables_of(
        tmp_path / "a.pdf",
        {"top": 150, "caption": "Table 1: One.", "cells": rows(1)},
        {"top": 450, "caption": "Table 2: Two.", "cells": rows(2)},
    )
    assert [(t.caption.number, t.rows[0][1]) for t in found] == [("1", "107.5"), ("2", "207.5")]


def test_a_wrapped_cell_goes_on_with_its_row(tmp_path):
    cells = [
        ["Name", "Meaning"],
        ["alpha", "the first of"],
        ["", "all letters"],
        ["beta", "the second"],
        ["gamma", "third"],
    ]
    document = pymupdf.open()
    page = document.new_page()
    table(page, 200, "Table 1: Letters.", cells)
    document.save(tmp_path / "a.pdf")
    (found,) = build_structure(read_pdf(tmp_path / "a.pdf", min_characters=1)).tables
    assert found.rows == (("alpha", "the first of all letters"), ("beta", "the second"), ("gamma", "third"))


@pytest.mark.parametrize(
    "cells",
    [
        [["Name", "Size"], ["a", "1"], ["a", "2"]],  # a key twice
        [["Size", "Size 2", "Size 2"], ["a", "1", "2"], ["b", "3", "4"]],  # a header twice
        [["Name", "Size", "Age"], ["a", "1", ""], ["b", "", "4"]],  # cells missing
    ],
)
def test_what_is_uncertain_is_no_table(tmp_path, cells):
    assert not tables_of(tmp_path / "a.pdf", {"top": 200, "caption": "Table 1: Peaks.", "cells": cells})


def test_a_table_at_the_bottom_of_its_page_may_go_on(tmp_path):
    (found,) = tables_of(tmp_path / "a.pdf", {"top": 690, "caption": "Table 1: Peaks.", "cells": rows(1)})
    assert not found.closed


@pytest.mark.parametrize(
    ("text", "expected"), [("12", True), ("1,204.5", True), ("-3 %", True), ("v1.2.3", False), ("", False)]
)
def test_is_number(text, expected):
    assert is_number(text) is expected
