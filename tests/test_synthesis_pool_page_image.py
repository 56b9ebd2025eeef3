"""A page is known by its looks."""

import io

import numpy as np
import pymupdf
import pypdfium2
import pytest
from PIL import Image
from test_synthesis_pool_scan import prose

from mmprolong_hf.synthesis.pool.options import PoolOptions
from mmprolong_hf.synthesis.pool.page_image import hash_image


def distance(a: Image.Image, b: Image.Image) -> int:
    bits = [np.frombuffer(hash_image(image.convert("L")), np.uint8) for image in (a, b)]
    return int(np.bitwise_count(bits[0] ^ bits[1]).sum())


@pytest.fixture
def pages(tmp_path):
    """Small grey pages as the scan renders them, and the document."""
    path = prose(tmp_path / "a.pdf", 1, pages=6)
    document = pypdfium2.PdfDocument(path)
    return [page.render(scale=0.5, grayscale=True).to_pil() for page in document], pymupdf.open(path)


@pytest.mark.parametrize(("dpi", "quality"), [(72, 50), (100, 75), (144, 85), (200, 90)])
def test_another_engine_resolution_and_compression_make_no_other_page(pages, dpi, quality):
    small, document = pages
    for image, page in zip(small, document):
        pixmap, encoded = page.get_pixmap(dpi=dpi), io.BytesIO()
        Image.frombytes("RGB", (pixmap.width, pixmap.height), pixmap.samples).save(encoded, "JPEG", quality=quality)
        assert distance(image, Image.open(encoded)) <= PoolOptions().image_distance


def test_pages_of_the_same_design_are_told_apart(pages):
    small, _ = pages
    for k, image in enumerate(small):
        for other in small[:k]:
            assert distance(image, other) > PoolOptions().image_distance + 10


def test_a_page_number_alone_is_too_little():
    document = pymupdf.open()
    document.new_page().insert_text((300, 800), "17")
    pixmap = document[0].get_pixmap(dpi=36, colorspace=pymupdf.csGRAY)
    assert not any(hash_image(Image.frombytes("L", (pixmap.width, pixmap.height), pixmap.samples)))
