"""Opening, rejecting, rendering and reading PDFs."""

import io
import pickle
import time

import pymupdf
import pytest
from PIL import Image
from synthetic_pdf import report

from mmprolong_hf.synthesis.pages import image_size, open_pdf, read_pdf
from mmprolong_hf.synthesis.rejected import RejectedDocument

TEXT = "Some words that stand on this page, so that it is not nearly empty at all."


def blank(path, pages=1, size=(612, 792), text=TEXT, **save):
    document = pymupdf.open()
    for _ in range(pages):
        document.new_page(width=size[0], height=size[1]).insert_text((72, 72), text)
    document.save(path, **save)
    return path


def reason_of(path, **options):
    with pytest.raises(RejectedDocument) as caught:
        read_pdf(path, **options)
    return caught.value.reason


def test_encrypted(tmp_path):
    path = blank(tmp_path / "a.pdf", encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="secret", owner_pw="owner")
    assert reason_of(path) == "encrypted"


@pytest.mark.parametrize("part", [0.1, 0.25, 0.6, 0.95])
@pytest.mark.parametrize("objects", [0, 1])
def test_truncated(tmp_path, part, objects):
    whole = blank(tmp_path / "a.pdf", pages=20, use_objstms=objects).read_bytes()
    path = tmp_path / "cut.pdf"
    path.write_bytes(whole[: int(part * len(whole))])
    assert reason_of(path) == "unreadable"


def test_no_pages(tmp_path):
    parts = [
        b"%PDF-1.4\n",
        b"1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n",
        b"2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n",
    ]
    first, second = len(parts[0]), len(parts[0]) + len(parts[1])
    end = second + len(parts[2])
    table = f"xref\n0 3\n0000000000 65535 f \n{first:010} 00000 n \n{second:010} 00000 n \n"
    path = tmp_path / "empty.pdf"
    path.write_bytes(b"".join(parts) + f"{table}trailer<</Size 3/Root 1 0 R>>\nstartxref\n{end}\n%%EOF\n".encode())
    assert reason_of(path) == "no_pages"


def test_ten_thousand_pages_are_rejected_without_being_read(tmp_path):
    document = pymupdf.open()
    for _ in range(10_000):
        document.new_page()
    document.save(tmp_path / "long.pdf")
    started = time.perf_counter()
    assert reason_of(tmp_path / "long.pdf") == "too_many_pages"
    assert time.perf_counter() - started < 2


def test_page_limits(tmp_path):
    path = blank(tmp_path / "a.pdf", pages=3)
    assert reason_of(path, min_pages=4) == "too_few_pages"
    assert reason_of(path, max_pages=2) == "too_many_pages"
    assert len(read_pdf(path, min_pages=3, max_pages=3).pages) == 3


def test_a_page_of_20_metres_is_rejected_before_it_is_rendered(tmp_path):
    path = blank(tmp_path / "wide.pdf", size=(20 / 0.0254 * 72, 792))
    started = time.perf_counter()
    assert reason_of(path) == "page_too_large"
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("points", [(9000.0, 9000.0), (9000.0, 72.0), (7200.0, 10.0)])
def test_image_size_limits(points):
    with pytest.raises(RejectedDocument, match="page_too_large: page 1 would be"):
        image_size(points, dpi=144, max_pixels=40_000_000)


@pytest.mark.parametrize("content", [b"<html><body>404 Not Found</body></html>", b"\x89PNG\r\n", b""])
def test_not_a_pdf(tmp_path, content):
    (tmp_path / "page.pdf").write_bytes(content)
    assert reason_of(tmp_path / "page.pdf") == "not_a_pdf"


def test_html_that_speaks_of_pdf_is_still_no_pdf(tmp_path):
    (tmp_path / "page.pdf").write_bytes(b"<html><body>%PDF-1.4 is a header</body></html>")
    assert reason_of(tmp_path / "page.pdf") in ("not_a_pdf", "unreadable")


def test_nearly_empty(tmp_path):
    path = blank(tmp_path / "a.pdf", pages=2, text="two words")
    assert reason_of(path) == "nearly_empty"
    assert len(read_pdf(path, min_characters=5).pages) == 2


def test_a_rejection_says_what_to_do_and_can_be_pickled(tmp_path):
    with pytest.raises(RejectedDocument, match="it has 3 pages; expected at most max_pages=2") as caught:
        open_pdf(blank(tmp_path / "a.pdf", pages=3), max_pages=2)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_pages_are_jpeg_of_the_asked_resolution(tmp_path):
    page = read_pdf(report(tmp_path / "a.pdf", chapters=1), dpi=72).pages[0]
    image = Image.open(io.BytesIO(page.image))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (612, 792))
    assert (page.width, page.height) == image.size


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("crop", [None, (40, 30, 560, 700)])
def test_boxes_lie_on_their_ink_however_the_page_is_rotated_or_cropped(tmp_path, rotation, crop):
    document = pymupdf.open()
    page = document.new_page(width=612, height=792)
    page.insert_text((100, 150), "A single line of large text", fontsize=24)
    page.set_rotation(rotation)
    if crop:
        page.set_cropbox(pymupdf.Rect(crop))
    document.save(tmp_path / "a.pdf")
    page = read_pdf(tmp_path / "a.pdf", min_characters=1).pages[0]
    image = Image.open(io.BytesIO(page.image)).convert("L").point(lambda v: 255 if v < 128 else 0)
    ink = [v / side for v, side in zip(image.getbbox(), (image.width, image.height) * 2)]
    box = page.lines[0].box
    assert all(a - 0.03 <= b for a, b in zip(box[:2], ink[:2]))
    assert all(b - 0.03 <= a for a, b in zip(box[2:], ink[2:]))
    assert all(abs(a - b) < 0.03 for a, b in zip(box, ink))


def test_words_and_rules_are_read_only_where_a_table_may_stand(tmp_path):
    pages = read_pdf(report(tmp_path / "a.pdf", chapters=1)).pages
    assert [bool(p.words) for p in pages] == [False, True, False]
    assert len(pages[1].rules) == 3
    assert pages[2].figures
