"""Puts together what the teacher may ask about: sections, captions, figures, tables and paragraphs of one document."""

from itertools import groupby

from .captions import countable_kinds, find_captions, find_figures
from .elements import Page, Paragraph, Source, Structure
from .headings import body_lines, body_size, is_contents, running_lines
from .sections import find_sections
from .tables import find_tables


def build_structure(source: Source) -> Structure:
    """
    The structure of one document.

    Args:
        source (`Source`): The document as `pages.read_pdf` returns it.
    """
    size = body_size(source.pages)
    running = running_lines(source.pages, size)
    sections, strays = find_sections(source)
    captions = find_captions(source.pages, running)
    return Structure(
        num_pages=len(source.pages),
        sections=sections,
        strays=strays,
        captions=captions,
        countable=countable_kinds(source.pages, captions),
        figures=find_figures(source.pages, captions),
        tables=tuple(t for page in source.pages for t in find_tables(page, captions)),
        paragraphs=tuple(p for page in source.pages for p in _paragraphs(page, running, size)),
    )


def _paragraphs(page: Page, running: set[str], size: float) -> list[Paragraph]:
    lines = body_lines(page, running)
    if is_contents(lines):
        return []
    blocks = [tuple(group) for _, group in groupby(lines, key=lambda line: line.block)]
    return [Paragraph(page.number, b) for b in blocks if len(b) > 1 and all(abs(line.size - size) < 1 for line in b)]
