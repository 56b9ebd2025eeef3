"""Where drawn lines make a table, and what is in its cells."""

from mmprolong_hf.synthesis.ruling import read_cells, ruled_cells


def rules(*ys, left=0, right=100):
    return [(left, y, right, y + 1) for y in ys]


def columns(*xs, top=0, bottom=41):
    return [(x, top, x + 1, bottom) for x in xs]


def shape(tables):
    return [[[cell is not None for cell in row] for row in rows] for rows in tables]


def test_lines_drawn_cell_by_cell_are_one():
    pieces = [(x, y, x + 50, y + 1) for y in (0, 20, 40) for x in (0, 50)]
    (rows,) = ruled_cells(pieces, columns(0, 50, 99))
    assert rows[0] == [(0, 0.5, 50.5, 20.5), (50.5, 0.5, 100, 20.5)]
    assert len(rows) == 2
    assert ruled_cells(pieces, [part for c in (0, 50, 99) for part in columns(c, bottom=19) + columns(c, top=21)]) == [
        rows
    ]


def test_two_tables_of_one_width_are_two():
    below = columns(50, top=200, bottom=241)
    tables = ruled_cells(rules(0, 20, 40, 200, 220, 240), columns(50) + below)
    assert [rows[0][0][1] for rows in tables] == [0.5, 200.5]


def test_frames_staves_and_axes_are_no_tables():
    assert ruled_cells(rules(0, 40), columns(0, 50, 99)) == []
    assert ruled_cells(rules(0, 20, 40), columns(0, 99)) == []
    assert ruled_cells(rules(0, 5, 10, 15, 20), columns(0, 50, 99, bottom=21)) == []
    assert ruled_cells(rules(0) + rules(20, right=60) + rules(40, right=30), columns(50)) == []


def test_a_double_rule_is_one():
    assert shape(ruled_cells(rules(0, 20, 22, 42), columns(50, bottom=43))) == [[[True, True], [True, True]]]


def test_a_cell_over_two_columns_leaves_a_gap():
    assert shape(ruled_cells(rules(0, 20, 40, 60), columns(0, bottom=61) + columns(50, top=20, bottom=61))) == [
        [[True, False], [True, True], [True, True]]
    ]


def test_a_cell_over_two_rows_makes_the_table_uncertain():
    outer, inner = rules(0, 20, 60), columns(50, bottom=61)
    assert len(ruled_cells(outer, inner)) == 1
    assert ruled_cells(outer + rules(40, left=50), inner) == []


def test_cells_hold_the_words_whose_middle_is_inside():
    (rows,) = ruled_cells(rules(0, 20, 40), columns(50))
    words = [
        (2, 4, 30, 14, "over"),
        (45, 4, 57, 14, "right"),
        (2, 24, 20, 30, "com-"),
        (2, 31, 20, 37, "bined"),
        (0, 90, 9, 99, "x"),
    ]
    assert read_cells(rows, words) == [["over", "right"], ["combined", ""]]
