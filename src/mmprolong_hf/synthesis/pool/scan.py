"""
One PDF to one row of the manifest: what it is, and the hashes by which it is compared with others.

PDFium alone reads it, so that a pool can be scanned where PyMuPDF is not wanted. PDFium is not thread-safe; call this
from processes, never from threads, with limits of time and memory for what a broken file may do.
"""

import hashlib
import math
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium

from ...lengths import QWEN2_5_VL_LIMITS, page_tokens
from ..images import image_size
from ..rejected import RejectedDocument
from .language import language_of
from .manifest import FLAGS
from .options import PoolOptions
from .page_image import hash_image
from .quality import pages_flaw, text_flaw
from .shingles import sample, shingles, signature, words_of

_TRAILER = 2048  # bytes at the end in which every whole PDF says where its table of objects is
_MAX_OUTLINE = 10_000  # bookmarks; a hostile file links them in circles
_COPYING = 1 << 4  # ISO 32000-1, table 22: bit 5 permits to copy text
_NO_TEXT = 50  # fewer characters on a page are a page number or a stamp
_SMALL_DPI, _SMALL_SIDE = 36, 512  # of the rendering that is hashed; at 18 dpi it takes as long
_OPENING = {
    pdfium.FPDF_ERR_PASSWORD: ("encrypted", "it needs a password; save it without one"),
    pdfium.FPDF_ERR_SECURITY: ("encrypted", "it is encrypted in an unknown way; save it without encryption"),
}


def scan_pdf(path: str | Path, source: str, *, dpi: int = 144, options: PoolOptions) -> dict:
    """
    Read what the pool must know of one PDF.

    Page sizes are those that `pages.read_pdf` renders, but for the rare page with a /UserUnit, which PDFium does not
    know.

    Args:
        path (`str` or `Path`): The file.
        source (`str`): How the row names it.
        dpi (`int`, *optional*, defaults to `144`): Pixels per inch at which its pages will be rendered.
        options (`PoolOptions`): The limits.

    Returns:
        `dict`: A row of `manifest.POOL_SCHEMA`.

    Raises:
        RejectedDocument: not_a_pdf, unreadable, encrypted, no_pages, too_few_pages, too_many_pages (before a page is
            read), page_too_large, nearly_empty, scanned (before a page is rendered).
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise RejectedDocument("unreadable", f"the file cannot be read ({error.strerror})") from error
    with _open(data) as document:
        if found := pages_flaw(len(document), options):
            raise RejectedDocument(*found)
        try:
            sizes = [
                image_size(document.get_page_size(k), dpi=dpi, max_pixels=options.max_pixels, number=k + 1)
                for k in range(len(document))
            ]
            pages = [_read_page(document, k) for k in range(len(document))]
            texts = [page.text for page in pages]
            row = {
                "doc_id": hashlib.sha256(data).hexdigest(),
                "source": source.encode("utf-8", "backslashreplace").decode(),  # a file's name need not be text
                "bytes": len(data),
                "num_pages": len(document),
                "dpi": dpi,
                "page_sizes": [list(size) for size in sizes],
                "page_tokens": sum(page_tokens(*size, QWEN2_5_VL_LIMITS) for size in sizes),
                "characters": sum(map(len, texts)),
                "scanned_pages": sum(page.scanned for page in pages),
            }
            if found := text_flaw(row, options):
                raise RejectedDocument(*found)
            images = [page.image or _hash_page(document[k]) for k, page in enumerate(pages)]
        except pypdfium2.PdfiumError as error:
            raise RejectedDocument("unreadable", f"a page cannot be read ({error}); expected an intact PDF") from error
        row["outline_entries"] = sum(1 for _ in islice(document.get_toc(), _MAX_OUTLINE))
        row["flags"] = _flags(document)
    row["language"], row["language_confidence"] = language_of(texts)
    words = [words_of(text) for text in texts]
    row["repeated_pages"] = _count_repeated(words)
    return row | _fingerprints(words, images, wordless=row["characters"] < _NO_TEXT * len(pages))


def _open(data: bytes) -> pypdfium2.PdfDocument:
    if b"%PDF-" not in data[:1024]:
        raise RejectedDocument("not_a_pdf", "its first 1024 bytes hold no %PDF- header; expected a PDF")
    if b"startxref" not in data[-_TRAILER:]:  # PDFium would recover some pages
        raise RejectedDocument(
            "unreadable", "it is truncated: its end names no table of objects; expected an intact PDF"
        )
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if handle := pdfium.FPDF_LoadMemDocument64(data, len(data), None):  # pypdfium2 refuses what PDFium opens
            pdfium.FPDF_CloseDocument(handle)
            raise RejectedDocument("no_pages", "it has no page; expected at least one") from error
        reason = ("unreadable", f"it cannot be opened ({error}); expected an intact PDF")
        raise RejectedDocument(*_OPENING.get(error.err_code, reason)) from error


class _PageScan(NamedTuple):
    text: str
    scanned: bool
    image: bytes  # empty: not looked at yet


def _read_page(document: pypdfium2.PdfDocument, index: int) -> _PageScan:
    """A page without text is rendered later, and only if there is enough text on the others."""
    with closing(document[index]) as page:
        lines = page.get_textpage().get_text_range().split("\n")
        text = "\n".join(" ".join(line.split()) for line in lines)
        if len(text) >= _NO_TEXT:
            return _PageScan(text, False, _hash_page(page))
        return _PageScan(text, 2 * _image_area(page) >= math.prod(page.get_size()), b"")


def _image_area(page: pypdfium2.PdfPage) -> float:
    """Square points, images in strips added up."""
    boxes = (image.get_bounds() for image in page.get_objects([pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3))
    return sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes)


def _hash_page(page: pypdfium2.PdfPage) -> bytes:
    scale = min(_SMALL_DPI / 72, _SMALL_SIDE / max(page.get_size()))
    return hash_image(page.render(scale=scale, grayscale=True).to_pil())


def _flags(document: pypdfium2.PdfDocument) -> list[str]:
    form = document.get_formtype()
    restricted = not pdfium.FPDF_GetDocPermissions(document) & _COPYING
    found = (restricted, form != pdfium.FORMTYPE_NONE, form == pdfium.FORMTYPE_XFA_FULL)
    return [flag for flag, present in zip(FLAGS, found) if present]


def _count_repeated(pages: list[list[str]]) -> int:
    """Pages that say what an earlier page says, page numbers at both ends aside; pages without words do not count."""
    said = [tuple(words) for words in map(_without_number, pages) if words]
    return len(said) - len(set(said))


def _without_number(words: list[str]) -> list[str]:
    words = words[1:] if words and words[0].isdigit() else words
    return words[:-1] if words and words[-1].isdigit() else words


def _fingerprints(pages: list[list[str]], images: list[bytes], *, wordless: bool) -> dict:
    hashes = [shingles(words) for words in pages]
    members = np.concatenate(hashes)
    if wordless:  # what words there are may be a library's stamp, the same on every scan
        members = np.array([_number(image) for image in images if any(image)], np.uint64)
    return {
        "minhash": signature(members),
        "page_shingles": [sample(page).astype("<u8").tobytes() for page in hashes],
        "page_images": b"".join(images),
    }


def _number(image: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(image, digest_size=8).digest(), "little")
