"""Opening, rejecting, rendering and reading PDFs."""

import dataclasses
import io
import pickle
import time

import pymupdf
import pytest
from PIL import Image
from synthetic_pdf import report, rows, table

from mmprolong_hf.synthesis import pages
from mmprolong_hf.synthesis.pages import open_pdf, read_pdf, render_page
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


@pytest.mark.parametrize("dpi", [50, 72, 100, 144])
def test_pages_have_the_pixels_of_the_engines_own_images(tmp_path, dpi):
    document = pymupdf.open()
    for size, rotation in (((612, 792), 0), ((595.276, 841.89), 90), ((363.03, 272.2), 0)):
        page = document.new_page(width=size[0], height=size[1])
        page.insert_text((72, 72), TEXT, fontsize=12)
        page.draw_circle((200, 150), 60, color=(1, 0, 0), fill=(0.2, 0.9, 0.7), fill_opacity=0.5)
        page.set_rotation(rotation)
    document.save(tmp_path / "a.pdf")
    for page, bare in zip(read_pdf(tmp_path / "a.pdf", dpi=dpi, image_format="png").pages, document, strict=True):
        expected = bare.get_pixmap(dpi=dpi, colorspace=pymupdf.csRGB, alpha=False)
        assert (page.width, page.height) == (expected.width, expected.height)
        assert Image.open(io.BytesIO(page.image)).tobytes() == expected.samples


def test_lossless_formats_have_the_same_pixels(tmp_path):
    path = report(tmp_path / "a.pdf", chapters=1)
    png, webp, jpeg = (
        Image.open(io.BytesIO(read_pdf(path, dpi=72, image_format=name).pages[2].image))
        for name in ("png", "webp", "jpeg")
    )
    assert png.mode == webp.mode == jpeg.mode == "RGB"
    assert png.tobytes() == webp.tobytes() != jpeg.tobytes()
    with pytest.raises(ValueError, match="image_format is 'gif', expected one of jpeg, png, webp"):
        read_pdf(path, image_format="gif")


def test_without_images_everything_else_is_the_same(tmp_path):
    path = report(tmp_path / "a.pdf", chapters=1)
    whole, parsed = read_pdf(path), read_pdf(path.read_bytes(), images=False)
    assert all(page.image for page in whole.pages)
    without = [dataclasses.replace(page, image=b"") for page in whole.pages]
    assert dataclasses.replace(whole, pages=tuple(without)) == parsed


def test_a_page_that_waited_for_text_is_rendered_in_the_end(tmp_path, monkeypatch):
    document = pymupdf.open(blank(tmp_path / "a.pdf", pages=3))
    document.new_page(0)  # an empty cover
    document.save(tmp_path / "b.pdf")
    found = read_pdf(tmp_path / "b.pdf").pages
    assert [page.image for page in found] == [render_page(document, k, dpi=144) for k in (1, 2, 3, 4)]
    document.new_page(0)  # more of them
    document.delete_pages(3, 4)
    document.save(tmp_path / "c.pdf")
    monkeypatch.setattr(pages, "_render", lambda *args: pytest.fail("rendered a document that is rejected"))
    assert reason_of(tmp_path / "c.pdf") == "nearly_empty"


@pytest.mark.parametrize("rotation", [0, 90])
def test_ruled_cells_are_read_with_their_boxes(tmp_path, rotation):
    document = pymupdf.open()
    page = document.new_page(width=612, height=792)
    table(page, 200, "Stations", rows(1), ruled=True, left=72)
    page.insert_text((72, 400), TEXT)
    page.set_rotation(rotation)
    document.save(tmp_path / "a.pdf")
    (grid,) = read_pdf(tmp_path / "a.pdf", min_characters=1).pages[0].grids
    assert [list(row) for row in grid.cells] == rows(1)
    x0, y0, x1, y1 = grid.boxes[1][0]
    expected = (72 / 612, 218 / 792, 212 / 612, 236 / 792)
    if rotation:  # clockwise
        expected = (1 - expected[3], expected[0], 1 - expected[1], expected[2])
    assert (x0, y0, x1, y1) == pytest.approx(expected, abs=0.002)


def test_words_with_underscores_stay_whole_in_a_cell(tmp_path):
    document = pymupdf.open()
    page = document.new_page(width=612, height=792)
    table(page, 200, "Names", [["Name", "Use"], ["label_max_dx", "An offset"], ["x", "Another"]], ruled=True)
    page.insert_text((72, 400), TEXT)
    document.save(tmp_path / "a.pdf")
    (grid,) = read_pdf(tmp_path / "a.pdf", min_characters=1).pages[0].grids
    assert grid.cells[1] == ("label_max_dx", "An offset")
