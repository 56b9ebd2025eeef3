"""Segments."""

import pytest

from mmprolong_hf.synthesis.elements import Section
from mmprolong_hf.synthesis.segments import sample_segments


def section(page, level=1):
    return Section(f"S{page}", "", level, page, page, -1, (0.1, 0.1, 0.2, 0.2), ("B", 12.0), True)


@pytest.mark.parametrize("pages", [1, 7, 8, 15, 16, 23, 40, 200])
@pytest.mark.parametrize("every", [3, 9, 1000])
def test_segments_cover_the_document_in_the_lengths_asked_for(pages, every):
    segments = sample_segments(tuple(section(p) for p in range(1, pages + 1, every)), pages, seed="s")
    assert {p for first, last in segments for p in range(first, last + 1)} == set(range(1, pages + 1))
    assert all(min(8, pages) <= last - first + 1 <= 15 for first, last in segments)


def test_a_chapter_is_preferred_over_a_section_as_a_border():
    assert sample_segments((section(10, 2), section(12, 1), section(14, 2)), 40, seed="s")[0] == (1, 11)


def test_the_seed_decides_and_repeats():
    runs = {tuple(sample_segments((), 100, seed=str(s))) for s in range(5)}
    assert len(runs) > 1
    assert sample_segments((), 100, seed="3") == sample_segments((), 100, seed="3")
