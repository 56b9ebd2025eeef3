"""Where drawn lines make a table."""

from mmprolong_hf.synthesis.ruling import ruled_areas


def rules(*ys, left=0, right=100):
    return [(left, y, right, y + 1) for y in ys]


def columns(*xs, top=0, bottom=41):
    return [(x, top, x + 1, bottom) for x in xs]


def test_lines_drawn_cell_by_cell_are_one():
    pieces = [(x, y, x + 50, y + 1) for y in (0, 20, 40) for x in (0, 50)]
    assert ruled_areas(pieces, columns(0, 50, 99)) == [(-3.0, -3.0, 103.0, 44.0)]


def test_two_tables_of_one_width_are_two():
    below = columns(50, top=200, bottom=241)
    areas = ruled_areas(rules(0, 20, 40, 200, 220, 240), columns(50) + below)
    assert [round(a[1]) for a in areas] == [-3, 197]


def test_frames_staves_and_axes_are_no_tables():
    assert ruled_areas(rules(0, 40), columns(0, 50, 99)) == []
    assert ruled_areas(rules(0, 5, 10, 15, 20), columns(0, 50, 99, bottom=21)) == []
    assert ruled_areas(rules(0) + rules(20, right=60) + rules(40, right=30), columns(50)) == []
