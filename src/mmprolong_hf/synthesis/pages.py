"""
Opens PDFs, renders their pages and reads the text and lines under them.

The only file that imports PyMuPDF (AGPL-3.0): it is needed to build a dataset, not to train on one. MuPDF is not
thread-safe; call this from processes, never from threads.
"""

import io
import math
import re
from collections.abc import Callable
from pathlib import Path

import pymupdf
from PIL import Image

from ..lengths import MAX_ASPECT_RATIO
from .elements import Box, Grid, Line, OutlineEntry, Page, Source, Word
from .lines import read_lines
from .rejected import RejectedDocument
from .ruling import ruled_areas
from .text import clean, join_lines

POINTS_PER_INCH = 72
MAX_SIDE = 16_384  # pixels; JPEG itself ends at 65,535
JPEG_QUALITY = 85
# Ligatures are split and text outside the page is dropped by MuPDF; images would be copied into the answer.
_TEXT_FLAGS = (
    (pymupdf.TEXTFLAGS_DICT | pymupdf.TEXT_MEDIABOX_CLIP)
    & ~pymupdf.TEXT_PRESERVE_IMAGES
    & ~pymupdf.TEXT_PRESERVE_LIGATURES
)
# PyMuPDF turns some of MuPDF's own exceptions into RuntimeError and lets others through
_ENGINE_ERRORS = (RuntimeError, pymupdf.mupdf.FzErrorBase)
_TRAILER = 2048  # bytes at the end in which every whole PDF says where its table of objects is
_PATH_OPERATORS = re.compile(rb"(?<=\s)(?:re|l)\s")
_PATHS_OF_A_TABLE = 8  # fewer drawn lines cannot rule two rows and two columns
_CAPTION_HINT = re.compile(r"^(?:table|figure|fig\.|tab\.|表|图|圖)\s*\S*\d", re.IGNORECASE)
_TABLE_HINT = re.compile(r"^(?:table|tab\.|表)\s*\S*\d", re.IGNORECASE)

pymupdf.no_recommend_layout()  # else find_tables advertises a package on the standard output
pymupdf.TOOLS.mupdf_display_errors(False)
pymupdf.TOOLS.mupdf_display_warnings(False)


def open_pdf(path: str | Path, *, min_pages: int = 1, max_pages: int = 200) -> pymupdf.Document:
    """
    Open a PDF after checking everything that can be checked without reading a page.

    Args:
        path (`str` or `Path`): The file.
        min_pages (`int`, *optional*, defaults to `1`): Fewer pages are rejected.
        max_pages (`int`, *optional*, defaults to `200`): More pages are rejected; this takes no time, whatever their number.

    Raises:
        RejectedDocument: not_a_pdf, unreadable, encrypted, no_pages, too_few_pages, too_many_pages.
    """
    data = Path(path).read_bytes()
    if b"%PDF-" not in data[:1024]:  # MuPDF would open HTML or an image as a document
        raise RejectedDocument("not_a_pdf", "its first 1024 bytes hold no %PDF- header; expected a PDF")
    try:
        document = pymupdf.open(stream=data, filetype="pdf")
        count = 0 if document.needs_pass else document.page_count
    except _ENGINE_ERRORS as error:
        raise RejectedDocument("unreadable", f"it cannot be opened ({error}); expected an intact PDF") from error
    if not document.is_pdf:
        raise RejectedDocument("not_a_pdf", "it is another kind of document; expected a PDF")
    if document.needs_pass:
        raise RejectedDocument("encrypted", "it needs a password; save it without one")
    if document.is_repaired and b"startxref" not in data[-_TRAILER:]:
        raise RejectedDocument("unreadable", f"it is truncated: {count} pages were recovered; expected an intact PDF")
    if count == 0:
        raise RejectedDocument("no_pages", "it has no page; expected at least one")
    if count < min_pages:
        raise RejectedDocument("too_few_pages", f"it has {count} pages; expected at least min_pages={min_pages}")
    if count > max_pages:
        raise RejectedDocument("too_many_pages", f"it has {count} pages; expected at most max_pages={max_pages}")
    return document


def image_size(points: tuple[float, float], *, dpi: int, max_pixels: int, number: int = 1) -> tuple[int, int]:
    """
    Pixels of a page before it is rendered, so that a page of 20 m never asks for memory.

    Args:
        points (`tuple[float, float]`): Width and height in points.
        dpi (`int`): Pixels per inch.
        max_pixels (`int`): More are rejected.
        number (`int`, *optional*, defaults to `1`): The page, for the message.

    Raises:
        RejectedDocument: page_too_large.

    Example:

    ```python
    >>> image_size((612.0, 792.0), dpi=144, max_pixels=40_000_000)
    (1224, 1584)
    >>> image_size((56693.0, 792.0), dpi=144, max_pixels=40_000_000, number=3)
    Traceback (most recent call last):
    ...
    mmprolong_hf.synthesis.rejected.RejectedDocument: page_too_large: page 3 would be 113386 x 1584 pixels at 144 dpi; expected at most 40000000 pixels, 16384 on a side and 200:1

    ```
    """
    # the same rounding as MuPDF: outwards, forgiving a thousandth
    width, height = (math.ceil(p * dpi / POINTS_PER_INCH - 1e-3) for p in points)
    if (
        min(width, height) < 1
        or width * height > max_pixels
        or max(width, height) > MAX_SIDE
        or max(width, height) > MAX_ASPECT_RATIO * min(width, height)
    ):
        raise RejectedDocument(
            "page_too_large",
            f"page {number} would be {width} x {height} pixels at {dpi} dpi; expected at most {max_pixels} pixels, "
            f"{MAX_SIDE} on a side and {MAX_ASPECT_RATIO}:1",
        )
    return width, height


def read_pdf(
    path: str | Path,
    *,
    dpi: int = 144,
    min_pages: int = 1,
    max_pages: int = 200,
    max_pixels: int = 40_000_000,
    min_characters: int = 50,
) -> Source:
    """
    Read a whole PDF: every page rendered, with its text, lines and ruled tables.

    Args:
        path (`str` or `Path`): The file.
        dpi (`int`, *optional*, defaults to `144`): Pixels per inch of the images.
        min_pages (`int`, *optional*, defaults to `1`): Fewer pages are rejected.
        max_pages (`int`, *optional*, defaults to `200`): More pages are rejected.
        max_pixels (`int`, *optional*, defaults to `40_000_000`): A larger page image is rejected before it is rendered.
        min_characters (`int`, *optional*, defaults to `50`): Mean number of characters on a page below which the
            document is rejected as nearly empty (or as a scan, which needs a layer of text first).

    Raises:
        RejectedDocument: as [`open_pdf`], and page_too_large, nearly_empty, unreadable.
    """
    with open_pdf(path, min_pages=min_pages, max_pages=max_pages) as document:
        try:
            sizes = [
                image_size((page.rect.width, page.rect.height), dpi=dpi, max_pixels=max_pixels, number=page.number + 1)
                for page in document
            ]
            texts = [page.get_textpage(flags=_TEXT_FLAGS) for page in document]
            lines = [read_lines(text.extractDICT()["blocks"], _placer(page)) for page, text in zip(document, texts)]
            mean = sum(len(line.text) for page in lines for line in page) / len(lines)
            if mean < min_characters:
                raise RejectedDocument(
                    "nearly_empty",
                    f"its pages hold {mean:.0f} characters on average; expected min_characters={min_characters}",
                )
            pages = tuple(
                _read_page(page, text, page_lines, size, dpi)
                for page, text, page_lines, size in zip(document, texts, lines, sizes)
            )
        except _ENGINE_ERRORS as error:
            raise RejectedDocument("unreadable", f"a page cannot be read ({error}); expected an intact PDF") from error
        outline = tuple(
            OutlineEntry(level, clean(title), page)
            for level, title, page in document.get_toc(simple=True)
            if 1 <= page <= len(pages)
        )
        title = clean(document.metadata.get("title") or "")
    return Source(title, f"pymupdf {pymupdf.__version__}", outline, pages)


def _read_page(page, text, lines: tuple[Line, ...], size: tuple[int, int], dpi: int) -> Page:
    pixmap = page.get_pixmap(dpi=dpi, colorspace=pymupdf.csRGB, alpha=False)
    width, height = pixmap.width, pixmap.height
    assert max(abs(width - size[0]), abs(height - size[1])) <= 1, (width, height, size)
    # Pillow encodes five times faster than MuPDF
    image = Image.frombuffer("RGB", (width, height), pixmap.samples_mv, "raw", "RGB", 0, 1)
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=JPEG_QUALITY)
    place = _placer(page)
    table_hint = any(_TABLE_HINT.match(line.text) for line in lines)
    words, grids, figures, rules = (), (), (), ()
    if table_hint:
        words = tuple(Word(clean(w[4]), place(w[:4])) for w in text.extractWORDS() if clean(w[4]))
    if table_hint or any(_CAPTION_HINT.match(line.text) for line in lines) or _may_be_ruled(page):
        figures, rules, areas = _drawings(page, place)
        grids = _grids(page, areas, place)
    return Page(
        page.number + 1,
        width,
        height,
        (page.rect.width, page.rect.height),
        encoded.getvalue(),
        lines,
        words,
        grids,
        figures,
        rules,
    )


def _placer(page) -> Callable[[tuple], Box]:
    """From MuPDF's boxes, which are those of the unrotated page, to fractions of the image, which is rotated."""
    a, b, c, d, e, f = page.rotation_matrix
    width, height = page.rect.width, page.rect.height

    def place(box) -> Box:
        x0, y0, x1, y1 = box
        xs = sorted(((a * x0 + c * y0 + e) / width, (a * x1 + c * y1 + e) / width))
        ys = sorted(((b * x0 + d * y0 + f) / height, (b * x1 + d * y1 + f) / height))
        return tuple(min(1.0, max(0.0, round(v, 5))) for v in (xs[0], ys[0], xs[1], ys[1]))

    return place


def _may_be_ruled(page) -> bool:
    """A cheap look at the page's program: listing its drawings costs as much as reading its text."""
    return len(_PATH_OPERATORS.findall(page.read_contents())) >= _PATHS_OF_A_TABLE


def _drawings(page, place) -> tuple[tuple[Box, ...], tuple[Box, ...], list[tuple]]:
    """Boxes of pictures and of horizontal lines, and where both directions of lines make a table."""
    figures, horizontal, vertical = [], [], []
    for kind, (x0, y0, x1, y1) in page.get_bboxlog():
        if "path" in kind and y1 - y0 < 3 and x1 - x0 > 8:
            horizontal.append((x0, y0, x1, y1))
        elif "path" in kind and x1 - x0 < 3 and y1 - y0 > 8:
            vertical.append((x0, y0, x1, y1))
        elif min(x1 - x0, y1 - y0) > 30 and kind.split("-")[-1] in ("image", "path", "shade"):
            figures.append(place((x0, y0, x1, y1)))
    rules = tuple(place(box) for box in horizontal if box[2] - box[0] > 20)
    return tuple(figures), rules, ruled_areas(horizontal, vertical)


def _grids(page, areas: list[tuple], place) -> tuple[Grid, ...]:
    grids = []
    for area in areas:
        # lines_strict ignores filled boxes, which are code listings and coloured heads; use_layout would load a network
        found = page.find_tables(clip=area, strategy="lines_strict", use_layout=False)
        for table in found.tables:
            text = tuple(tuple(None if c is None else _cell(c) for c in row) for row in table.extract())
            boxes = tuple(tuple(None if c is None else place(c) for c in row.cells) for row in table.rows)
            grids.append(Grid(place(table.bbox), text, boxes))
    return tuple(grids)


def _cell(text: str) -> str:
    return join_lines([clean(line) for line in text.split("\n")])
