"""What headings look like."""

import pytest

from mmprolong_hf.synthesis.elements import Line, Page
from mmprolong_hf.synthesis.headings import (
    body_lines,
    body_size,
    is_contents,
    looks_like_heading,
    running_lines,
    split_number,
)


def line(text, *, y=0.5, size=10.0, bold=False, font="Text", block=0):
    return Line(text, (0.1, y, 0.9, y + 0.02), size, bold, font, block)


def page(number, *lines):
    return Page(number, 100, 100, (100.0, 100.0), b"", tuple(lines))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 Introduction", ("1", "Introduction")),
        ("1.2.3. Deep down", ("1.2.3", "Deep down")),
        ("Chapter 7: The end", ("Chapter 7", "The end")),
        ("Appendix B Tables", ("Appendix B", "Tables")),
        ("A.3 Proof", ("A.3", "Proof")),
        ("B. Proof", ("B", "Proof")),
        ("第 3 章 工具", ("第 3 章", "工具")),
        ("A proof", ("", "A proof")),
        ("Introduction", ("", "Introduction")),
        ("2024", ("", "2024")),
        ("7", ("", "7")),
    ],
)
def test_split_number(text, expected):
    assert split_number(text) == expected


def test_running_heads_are_left_out_and_headings_in_the_margin_are_not():
    pages = tuple(
        page(
            n,
            line("A Report", y=0.03),
            line(f"Title {'abcd'[n - 1]}", y=0.05, size=16),
            line("text"),
            line(f"{n}", y=0.97),
        )
        for n in range(1, 5)
    )
    running = running_lines(pages, 10.0)
    assert [x.text for x in body_lines(pages[2], running)] == ["Title c", "text"]


def test_body_size_is_not_that_of_much_code():
    lines = [line("x" * 80, size=8, font="Mono")] * 5 + [line("y" * 60, size=10)] * 2 + [line("Heading", size=18)]
    assert body_size((page(1, *lines),)) == 10


def test_contents_are_told_by_growing_page_numbers():
    entries = [line(f"{k} Something to read {3 * k}") for k in range(1, 9)]
    assert is_contents(entries)
    assert not is_contents(entries[::-1])
    assert not is_contents(entries[:3] + [line("text")] * 20)


def test_bold_counts_only_in_the_size_of_the_text():
    assert looks_like_heading(line("Note", bold=True), 10)
    assert looks_like_heading(line("Note", size=12), 10)
    assert not looks_like_heading(line("def f():", bold=True, size=8), 10)
    assert not looks_like_heading(line("plain"), 10)
