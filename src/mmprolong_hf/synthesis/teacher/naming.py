"""How a question names a section so that only one section in the whole document is meant."""

import re
import sys
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass

from ..elements import Caption, Paragraph, Section, Stray, Structure, Table
from ..headings import LARGER, split_number
from ..questions import Evidence, choose, load_templates
from ..text import fold

MIN_NAME = 3  # letters; a shorter title is no name
COLUMN = 0.45  # part of a page's width: text that starts farther right is a second column


@dataclass(frozen=True)
class Names:
    """
    The sections of one document and what may be said of them.

    Args:
        structure (`Structure`): The document.
        seed (`str`): Chooses among equal wordings.
    """

    structure: Structure
    seed: str

    def __post_init__(self):
        sections, strays = self.structure.sections, self.structure.strays
        titles = Counter(fold(s.title) for s in sections)
        stray_titles = [fold(split_number(s.text)[1]) for s in strays]
        titles.update(stray_titles)
        object.__setattr__(self, "_stray_titles", frozenset(stray_titles))
        numbers = Counter(s.number for s in sections)
        pairs = Counter((s.parent, fold(s.title)) for s in sections)
        for name in ("sections", "strays", "paragraphs", "captions", "tables"):
            by_page = defaultdict(list)
            for item in getattr(self.structure, name):
                by_page[item.page].append(item)
            object.__setattr__(self, f"_{name}_on", dict(by_page))
        object.__setattr__(self, "_caption_texts", sorted(fold(c.text) for c in self.structure.captions))
        object.__setattr__(self, "_labels", {(c.kind, c.number) for c in self.structure.captions})
        types = Counter()
        for line in (line for paragraph in self.structure.paragraphs for line in paragraph.lines):
            types[line.font, line.size] += len(line.text)
        object.__setattr__(self, "_body", max(types, key=types.get, default=("", 0.0)))
        children = defaultdict(list)
        for section in sections:
            if section.parent >= 0:
                children[sections[section.parent]].append(section)
        object.__setattr__(self, "_children", dict(children))
        object.__setattr__(self, "_titles", titles)
        object.__setattr__(self, "_numbers", numbers)
        object.__setattr__(self, "_pairs", pairs)

    def is_sure(self, section: Section) -> bool:
        """Whether the document says that it is a section, and the type of its heading does too: not that of most text."""
        return section.listed and not self._is_plain(section)

    def _is_plain(self, section: Section) -> bool:
        """Whether a heading is set as the text is: in a licence it cannot be told from an item of a numbered list."""
        font, size = self._body
        return section.style[0] == font and section.style[1] < LARGER * size

    def is_unique(self, section: Section) -> bool:
        """Whether no other heading has the same title."""
        return self._titles[fold(section.title)] == 1 and sum(c.isalpha() for c in section.title) >= MIN_NAME

    def phrase(self, section: Section, *, nested: bool = True, like: Section | None = None) -> str | None:
        """
        A name for the section inside a question, with its parent's if its own title is not unique; None if neither is, or it
        is set as the text is.

        Args:
            section (`Section`): Of the document.
            nested (`bool`, *optional*, defaults to `True`): Whether the parent's title may be told.
            like (`Section`, *optional*): Another section of the same question, whose form of words is used.
        """
        phrases = load_templates()["phrases"]
        if self._is_plain(section):
            return None
        title, form = quotable(section.title), (self.seed, (like or section).title)
        if self.is_unique(section):
            return choose(phrases["titled" if section.listed else "headed"], *form).format(title=title)
        if not nested or section.parent < 0 or self._pairs[section.parent, fold(section.title)] > 1:
            return None
        parent = self.structure.sections[section.parent]
        if not self.is_unique(parent) or not section.listed or self._is_stray(section):
            return None
        return choose(phrases["nested"], *form).format(title=title, parent=quotable(parent.title))

    def numbered(self, section: Section) -> str | None:
        """ "section 3.2" or "Chapter 4"; None if the number is not printed or not unique, or it is set as the text is."""
        if not section.number or self._numbers[section.number] > 1 or self._is_plain(section):
            return None
        if re.match(r"\d|[A-Z](?:\.|$)", section.number):
            return f"section {section.number}"
        return section.number if re.match(r"chapter|appendix|part", section.number, re.IGNORECASE) else None

    def heading(self, section: Section) -> Evidence:
        """The heading as evidence."""
        return Evidence(section.page, section.box, section.title, "Layout")

    def sections_on(self, page: int) -> list[Section]:
        """Sections whose heading is on a page, in reading order."""
        return self._sections_on.get(page, [])

    def strays_on(self, page: int) -> list[Stray]:
        """Lines of a page that look like headings and are not known as sections."""
        return self._strays_on.get(page, [])

    def paragraphs_on(self, page: int) -> list[Paragraph]:
        """Running text of a page."""
        return self._paragraphs_on.get(page, [])

    def captions_on(self, page: int) -> list[Caption]:
        """Numbered captions of a page, in reading order."""
        return self._captions_on.get(page, [])

    def tables_on(self, page: int) -> list[Table]:
        """Tables of a page whose every cell is certain."""
        return self._tables_on.get(page, [])

    def captions_starting(self, start: str) -> int:
        """How many captions of the whole document begin with these words."""
        texts, key = self._caption_texts, fold(start)
        return bisect_right(texts, key + chr(sys.maxunicode)) - bisect_left(texts, key)

    def is_label(self, kind: str, number: str) -> bool:
        """Whether a caption of this kind has this number."""
        return (kind, number) in self._labels

    def children(self, section: Section) -> list[Section]:
        """Sections directly under a section, in reading order."""
        return self._children.get(section, [])

    def strays_between(self, first: Section, last_page: int) -> list[Stray]:
        """Lines that look like headings, from the heading of a section to the end of a page."""
        within = [s for page in range(first.page, last_page + 1) for s in self.strays_on(page)]
        return [s for s in within if (s.page, s.box[1]) > (first.page, first.box[1])]

    def is_single_column(self, page: int) -> bool:
        """Whether all running text of a page starts in its left half, so that what stands lower comes later."""
        return all(p.lines[0].box[0] < COLUMN for p in self.paragraphs_on(page))

    def _is_stray(self, section: Section) -> bool:
        return fold(section.title) in self._stray_titles


def quotable(text: str) -> str:
    """
    Text that can stand between double quotes.

    Args:
        text (`str`): Any text.

    Example:

    ```python
    >>> quotable('Creation of "zoo" objects')
    "Creation of 'zoo' objects"

    ```
    """
    return text.replace('"', "'").replace("“", "'").replace("”", "'")
