"""How a question names a section so that only one section in the whole document is meant."""

import re
from collections import Counter
from dataclasses import dataclass

from ..elements import Section, Stray, Structure
from ..headings import split_number
from ..questions import Evidence, choose, load_templates
from ..text import fold

MIN_NAME = 3  # letters; a shorter title is no name


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
        titles.update(fold(split_number(s.text)[1]) for s in strays)
        numbers = Counter(s.number for s in sections)
        pairs = Counter((s.parent, fold(s.title)) for s in sections)
        object.__setattr__(self, "_titles", titles)
        object.__setattr__(self, "_numbers", numbers)
        object.__setattr__(self, "_pairs", pairs)

    def is_unique(self, section: Section) -> bool:
        """Whether no other heading has the same title."""
        return self._titles[fold(section.title)] == 1 and sum(c.isalpha() for c in section.title) >= MIN_NAME

    def phrase(self, section: Section, *, nested: bool = True, like: Section | None = None) -> str | None:
        """
        A name for the section inside a question, with its parent's if its own title is not unique; None if neither is.

        Args:
            section (`Section`): Of the document.
            nested (`bool`, *optional*, defaults to `True`): Whether the parent's title may be told.
            like (`Section`, *optional*): Another section of the same question, whose form of words is used.
        """
        phrases = load_templates()["phrases"]
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
        """ "section 3.2" or "Chapter 4"; None if the number is not printed or not unique."""
        if not section.number or self._numbers[section.number] > 1:
            return None
        if re.match(r"\d|[A-Z](?:\.|$)", section.number):
            return f"section {section.number}"
        return section.number if re.match(r"chapter|appendix|part", section.number, re.IGNORECASE) else None

    def heading(self, section: Section) -> Evidence:
        """The heading as evidence."""
        return Evidence(section.page, section.box, section.title, "Layout")

    def strays_between(self, first: Section, last_page: int) -> list[Stray]:
        """Lines as large as headings from the heading of a section to the end of a page."""
        return [
            s for s in self.structure.strays if (s.page, s.box[1]) > (first.page, first.box[1]) and s.page <= last_page
        ]

    def _is_stray(self, section: Section) -> bool:
        return any(fold(split_number(s.text)[1]) == fold(section.title) for s in self.structure.strays)


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
