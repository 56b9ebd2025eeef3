"""What stands on each page as a reader would name it: titles, sections, paragraphs, lists, tables, figures, captions."""

import re
from dataclasses import dataclass
from itertools import groupby

from .elements import Box, Element, Line, Page, Source, Structure, Table, union
from .headings import body_lines, body_size, running_lines
from .reading_order import in_reading_order
from .text import fold, join_lines
from .typography import MUCH_LARGER

# a bullet; or a number or letter that a bracket or a full stop follows
_ITEM = re.compile(r"(?:[•◦▪●○■□‣⁃·∙*–—-]|\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]+)[.)])\s+\S")
_MONOSPACED = re.compile(r"mono|courier|typewriter|consol|CMTT", re.IGNORECASE)
_SAME_SIZE = 1.0  # points


@dataclass(frozen=True)
class Group:
    """
    The lines of one element; every line of a page is in one group.

    Args:
        kind (`str`): One of `elements.ELEMENT_KINDS`.
        lines (`tuple[Line]`): In the order of the file; a figure may have none.
        box (`Box`): Around all of it.
        level (`int`): Of a section.
        table (`Table` or `None`): If it is one.
    """

    kind: str
    lines: tuple[Line, ...]
    box: Box
    level: int = 0
    table: Table | None = None


def find_elements(source: Source, structure: Structure) -> tuple[Element, ...]:
    """
    The elements of a document in reading order: page by page, its header first and its footer last.

    Headers and footers are lines that recur in the margins. Tables are those whose every cell is certain, figures those that have a
    caption; what is printed inside a figure is its text. Lines are joined to running text, but for those of a listing.

    Args:
        source (`Source`): The document as read.
        structure (`Structure`): As `structure.build_structure` makes it of the same source.

    Example:

    ```python
    >>> def line(text, y, block):
    ...     return Line(text, (0.1, y, 0.6, y + 0.02), 10.0, False, "Serif", block)
    >>> page = Page(1, 100, 100, (72, 72), b"", (line("It rains and", 0.2, 0), line("pours.", 0.22, 0), line("• so", 0.3, 1)))
    >>> nothing = Structure(1, (), (), (), frozenset(), (), (), ())
    >>> [(e.kind, e.text) for e in find_elements(Source("", "", (), (page,)), nothing)]
    [('paragraph', 'It rains and pours.'), ('list', '• so')]

    ```
    """
    return tuple(
        Element(page.number, group.kind, _text(group), group.box, group.level, _cells(group))
        for page, groups in zip(source.pages, group_lines(source, structure))
        for group in groups
    )


def group_lines(source: Source, structure: Structure) -> list[list[Group]]:
    """
    The groups of lines that are the elements of each page, in reading order.

    Args:
        source (`Source`): The document as read.
        structure (`Structure`): Of the same source.
    """
    size = body_size(source.pages) if any(page.lines for page in source.pages) else 0.0
    running = running_lines(source.pages, size)
    groups = []
    for page in source.pages:
        body = body_lines(page, running)
        kept = {id(line) for line in body}
        margin = [line for line in page.lines if id(line) not in kept]
        headers = [line for line in margin if _middle(line.box)[1] < 0.5]
        footers = [line for line in margin if _middle(line.box)[1] >= 0.5]
        named, rest = _named(page, structure, body)
        title, rest = _title(page, source.title, rest, size)
        inner = in_reading_order(named + title + _running_text(rest), lambda group: group.box)
        groups.append(
            [_group("header", [line]) for line in headers] + inner + [_group("footer", [line]) for line in footers]
        )
    return groups


def _named(page: Page, structure: Structure, lines: list[Line]) -> tuple[list[Group], list[Line]]:
    """What the structure knows of a page, with the lines that belong to it, and the lines that are left."""
    number = page.number
    known = (
        [("section", s.box, s.level, None) for s in structure.sections if s.page == number]
        + [("caption", c.box, 0, None) for c in structure.captions if c.page == number]
        + [("table", t.box, 0, t) for t in structure.tables if t.page == number]
        + [("figure", f.box, 0, None) for f in structure.figures if f.page == number]
    )
    groups = []
    for kind, box, level, table in known:
        inside = [line for line in lines if _is_inside(line.box, box)]
        if inside or kind == "figure":
            taken = {id(line) for line in inside}
            lines = [line for line in lines if id(line) not in taken]
            groups.append(Group(kind, tuple(inside), box, level, table))
    return groups, lines


def _title(page: Page, title: str, lines: list[Line], size: float) -> tuple[list[Group], list[Line]]:
    """The title of the document: what its properties say if that is printed on page 1, else the largest lines there."""
    if page.number > 1 or not lines:
        return [], lines
    named = [line for line in lines if fold(line.text) and fold(line.text) in fold(title)]
    largest = max(line.size for line in lines)
    found = [line for line in named if line.size >= MUCH_LARGER * size]
    if not found and largest >= MUCH_LARGER * size:
        found = [line for line in lines if line.size == largest]
    if not found:
        return [], lines
    taken = {id(line) for line in found}
    return [_group("title", found)], [line for line in lines if id(line) not in taken]


def _running_text(lines: list[Line]) -> list[Group]:
    """Paragraphs and lists: lines of one block and size; where the first line of a block is an item, it is a list."""
    groups = []
    for _, block in groupby(lines, key=lambda line: line.block):
        parts: list[list[Line]] = []
        for line in block:
            if parts and abs(line.size - parts[-1][-1].size) < _SAME_SIZE and line.bold == parts[-1][-1].bold:
                parts[-1].append(line)
            else:
                parts.append([line])
        groups += [_group("list" if _ITEM.match(part[0].text) else "paragraph", part) for part in parts]
    return groups


def _group(kind: str, lines: list[Line]) -> Group:
    return Group(kind, tuple(lines), union([line.box for line in lines]))


def _text(group: Group) -> str:
    if group.table is not None:
        return _markdown(_cells(group))
    if group.kind == "paragraph" and all(_MONOSPACED.search(line.font) for line in group.lines):
        return "\n".join(line.text for line in group.lines)  # a listing, whose lines mean something
    if group.kind != "list":
        return join_lines([line.text for line in group.lines], hyphenated=group.kind not in ("title", "section"))
    items: list[list[str]] = []
    for line in group.lines:
        if not items or _ITEM.match(line.text):
            items.append([])
        items[-1].append(line.text)
    return "\n".join(join_lines(item) for item in items)


def _cells(group: Group) -> tuple[tuple[str, ...], ...]:
    return (group.table.header, *group.table.rows) if group.table else ()


def _markdown(cells: tuple[tuple[str, ...], ...]) -> str:
    """
    Rows as a Markdown table, the first as its header.

    Example:

    ```python
    >>> print(_markdown((("Station", "Height"), ("a|b", "5"))))
    | Station | Height |
    |---|---|
    | a\\|b | 5 |

    ```
    """
    rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
    return "\n".join([rows[0], "|" + "---|" * len(cells[0]), *rows[1:]])


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _is_inside(inner: Box, outer: Box) -> bool:
    x, y = _middle(inner)
    return outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3]
