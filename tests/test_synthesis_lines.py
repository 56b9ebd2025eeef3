"""Spans to lines."""

from mmprolong_hf.synthesis.lines import read_lines


def span(text, x0, x1, *, y=10, font="Sans", flags=0, size=10.0):
    return {"text": text, "bbox": (x0, y, x1, y + 10), "size": size, "font": font, "flags": flags}


def texts(*lines):
    block = {"number": 0, "lines": [{"spans": list(spans)} for spans in lines]}
    return [line.text for line in read_lines([block], lambda box: box)]


def test_pieces_at_one_height_are_joined_and_columns_are_not():
    assert texts([span("3.2", 0, 15)], [span("Title", 30, 60)]) == ["3.2 Title"]
    assert texts([span("left", 0, 15)], [span("right", 200, 230)]) == ["left", "right"]
    assert texts([span("above", 0, 15)], [span("below", 0, 15, y=22)]) == ["above", "below"]


def test_fonts_change_inside_a_word():
    assert texts([span("lme", 0, 15), span("4", 15, 20, font="Mono")]) == ["lme4"]


def test_a_superscript_is_no_digit_of_its_base():
    assert texts([span("10", 0, 10), span("10", 10, 15, flags=1)]) == ["10^10"]


def test_empty_spans_are_left_out():
    assert texts([span(" ", 0, 15)]) == []
