"""Captions and figures."""

import pytest

from mmprolong_hf.synthesis.captions import countable_kinds, find_captions, find_figures
from mmprolong_hf.synthesis.elements import Line, Page


def page(number, *texts, figures=()):
    lines = tuple(Line(t, (0.1, 0.1 * k, 0.6, 0.1 * k + 0.02), 10, False, "Text", k) for k, t in enumerate(texts, 1))
    return Page(number, 100, 100, (100.0, 100.0), b"", lines, figures=figures)


def labels(*pages):
    return [(c.label, c.text) for c in find_captions(pages, set())]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Figure 3: Rain by month", [("Figure 3", "Rain by month")]),
        ("Fig. 2. Snow", [("Fig. 2", "Snow")]),
        ("Table 2-1: Wind", [("Table 2-1", "Wind")]),
        ("图 4:雨", [("图 4", "雨")]),
        ("Figure 3 shows the rain", []),
        ("Figure 3. it rained", []),
        ("Figure 3: Rain . . . . . . . 12", []),
    ],
)
def test_what_is_a_caption(text, expected):
    assert labels(page(1, text)) == expected


def test_a_number_used_twice_is_nobodys(tmp_path):
    assert labels(page(1, "Figure 1: One", "Figure 2: Two"), page(2, "Figure 1: Another")) == [("Figure 2", "Two")]


def test_counting_needs_numbers_without_a_gap_and_no_other_number_mentioned():
    complete = (page(1, "Figure 1: One", "see Figure 2"), page(2, "Figure 2: Two"))
    gap = (page(1, "Figure 1: One"), page(2, "Figure 3: Three"))
    missed = (page(1, "Figure 1: One", "see Figure 3"), page(2, "Figure 2: Two"))
    kinds = [countable_kinds(pages, find_captions(pages, set())) for pages in (complete, gap, missed)]
    assert kinds == [{"Figure"}, frozenset(), frozenset()]


def test_a_figure_is_the_drawing_next_to_its_caption():
    drawing, far = (0.1, 0.02, 0.5, 0.09), (0.1, 0.8, 0.5, 0.9)
    pages = (page(1, "Figure 1: One", figures=(drawing, far)),)
    assert [f.box for f in find_figures(pages, find_captions(pages, set()))] == [drawing]
