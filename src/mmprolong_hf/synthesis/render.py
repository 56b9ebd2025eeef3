"""
Renders the pages of a PDF when they are needed, to the same bytes that a build embeds.

The engine that a row names decides who renders: PyMuPDF (AGPL-3.0), or PDFium, which needs no PyMuPDF to be installed. A build
reads text through PyMuPDF and so renders with it; `engine="pypdfium2"` draws the pages of any row nearly alike, in the same sizes.
"""

import sys
import warnings
from collections.abc import Callable, Sequence
from functools import cache, cached_property

import pypdfium2

from .images import POINTS_PER_INCH, encode_image, to_pixels
from .rejected import RejectedDocument


def render_page(pdf: bytes, number: int, *, dpi: int, engine: str, image_format: str = "jpeg") -> bytes:
    """
    One page of a PDF as encoded bytes; for several pages of one PDF take [`PdfPages`], which opens it once.

    Args:
        pdf (`bytes`): What is in the file.
        number (`int`): 1-based.
        dpi (`int`): Pixels per inch.
        engine (`str`): As a row names it, e.g. `"pymupdf 1.28.2"`, or the name alone.
        image_format (`str`, *optional*, defaults to `"jpeg"`): One of `images.IMAGE_FORMATS`.

    Raises:
        IndexError: if there is no such page.
        ImportError, RejectedDocument, ValueError: as [`PdfPages`].
    """
    if number < 1:
        raise IndexError(f"page number is {number}, expected at least 1")
    return PdfPages(pdf, dpi, engine, image_format)[number - 1]["bytes"]


class PdfPages(Sequence):
    """
    The pages of a PDF as rows of `datasets.Image(decode=False)`, each rendered when it is asked for.

    It can be pickled, and opens the PDF where it is used. Like the engines it may not be shared by threads.

    Args:
        pdf (`bytes`): What is in the file, as the column `pdf` of a row in the compact form.
        dpi (`int`): Pixels per inch, as the row's.
        engine (`str`): As the row names it, e.g. `"pymupdf 1.28.2"`: pages are equal byte by byte only in the same version, and
            another one that is installed is used with a warning. The name alone is any version.
        image_format (`str`, *optional*, defaults to `"jpeg"`): One of `images.IMAGE_FORMATS`.

    Raises:
        ValueError: for an unknown engine.
        ImportError: if the engine is not installed.
        RejectedDocument: if the PDF cannot be opened, or a page cannot be rendered.

    Example:

    ```python
    >>> import io
    >>> from PIL import Image
    >>> document = pypdfium2.PdfDocument.new()
    >>> _ = document.new_page(72, 144)
    >>> document.save(buffer := io.BytesIO())
    >>> pages = PdfPages(buffer.getvalue(), 36, "pypdfium2", "png")
    >>> len(pages), Image.open(io.BytesIO(pages[0]["bytes"])).size
    (1, (36, 72))

    ```
    """

    def __init__(self, pdf: bytes, dpi: int, engine: str, image_format: str = "jpeg"):
        if engine.partition(" ")[0] not in _OPENERS:
            raise ValueError(
                f"engine is {engine!r}, expected {' or '.join(_OPENERS)}, perhaps with a version behind it"
            )
        self.pdf, self.dpi, self.engine, self.image_format = pdf, dpi, engine, image_format

    def __len__(self) -> int:
        return self._opened[0]

    def __getitem__(self, index: int | slice) -> dict | list[dict]:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"there is no page {index + 1}: the PDF has {len(self)}")
        return {"bytes": self._opened[1](position + 1, self.dpi, self.image_format), "path": None}

    def __getstate__(self) -> dict:
        return {name: value for name, value in vars(self).items() if name != "_opened"}

    @cached_property
    def _opened(self) -> tuple[int, Callable[[int, int, str], bytes]]:
        return _OPENERS[self.engine.partition(" ")[0]](self.pdf, self.engine)


def _open_with_pymupdf(pdf: bytes, engine: str) -> tuple[int, Callable[[int, int, str], bytes]]:
    try:
        from . import pages  # here, because training does without PyMuPDF where PDFium renders
    except ImportError as error:
        raise ImportError(
            f"these pages are rendered by {engine}, and PyMuPDF is not installed: install mmprolong_hf[pdf], or name "
            "engine='pypdfium2' for pages that look nearly alike"
        ) from error
    _warn_if_other(engine, pages.ENGINE)
    document = pages.open_pdf(pdf, max_pages=sys.maxsize)

    def render(number: int, dpi: int, image_format: str) -> bytes:
        try:
            return pages.render_page(document, number, dpi=dpi, image_format=image_format)
        except pages.mupdf.FzErrorSystem:  # no memory: not the PDF's fault
            raise
        except (pages.mupdf.FzErrorBase, RuntimeError) as error:
            raise RejectedDocument("unreadable", f"page {number} cannot be rendered ({error})") from error

    return document.page_count, render


def _open_with_pdfium(pdf: bytes, engine: str) -> tuple[int, Callable[[int, int, str], bytes]]:
    _warn_if_other(engine, f"pypdfium2 {pypdfium2.version.PYPDFIUM_INFO.version}")
    try:
        document = pypdfium2.PdfDocument(pdf)
    except pypdfium2.PdfiumError as error:
        raise RejectedDocument("unreadable", f"it cannot be opened ({error}); expected an intact PDF") from error
    document.init_forms()  # else the fields of forms are not drawn
    return len(document), lambda number, dpi, kind: _render_with_pdfium(document, number, dpi, kind)


def _render_with_pdfium(document: pypdfium2.PdfDocument, number: int, dpi: int, image_format: str) -> bytes:
    try:
        page = document[number - 1]
        bitmap = page.render(scale=dpi / POINTS_PER_INCH, rev_byteorder=True, prefer_bgrx=True)
    except pypdfium2.PdfiumError as error:
        raise RejectedDocument("unreadable", f"page {number} cannot be rendered ({error})") from error
    image = bitmap.to_pil().crop((0, 0, *to_pixels(page.get_size(), dpi)))  # PDFium rounds a thousandth of a pixel up
    page.close()
    return encode_image(image, image_format)


@cache
def _warn_if_other(wanted: str, installed: str) -> None:
    """Once for each pair of versions: a training set names the same one in every row."""
    if " " in wanted and wanted != installed:
        warnings.warn(
            f"these pages were made by {wanted}, and {installed} is installed: they are rendered again, and may differ "
            "in some pixels",
            stacklevel=2,
        )


_OPENERS = {"pymupdf": _open_with_pymupdf, "pypdfium2": _open_with_pdfium}
