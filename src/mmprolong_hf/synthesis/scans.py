"""
Reads scanned documents: a model writes down, page by page, what stands where.

What it writes becomes the same records as the text of a born-digital PDF, so sections, captions and paragraphs are found in it
alike. Nothing confirms it: PDFium reads no text on such a page either, and the verdict `quotes_found` of a question about it
stays `"unchecked"`.
"""

import dataclasses
from collections.abc import Mapping
from itertools import pairwise
from string import Template

from .elements import ELEMENT_KINDS, Box, Element, Grid, Line, OutlineEntry, Page, Source
from .endpoint import Endpoint, Request, RequestFailed
from .rejected import RejectedDocument
from .teacher.asking import ask_parsed, gather_all
from .teacher.fields import ParseError, excerpt, read_text
from .teacher.parsing import read_json
from .teacher.prompting import load_prompt, prompt_id
from .text import clean, join_lines

MAX_ELEMENTS = 500  # of one page
MAX_LINE = 5_000  # characters; some models write a paragraph on one line
LEVELS = tuple("123456789")  # of a section, as they are written
OUTSIDE = 0.05  # of the page: by so much a box may reach over its edge, and is clipped
# Sizes in points that stand for what a reader sees: headings are larger than the text, and only text has the text's size.
_SIZES = {"title": 24.0, "paragraph": 10.0, "list": 10.0, "table": 8.0, "figure": 8.0, "caption": 8.0}
_SECTION_SIZES = (20.0, 17.0, 14.0)  # of levels 1, 2 and below
_REPEATED = ("header", "footer")  # they are elements, and no lines: they would part a paragraph that goes on overleaf
_SCHEMA = {
    "type": "object",
    "properties": {
        "elements": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "kind": {"type": "string", "enum": list(ELEMENT_KINDS)},
                    "text": {"type": "string"},
                    "box": {"type": "array", "items": {"type": "number"}},
                    "level": {"type": "integer"},
                    "cells": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
                },
                "required": ["kind", "text", "box", "level", "cells"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["elements"],
    "additionalProperties": False,
}


@dataclasses.dataclass(frozen=True)
class Piece:
    """One element of a scanned page, and its words line by line."""

    element: Element
    lines: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Transcript:
    """
    A scanned document after reading.

    Args:
        source (`Source`): With lines on the pages that were read; its engine names the model, and where the PDF has no
            outline, the headings are one.
        elements (`tuple[Element]`): Of those pages, in reading order.
        failed (`Mapping[int, str]`): Page -> why it could not be read; it stays without text.
    """

    source: Source
    elements: tuple[Element, ...]
    failed: Mapping[int, str]


async def transcribe(endpoint: Endpoint, source: Source, *, min_characters: int = 50) -> Transcript:
    """
    Have a model read the pages of a document that have no text.

    A dense page takes 2,000 to 4,000 tokens to write down: give the endpoint a `max_tokens` above that.

    Args:
        endpoint (`Endpoint`): The model.
        source (`Source`): The document, read with a `min_characters` of 0.
        min_characters (`int`, *optional*, defaults to `50`): Pages with fewer characters of text are read by the model: what
            little they have is a stamp or a page number.

    Raises:
        RejectedDocument: not_transcribed, if every such page failed.
        EndpointRefused, BudgetSpent, Pending: when all requests of the document have ended.
    """
    scanned = [page for page in source.pages if sum(len(line.text) for line in page.lines) < min_characters]
    read = await gather_all(_transcribe_page(endpoint, page) for page in scanned)
    found = {page.number: result for page, result in zip(scanned, read) if not isinstance(result, str)}
    failed = {page.number: result for page, result in zip(scanned, read) if isinstance(result, str)}
    if failed and not found:
        number, problem = next(iter(failed.items()))
        raise RejectedDocument(
            "not_transcribed",
            f"{endpoint.options.model} read none of its {len(failed)} scanned pages (page {number}: {problem})",
        )
    elements = tuple(piece.element for pieces in found.values() for piece in pieces)
    titles = [e.text for e in elements if e.kind == "title"]
    headings = tuple(OutlineEntry(e.level, e.text, e.page) for e in elements if e.kind == "section")
    transcribed = dataclasses.replace(
        source,
        title=source.title or next(iter(titles), ""),
        engine=f"{source.engine}, endpoint {endpoint.options.model}",
        outline=source.outline or headings,
        pages=tuple(_with_text(page, found[page.number]) if page.number in found else page for page in source.pages),
    )
    return Transcript(transcribed, elements, failed)


async def _transcribe_page(endpoint: Endpoint, page: Page) -> list[Piece] | str:
    words = load_prompt("transcribe_page")
    request = Request(
        prompt=prompt_id("transcribe_page", words),
        content=(page.image, Template(words).substitute(page=page.number)),
        schema=_SCHEMA,
    )
    try:
        return await ask_parsed(endpoint, request, lambda text: parse_elements(text, page.number))
    except (RequestFailed, ParseError) as error:
        return f"{error.reason}: {error.detail}"


def parse_elements(text: str, page: int) -> list[Piece]:
    """
    What a model wrote down of a page.

    Args:
        text (`str`): Its reply.
        page (`int`): 1-based.

    Raises:
        ParseError: no_elements, too_long, bad_kind, bad_box, bad_level, bad_cells, no_text, and as `parsing.read_json` and
            `fields.read_text`. A page is read as a whole or not at all: where a piece is missing, a question about how often
            something is said would get a wrong answer.

    Example:

    ```python
    >>> reply = '{"elements": [{"kind": "paragraph", "text": "It rai-\\\\nned.", "box": [0.1, -0.01, 0.4, 0.05]}]}'
    >>> (piece,) = parse_elements(reply, 7)
    >>> piece.lines, piece.element
    (('It rai-', 'ned.'), Element(page=7, kind='paragraph', text='It rained.', box=(0.1, 0.0, 0.4, 0.05), level=0, cells=()))

    ```
    """
    records = read_json(text).get("elements")
    if not isinstance(records, list):
        raise ParseError("no_elements", f"found {excerpt(text)}, expected a list named 'elements'")
    if len(records) > MAX_ELEMENTS:
        raise ParseError("too_long", f"found {len(records)} elements, expected at most {MAX_ELEMENTS}")
    return [_piece(record, page) for record in records]


def _piece(record: object, page: int) -> Piece:
    kind = record.get("kind") if isinstance(record, dict) else None
    if kind not in ELEMENT_KINDS:
        raise ParseError("bad_kind", f"found {excerpt(record)}, expected a kind of {', '.join(ELEMENT_KINDS)}")
    cells = _cells(record) if kind == "table" else ()
    if cells:
        lines = tuple(" ".join(cell for cell in row if cell) for row in cells)
        text = _markdown(cells)
    else:
        lines = _lines(record)
        text = join_lines(list(lines), hyphenated=kind not in ("title", "section"))
    if not text and kind != "figure":
        raise ParseError("no_text", f"the {kind} {excerpt(record)} has neither text nor cells, expected its words")
    element = Element(page, kind, text, _box(record), _level(record) if kind == "section" else 0, cells)
    return Piece(element, lines)


def _lines(record: dict) -> tuple[str, ...]:
    text = record.get("text") or ""
    if not isinstance(text, str):
        raise ParseError("wrong_type", f"text is {excerpt(text)}, expected text")
    lines = (clean(read_text({"text": line}, "text", longest=MAX_LINE)) for line in text.splitlines())
    return tuple(line for line in lines if line)


def _cells(record: dict) -> tuple[tuple[str, ...], ...]:
    rows = record.get("cells")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise ParseError("bad_cells", f"cells is {excerpt(rows)}, expected a list of rows, each a list of texts")
    cells = tuple(tuple(clean(read_text({"cell": cell}, "cell")) for cell in row) for row in rows if row)
    if len({len(row) for row in cells}) > 1:
        raise ParseError("bad_cells", f"cells is {excerpt(rows)}, expected as many cells in each row")
    return cells


def _box(record: dict) -> Box:
    box = record.get("box")
    try:
        x0, y0, x1, y1 = (float(v) for v in box)
    except (TypeError, ValueError):
        raise ParseError("bad_box", f"box is {excerpt(box)}, expected [left, top, right, bottom]") from None
    if not all(-OUTSIDE <= v <= 1 + OUTSIDE for v in (x0, y0, x1, y1)):  # not a number is outside too
        raise ParseError("bad_box", f"box is {excerpt(box)}, expected fractions of the page between 0 and 1")
    x0, y0, x1, y1 = (min(1.0, max(0.0, v)) for v in (x0, y0, x1, y1))
    if x0 >= x1 or y0 >= y1:
        raise ParseError("bad_box", f"box is {excerpt(box)}, expected left before right and top before bottom")
    return x0, y0, x1, y1


def _level(record: dict) -> int:
    level = record.get("level")
    if level not in LEVELS:
        raise ParseError("bad_level", f"level is {excerpt(level)}, expected 1 to {len(LEVELS)} for a section")
    return int(level)


def _markdown(cells: tuple[tuple[str, ...], ...]) -> str:
    rows = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in cells]
    return "\n".join(f"| {row} |" for row in [rows[0], " | ".join("---" for _ in cells[0]), *rows[1:]])


def _with_text(page: Page, pieces: list[Piece]) -> Page:
    """The page with what the model read, in the form in which a PDF's own text is read."""
    lines, grids = [], []
    for block, piece in enumerate(pieces):
        element = piece.element
        if element.kind in _REPEATED:
            continue
        size = _SECTION_SIZES[min(element.level, len(_SECTION_SIZES)) - 1] if element.level else _SIZES[element.kind]
        bold = element.kind in ("title", "section")
        font = f"{element.kind} {element.level}"
        boxes = _cut(element.box, len(piece.lines), 1)
        lines += [Line(text, row[0], size, bold, font, block) for text, row in zip(piece.lines, boxes)]
        if element.cells:
            boxes = _cut(element.box, len(element.cells), len(element.cells[0]))
            grids.append(Grid(element.box, element.cells, boxes))
    figures = tuple(piece.element.box for piece in pieces if piece.element.kind == "figure")
    return dataclasses.replace(page, lines=tuple(lines), grids=tuple(grids), figures=figures)


def _cut(box: Box, num_rows: int, num_columns: int) -> tuple[tuple[Box, ...], ...]:
    """Where lines and cells stand inside of a box is not said: they share it evenly."""
    x0, y0, x1, y1 = box
    xs = [x0 + (x1 - x0) / num_columns * c for c in range(num_columns + 1)]
    ys = [y0 + (y1 - y0) / max(1, num_rows) * r for r in range(num_rows + 1)]
    return tuple(tuple((left, top, right, bottom) for left, right in pairwise(xs)) for top, bottom in pairwise(ys))
