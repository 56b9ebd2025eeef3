"""Published sets with pages that cannot be read, in the ways that real files break."""

import re
from io import BytesIO

import pymupdf
import tiny
from datasets import Dataset
from PIL import Image

from mmprolong_hf.synthesis.schema import DOCUMENT_FEATURES


def png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _bytes(data: bytes | None) -> dict:
    return {"bytes": data, "path": None}


PAGE = tiny.page(7)
JPEG, PNG = tiny.jpeg(PAGE), png(PAGE)
# What stands in the place of a page, and why it cannot be trained on
BROKEN = {
    "no image at all": (_bytes(b"\xff\xd8 no picture"), "undecodable"),
    "a JPEG cut short": (_bytes(JPEG[: len(JPEG) // 2]), "undecodable"),
    "a PNG cut short": (_bytes(PNG[: len(PNG) // 2]), "undecodable"),
    "a PNG whose header is damaged": (_bytes(PNG[:20] + b"\x00\x00\x00\x09" + PNG[24:]), "undecodable"),
    "a PNG whose pixels are damaged": (_bytes(PNG[:60] + bytes(40) + PNG[100:]), "undecodable"),
    "no bytes": (_bytes(b""), "missing"),
    "null bytes": (_bytes(None), "missing"),
    "null": (None, "missing"),
    "another size": (_bytes(tiny.jpeg(tiny.page(7, 140, 140))), "wrong_size"),
}


def pdf_without_its_first_page() -> bytes:
    """Of two pages; it can be opened, and the first has no object."""
    document = pymupdf.open()
    for _ in range(2):
        document.new_page(width=100, height=100)
    return re.sub(rb"/Kids\[\d+ 0 R", b"/Kids[null ", document.tobytes())


def with_page(documents: Dataset, document: int, image: dict | None) -> Dataset:
    """The same rows, but for the first page of one."""
    rows = documents.to_list()
    rows[document]["images"][0] = image
    return Dataset.from_list(rows, features=DOCUMENT_FEATURES)


def without(documents: Dataset, document: int) -> Dataset:
    return documents.select([index for index in range(len(documents)) if index != document])
