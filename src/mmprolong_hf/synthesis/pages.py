"""
Opens PDFs, renders their pages and reads the text and lines under them.

The only file that imports PyMuPDF (AGPL-3.0): it is needed to build a dataset, not to train on one. MuPDF is not
thread-safe; call this from processes, never from threads.
"""

import gc
import re
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pymupdf
from PIL import Image
from pymupdf import mupdf

from .elements import Grid, OutlineEntry, Page, Source, Word, union
from .images import POINTS_PER_INCH, encode_image, image_size, placer, to_pixels
from .lines import read_lines
from .rejected import RejectedDocument
from .ruling import read_cells, ruled_cells
from .text import clean

ENGINE = f"pymupdf {pymupdf.__version__}"
# Ligatures are split and text outside the page is dropped by MuPDF; images would be copied into the answer.
_TEXT_FLAGS = (
    (pymupdf.TEXTFLAGS_DICT | pymupdf.TEXT_MEDIABOX_CLIP)
    & ~pymupdf.TEXT_PRESERVE_IMAGES
    & ~pymupdf.TEXT_PRESERVE_LIGATURES
)
# PyMuPDF turns some of MuPDF's own exceptions into RuntimeError and lets others through
_ENGINE_ERRORS = (RuntimeError, pymupdf.mupdf.FzErrorBase)
_TRAILER = 2048  # bytes at the end in which every whole PDF says where its table of objects is
_TABLE_HINT = re.compile(r"^(?:table|tab\.|表)\s*\S*\d", re.IGNORECASE)

pymupdf.TOOLS.mupdf_display_errors(False)
pymupdf.TOOLS.mupdf_display_warnings(False)


@contextmanager
def _collector_paused():
    """What is read of a document holds no cycles, and the collector would look through all of it again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def open_pdf(pdf: str | Path | bytes, *, min_pages: int = 1, max_pages: int = 200) -> pymupdf.Document:
    """
    Open a PDF after checking everything that can be checked without reading a page.

    Args:
        pdf (`str`, `Path` or `bytes`): The file, or what is in it.
        min_pages (`int`, *optional*, defaults to `1`): Fewer pages are rejected.
        max_pages (`int`, *optional*, defaults to `200`): More pages are rejected; this takes no time, whatever their number.

    Raises:
        RejectedDocument: not_a_pdf, unreadable, encrypted, no_pages, too_few_pages, too_many_pages.
    """
    data = pdf if isinstance(pdf, bytes) else Path(pdf).read_bytes()
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


@_collector_paused()
def read_pdf(
    pdf: str | Path | bytes,
    *,
    dpi: int = 144,
    min_pages: int = 1,
    max_pages: int = 200,
    max_pixels: int = 40_000_000,
    min_characters: int = 50,
    image_format: str = "jpeg",
    images: bool = True,
) -> Source:
    """
    Read a whole PDF: every page rendered, with its text, lines and ruled tables.

    Args:
        pdf (`str`, `Path` or `bytes`): The file, or what is in it.
        dpi (`int`, *optional*, defaults to `144`): Pixels per inch of the images.
        min_pages (`int`, *optional*, defaults to `1`): Fewer pages are rejected.
        max_pages (`int`, *optional*, defaults to `200`): More pages are rejected.
        max_pixels (`int`, *optional*, defaults to `40_000_000`): A larger page image is rejected before it is rendered.
        min_characters (`int`, *optional*, defaults to `50`): Mean number of characters on a page below which the
            document is rejected as nearly empty (or as a scan, which needs a layer of text first).
        image_format (`str`, *optional*, defaults to `"jpeg"`): One of `images.IMAGE_FORMATS`.
        images (`bool`, *optional*, defaults to `True`): Whether to render the pages. Without, `Page.image` is empty, and
            everything else is the same: the compact form of a set needs only sizes and text.

    Raises:
        RejectedDocument: as [`open_pdf`], and page_too_large, nearly_empty, unreadable.
        ValueError: for an unknown `image_format`.
    """
    with open_pdf(pdf, min_pages=min_pages, max_pages=max_pages) as document:
        try:
            pages, characters = [], 0
            for page in document:
                points = _points(page)
                size = image_size(points, dpi=dpi, max_pixels=max_pixels, number=page.number + 1)
                displaylist = page.get_displaylist()  # the page's program is run once, for text, drawings and image
                read = _read_page(page, displaylist, points, size)
                characters += sum(len(line.text) for line in read.lines)
                # a scan is not rendered page by page only to be rejected in the end
                if images and characters >= min_characters * (page.number + 1):
                    read = replace(read, image=_encode(_render(displaylist, size, dpi), image_format))
                pages.append(read)
            if characters < min_characters * len(pages):
                raise RejectedDocument(
                    "nearly_empty",
                    f"its pages hold {characters / len(pages):.0f} characters on average; expected "
                    f"min_characters={min_characters}",
                )
            for k, read in enumerate(pages):
                if images and not read.image:
                    pages[k] = replace(read, image=render_page(document, k + 1, dpi=dpi, image_format=image_format))
        except _ENGINE_ERRORS as error:
            raise RejectedDocument("unreadable", f"a page cannot be read ({error}); expected an intact PDF") from error
        outline = tuple(
            OutlineEntry(level, clean(title), page)
            for level, title, page in document.get_toc(simple=True)
            if 1 <= page <= len(pages)
        )
        title = clean(document.metadata.get("title") or "")
    return Source(title, ENGINE, outline, tuple(pages))


def render_page(document: pymupdf.Document, number: int, *, dpi: int, image_format: str = "jpeg") -> bytes:
    """
    One page as the same bytes that [`read_pdf`] makes of it.

    Args:
        document (`pymupdf.Document`): Opened.
        number (`int`): 1-based.
        dpi (`int`): Pixels per inch.
        image_format (`str`, *optional*, defaults to `"jpeg"`): One of `images.IMAGE_FORMATS`.
    """
    page = document[number - 1]
    return _encode(_render(page.get_displaylist(), to_pixels(_points(page), dpi), dpi), image_format)


def _points(page) -> tuple[float, float]:
    rect = page.rect  # each look at it is a call to the engine
    return rect.width, rect.height


def _render(displaylist, size: tuple[int, int], dpi: int) -> pymupdf.Pixmap:
    """The pixels of `Page.get_pixmap(dpi=dpi)`, in the four bytes a pixel in which Pillow takes them without a copy."""
    zoom = mupdf.FzMatrix(dpi / POINTS_PER_INCH, 0, 0, dpi / POINTS_PER_INCH, 0, 0)
    pixels = mupdf.fz_make_irect(0, 0, *size)
    # without separations: pymupdf.Pixmap adds empty ones, and MuPDF then draws other shades of grey
    pixmap = mupdf.fz_new_pixmap_with_bbox(pymupdf.csRGB.this, pixels, mupdf.FzSeparations(), 1)
    mupdf.fz_clear_pixmap_with_value(pixmap, 255)
    _run(displaylist, mupdf.fz_new_draw_device(zoom, pixmap), mupdf.FzMatrix())
    return pymupdf.Pixmap("raw", pixmap)


def _encode(pixmap: pymupdf.Pixmap, image_format: str) -> bytes:
    size = (pixmap.width, pixmap.height)
    return encode_image(Image.frombuffer("RGBX", size, pixmap.samples_mv, "raw", "RGBX", 0, 1), image_format)


def _run(displaylist, device, matrix) -> None:
    everything = mupdf.FzRect(mupdf.FzRect.Fixed_INFINITE)
    mupdf.fz_run_display_list(displaylist.this, device, matrix, everything, mupdf.FzCookie())
    mupdf.fz_close_device(device)


def _read_page(page, displaylist, points: tuple[float, float], size: tuple[int, int]) -> Page:
    """Everything of a page but its image."""
    rotation = page.rotation  # of a rotated page MuPDF finds no lines: its text is read as if it were not
    if rotation:
        text = page.get_textpage(flags=_TEXT_FLAGS)
    else:
        text = pymupdf.TextPage(displaylist.get_textpage(flags=_TEXT_FLAGS))
    place = placer(points, page.rotation_matrix if rotation else None)
    lines = read_lines(text.extractDICT()["blocks"], place)
    words = ()
    if any(_TABLE_HINT.match(line.text) for line in lines):
        words = tuple(Word(clean(w[4]), place(w[:4])) for w in text.extractWORDS() if clean(w[4]))
    figures, horizontal, vertical = _drawings(displaylist, page.derotation_matrix if rotation else ())
    grids = tuple(_grid(rows, text.extractWORDS(), place) for rows in ruled_cells(horizontal, vertical))
    return Page(
        number=page.number + 1,
        width=size[0],
        height=size[1],
        points=points,
        image=b"",
        lines=lines,
        words=words,
        grids=grids,
        figures=tuple(place(box) for box in figures),
        rules=tuple(place(box) for box in horizontal if box[2] - box[0] > 20),
    )


def _drawings(displaylist, derotation: tuple) -> tuple[list[tuple], list[tuple], list[tuple]]:
    """Boxes of pictures, of horizontal and of vertical lines, in points of the unrotated page."""
    boxes = []
    device = pymupdf.JM_new_bbox_device(boxes, False)  # that of Page.get_bboxlog, which lists every piece of text too
    device.use_virtual_fill_text(False)
    device.use_virtual_stroke_text(False)
    device.use_virtual_ignore_text(False)
    _run(displaylist, device, mupdf.FzMatrix(*derotation))
    figures, horizontal, vertical = [], [], []
    for kind, box in boxes:
        width, height = box[2] - box[0], box[3] - box[1]
        if "path" in kind and height < 3 and width > 8:
            horizontal.append(box)
        elif "path" in kind and width < 3 and height > 8:
            vertical.append(box)
        elif min(width, height) > 30 and not kind.endswith("imgmask"):
            figures.append(box)
    return figures, horizontal, vertical


def _grid(rows: list[list[tuple | None]], words: list[tuple], place) -> Grid:
    boxes = tuple(tuple(cell and place(cell) for cell in row) for row in rows)
    cells = tuple(tuple(row) for row in read_cells(rows, words))
    return Grid(union([cell for row in boxes for cell in row if cell]), cells, boxes)
