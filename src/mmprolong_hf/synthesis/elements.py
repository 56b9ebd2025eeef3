"""The plain records that the stages of synthesis hand to each other: what a page holds, and how a document is built."""

from dataclasses import dataclass

Box = tuple[float, float, float, float]  # (x0, y0, x1, y1), fractions of the rendered page image, origin top left


@dataclass(frozen=True)
class Line:
    """One printed line: its text, its box, its size in points, and whether most of it is bold. `block` groups lines."""

    text: str
    box: Box
    size: float
    bold: bool
    font: str
    block: int


@dataclass(frozen=True)
class Word:
    """One word with its box; tables are read from words, because a line may run across columns."""

    text: str
    box: Box


@dataclass(frozen=True)
class Grid:
    """Cells between drawn lines: `cells[row][column]` is text and `boxes[row][column]` its box, both None where merged."""

    box: Box
    cells: tuple[tuple[str | None, ...], ...]
    boxes: tuple[tuple[Box | None, ...], ...]


@dataclass(frozen=True)
class Page:
    """
    One page as it was rendered, with the text under it.

    Args:
        number (`int`): 1-based.
        width, height (`int`): Pixels of the image.
        points (`tuple[float, float]`): Width and height in points, as rotated.
        image (`bytes`): The page as JPEG.
        lines (`tuple[Line]`): Printed lines in the order of the file.
        words (`tuple[Word]`): Filled only where a table may stand.
        grids (`tuple[Grid]`): Ruled tables.
        figures (`tuple[Box]`): Boxes of raster images and of large drawings.
        rules (`tuple[Box]`): Boxes of horizontal lines.
    """

    number: int
    width: int
    height: int
    points: tuple[float, float]
    image: bytes
    lines: tuple[Line, ...]
    words: tuple[Word, ...] = ()
    grids: tuple[Grid, ...] = ()
    figures: tuple[Box, ...] = ()
    rules: tuple[Box, ...] = ()


@dataclass(frozen=True)
class OutlineEntry:
    """One bookmark of the PDF: level from 1, title, 1-based page."""

    level: int
    title: str
    page: int


@dataclass(frozen=True)
class Source:
    """One PDF after reading: what it says of itself, and its pages."""

    title: str
    engine: str
    outline: tuple[OutlineEntry, ...]
    pages: tuple[Page, ...]


@dataclass(frozen=True)
class Section:
    """
    One section whose heading was found on its page.

    Args:
        title (`str`): As printed, without its number.
        number (`str`): As printed, e.g. `"3.2"`; empty where the document prints none.
        level (`int`): 1 for chapters.
        page (`int`): Where its heading stands, 1-based.
        last_page (`int`): Page of the next heading of the same or a higher level, or the last page.
        parent (`int`): Index of the section it belongs to, -1 for none.
        box (`Box`): Of the heading.
        style (`tuple`): (font, size) of the heading: siblings share it.
        listed (`bool`): Whether the outline or a number says that it is a section; else it is only a heading by its look.
    """

    title: str
    number: str
    level: int
    page: int
    last_page: int
    parent: int
    box: Box
    style: tuple[str, float]
    listed: bool


@dataclass(frozen=True)
class Stray:
    """
    A line that looks like a heading and is not known as a section, so its title is not unique any more.

    Where a `serious` one stands, as large as a section's heading, nothing may be counted.
    """

    text: str
    page: int
    box: Box
    style: tuple[str, float]
    serious: bool


@dataclass(frozen=True)
class Caption:
    """
    One numbered caption.

    Args:
        kind (`str`): `"Figure"` or `"Table"`.
        label (`str`): As printed, e.g. `"Figure 3"`.
        number (`str`): E.g. `"3"` or `"2-1"`.
        text (`str`): What follows the label.
        page (`int`): 1-based.
        box (`Box`): Of label and text.
        whole (`bool`): Whether the text certainly ends where it seems to end.
    """

    kind: str
    label: str
    number: str
    text: str
    page: int
    box: Box
    whole: bool = True


@dataclass(frozen=True)
class Figure:
    """A picture and the caption under or over it."""

    caption: Caption
    page: int
    box: Box


@dataclass(frozen=True)
class Table:
    """
    A table whose every cell is certain: first row header, first column keys.

    Args:
        caption (`Caption` or `None`): None only if it is ruled and alone on its page.
        page (`int`): 1-based.
        box (`Box`): Of all cells.
        header (`tuple[str]`): Column names; the first may be empty.
        rows (`tuple[tuple[str]]`): Cells below the header.
        boxes (`tuple[tuple[Box]]`): Box of each cell of `rows`.
        header_boxes (`tuple[Box]`): Box of each cell of `header`.
        closed (`bool`): Whether it certainly ends where it seems to end, so that it may be summed or counted.
    """

    caption: Caption | None
    page: int
    box: Box
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    boxes: tuple[tuple[Box, ...], ...]
    header_boxes: tuple[Box, ...]
    closed: bool


@dataclass(frozen=True)
class Paragraph:
    """Running text: the lines of one block, in the size of most text."""

    page: int
    lines: tuple[Line, ...]


ELEMENT_KINDS = ("title", "section", "paragraph", "list", "table", "figure", "caption", "header", "footer")


@dataclass(frozen=True)
class Element:
    """
    One piece of a page, as a reader would name it; elements come in reading order.

    Args:
        page (`int`): 1-based.
        kind (`str`): One of `ELEMENT_KINDS`.
        text (`str`): As running text; of a table its rows as Markdown.
        box (`Box`): Around all of it.
        level (`int`): Of a section, from 1; 0 for everything else.
        cells (`tuple[tuple[str]]`): Of a table, header first; empty for everything else.
    """

    page: int
    kind: str
    text: str
    box: Box
    level: int = 0
    cells: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Structure:
    """Everything that the teacher may ask about one document."""

    num_pages: int
    sections: tuple[Section, ...]
    strays: tuple[Stray, ...]
    captions: tuple[Caption, ...]
    countable: frozenset[str]  # kinds of captions of which certainly none was missed
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...]
    paragraphs: tuple[Paragraph, ...]


def union(boxes) -> Box:
    """
    The smallest box around several.

    Args:
        boxes (`Iterable[Box]`): At least one.

    Example:

    ```python
    >>> union([(0.1, 0.2, 0.3, 0.4), (0.2, 0.1, 0.5, 0.3)])
    (0.1, 0.1, 0.5, 0.4)

    ```
    """
    x0, y0, x1, y1 = zip(*boxes)
    return min(x0), min(y0), max(x1), max(y1)
