"""Headings without an outline."""

from mmprolong_hf.synthesis.elements import Line
from mmprolong_hf.synthesis.typography import by_typography


def line(text, y, *, size=10.0, bold=False, font="Text"):
    return Line(text, (0.1, y, 0.9, y + 0.02), size, bold, font, int(1000 * y))


def headings(*pages):
    return [(h[1], h[2]) for h in by_typography({k: list(p) for k, p in enumerate(pages, 1)}, 10.0)]


def test_numbers_out_of_sequence_are_no_sections():
    pages = [
        [line(f"{k} Section", 0.2, size=14, bold=True), line("12 Angry men", 0.5, bold=True)] for k in range(1, 7)
    ]
    assert headings(*pages) == [((str(k), "Section"), k) for k in range(1, 7)]


def test_unnumbered_chapters_in_the_style_of_numbered_ones_count():
    pages = [[line(f"{k} Section", 0.2, size=14)] for k in range(1, 7)] + [[line("References", 0.2, size=14)]]
    assert (("", "References"), 7) in headings(*pages)


def test_large_lines_of_a_recurring_style_are_headings_and_others_are_not():
    pages = [[line(f"Slide about {x}", 0.05, size=16), line("text", 0.5)] for x in ("ants", "bees", "cats")]
    pages[1].append(line("Once only", 0.7, size=20))
    found = by_typography(dict(enumerate(pages, 1)), 10.0)
    assert [h[1][1] for h in found] == ["Slide about ants", "Slide about bees", "Slide about cats"]
    assert not any(h[5] for h in found)  # nothing says that they are sections
