"""What two PDF engines read on the pages of a document."""

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pypdfium2

from ..elements import Box, Page, Section, Structure
from ..rejected import RejectedDocument
from ..teacher.fulltext import stands_in
from ..text import clean, fold


@dataclass(frozen=True)
class DocumentText:
    """
    The text of a document as both engines see it, and its structure: what the checks without a model look at.

    Args:
        pages (`tuple[Page]`): As the first engine read them.
        second (`tuple[str]`): The text of each page as the second engine reads it.
        structure (`Structure`): Sections and captions of the whole document.
    """

    pages: tuple[Page, ...]
    second: tuple[str, ...]
    structure: Structure
    _folded: dict[int, tuple[str, str]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def num_pages(self) -> int:
        """Pages of the document."""
        return len(self.pages)

    def folded(self, number: int) -> tuple[str, str]:
        """
        Letters and digits of one page as each engine reads them: they differ in spaces, hyphens and ligatures.

        Args:
            number (`int`): 1-based.
        """
        if number not in self._folded:
            lines = ([line.text for line in self.pages[number - 1].lines], self.second[number - 1].splitlines())
            self._folded[number] = tuple("".join(map(fold, text)) for text in lines)
        return self._folded[number]

    def unfolded(self, number: int) -> tuple[str, str]:
        """
        One page with all its signs but without spaces, for a quote that has neither letter nor digit.

        Args:
            number (`int`): 1-based.
        """
        first = " ".join(line.text for line in self.pages[number - 1].lines)
        return tuple("".join(clean(text).split()) for text in (first, self.second[number - 1]))

    def holds(self, words: str, number: int) -> bool:
        """
        Whether one engine at least reads words on a page, as whole words.

        Args:
            words (`str`): In any case, however their lines are broken.
            number (`int`): 1-based.
        """
        if not any(fold(words) in page for page in self.folded(number)):  # most pages are done with this
            return False
        first = "\n".join(line.text for line in self.pages[number - 1].lines)
        return any(stands_in(words, text) for text in (first, self.second[number - 1]))

    def sections_titled(self, title: str) -> list[Section]:
        """
        Every section of a title, which may be given with its number.

        Args:
            title (`str`): As a question quotes it.
        """
        return self._titles.get(fold(title), [])

    @cached_property
    def _titles(self) -> dict[str, list[Section]]:
        titles = defaultdict(list)
        for section in self.structure.sections:
            for name in {fold(section.title), fold(section.number) + fold(section.title)}:
                titles[name].append(section)
        return dict(titles)

    def printed_at(self, number: int, box: Box) -> str:
        """
        The lines whose middle is inside a box.

        Args:
            number (`int`): 1-based.
            box (`Box`): On that page.
        """
        x0, y0, x1, y1 = box
        lines = self.pages[number - 1].lines
        inside = [
            line.text
            for line in lines
            if y0 <= (line.box[1] + line.box[3]) / 2 <= y1 and min(line.box[2], x1) > max(line.box[0], x0)
        ]
        return " ".join(inside)


def read_second(path: str | Path) -> tuple[str, ...]:
    """
    The text of every page as PDFium reads it.

    Args:
        path (`str` or `Path`): The PDF.

    Raises:
        RejectedDocument: unreadable, if PDFium cannot open the file or a page of it.
    """
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        raise RejectedDocument(
            "unreadable", f"a second engine cannot open it ({error}); expected an intact PDF"
        ) from error
    with document:
        return tuple(_page_text(document, number) for number in range(1, len(document) + 1))


def _page_text(document: pypdfium2.PdfDocument, number: int) -> str:
    try:
        return document[number - 1].get_textpage().get_text_range()
    except pypdfium2.PdfiumError as error:
        raise RejectedDocument("unreadable", f"a second engine cannot read page {number} ({error})") from error
