"""What the pool learns of one PDF."""

import hashlib
import io
import random
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pymupdf
import pytest
from PIL import Image
from synthetic_pdf import report

from mmprolong_hf.lengths import page_tokens
from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.pool.manifest import POOL_SCHEMA
from mmprolong_hf.synthesis.pool.options import PoolOptions
from mmprolong_hf.synthesis.pool.scan import scan_pdf
from mmprolong_hf.synthesis.rejected import RejectedDocument

OPTIONS = PoolOptions(min_pages=1)
TEXT = """the water of a river moves slowly where its bed is wide and each spring brings new sand from mountains that were
measured by surveyors who walked along both banks with chains poles and books writing down every bend they saw"""


def prose(path: Path, seed: int, *, pages: int = 3, first: str = "", last: str = "", rotate: int = 0) -> Path:
    """Pages of 400 words that no other seed has; `first` and `last` stand on pages of their own around them."""
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(TEXT.split(), k=400)) for _ in range(pages)]
    document = pymupdf.open()
    for text in [first] * bool(first) + texts + [last] * bool(last):
        page = document.new_page()
        page.insert_textbox((72, 72, 523, 770), text, fontsize=12)
        page.set_rotation(rotate)
    document.save(path, no_new_id=True)
    return path


def as_images(
    path: Path, target: Path, *, dpi: int = 100, pages: list[int] | None = None, after: Path | None = None
) -> Path:
    """A PDF of JPEG pictures of pages, at the end of another PDF if `after` names one."""
    document = pymupdf.open(after) if after else pymupdf.open()
    with pymupdf.open(path) as original:
        for index in pages if pages is not None else range(len(original)):
            pixmap, encoded = original[index].get_pixmap(dpi=dpi), io.BytesIO()
            Image.frombytes("RGB", (pixmap.width, pixmap.height), pixmap.samples).save(encoded, "JPEG", quality=75)
            page = document.new_page(width=original[index].rect.width, height=original[index].rect.height)
            page.insert_image(page.rect, stream=encoded.getvalue())
    document.save(target, no_new_id=True)
    return target


def scan(path: Path, options: PoolOptions = OPTIONS) -> dict:
    return scan_pdf(path, path.name, options=options)


def raw_pdf(pages: bytes, more: bytes = b"") -> bytes:
    """An intact file around a page tree."""
    parts = [b"1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n", b"2 0 obj<</Type/Pages " + pages + b">>endobj\n"]
    data, starts = b"%PDF-1.4\n", []
    for part in [*parts, more] if more else parts:
        starts.append(len(data))
        data += part
    table = b"".join(b"%010d 00000 n \n" % start for start in starts)
    count = len(starts) + 1
    tail = b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
    return data + tail % (count, table, count, len(data))


def test_a_row_says_what_the_document_is(tmp_path):
    path = report(tmp_path / "a.pdf", chapters=4, pages_per_chapter=3)
    row = scan(path)
    assert row["doc_id"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert row["bytes"] == path.stat().st_size
    assert (row["num_pages"], row["outline_entries"], row["scanned_pages"]) == (12, 12, 0)
    assert row["page_sizes"] == [[1224, 1584]] * 12
    assert row["page_tokens"] == 12 * page_tokens(1224, 1584)
    assert (row["language"], row["flags"]) == ("en", [])
    table = pa.Table.from_pylist([row], schema=POOL_SCHEMA)
    assert set(row) == set(POOL_SCHEMA.names)
    assert table.to_pylist()[0] == row | {"language_confidence": pytest.approx(row["language_confidence"])}
    assert len(row["minhash"]) == 4 * 128
    assert len(row["page_images"]) == 32 * 12
    assert len(row["page_shingles"]) == 12
    assert scan(path) == row


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("crop", [None, (50.3, 40.2, 400.7, 700.9)])
def test_page_sizes_are_those_of_the_rendered_pages(tmp_path, rotate, crop):
    path = prose(tmp_path / "a.pdf", 1, rotate=rotate)
    if crop:
        with pymupdf.open(path) as document:
            document[1].set_cropbox(pymupdf.Rect(crop))
            document.saveIncr()
    rendered = [Image.open(io.BytesIO(page.image)).size for page in read_pdf(path).pages]
    assert [tuple(size) for size in scan(path)["page_sizes"]] == rendered
    assert (len(set(rendered)) > 1) == bool(crop)


LETTER = b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]>>endobj\n"
HOSTILE = {
    "html": (b"<html><body>404 not found</body></html>", "not_a_pdf"),
    "empty": (b"", "not_a_pdf"),
    "header only": (b"%PDF-1.4\nstartxref\n0\n%%EOF", "unreadable: it cannot be opened"),
    "no pages": (raw_pdf(b"/Kids[]/Count 0"), "no_pages"),
    "a million pages": (raw_pdf(b"/Kids[2 0 R]/Count 1000000"), "too_many_pages: it has 1000000 pages"),
    "pages that are not there": (raw_pdf(b"/Kids[3 0 R]/Count 5", LETTER), "unreadable: a page cannot be read"),
    "20 m": (
        raw_pdf(b"/Kids[3 0 R]/Count 1", LETTER.replace(b"612", b"56693")),
        "page_too_large: page 1 would be 113386",
    ),
    "a strip": (raw_pdf(b"/Kids[3 0 R]/Count 1", LETTER.replace(b"612", b"2")), "page_too_large.*200:1"),
    "blank": (raw_pdf(b"/Kids[3 0 R]/Count 1", LETTER), "nearly_empty: its pages hold 0 characters"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_rejected_by_reason(tmp_path, name):
    data, message = HOSTILE[name]
    (tmp_path / "a.pdf").write_bytes(data)
    with pytest.raises(RejectedDocument, match=message):
        scan(tmp_path / "a.pdf")


def test_a_missing_file_is_rejected(tmp_path):
    with pytest.raises(RejectedDocument, match="unreadable: the file cannot be read"):
        scan(tmp_path / "none.pdf")


def test_a_truncated_file_is_rejected_though_some_pages_could_be_saved(tmp_path):
    path = prose(tmp_path / "a.pdf", 1, pages=30)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])
    with pytest.raises(RejectedDocument, match="unreadable: it is truncated"):
        scan(path)


def test_a_password_is_asked_for_in_vain_and_a_restriction_is_noted(tmp_path):
    path = prose(tmp_path / "a.pdf", 1)
    with pymupdf.open(path) as document:
        locked = {"encryption": pymupdf.PDF_ENCRYPT_AES_256, "owner_pw": "owner"}
        document.save(tmp_path / "password.pdf", user_pw="user", **locked)
        document.save(tmp_path / "restricted.pdf", permissions=pymupdf.PDF_PERM_PRINT, **locked)
    with pytest.raises(RejectedDocument, match="encrypted: it needs a password"):
        scan(tmp_path / "password.pdf")
    assert scan(tmp_path / "restricted.pdf")["flags"] == ["restricted"]


def test_a_form_is_noted(tmp_path):
    path = prose(tmp_path / "a.pdf", 1)
    with pymupdf.open(path) as document:
        field = pymupdf.Widget()
        field.rect, field.field_type = pymupdf.Rect(72, 700, 200, 720), pymupdf.PDF_WIDGET_TYPE_TEXT
        field.field_name = "name"
        document[0].add_widget(field)
        document.saveIncr()
    assert scan(path)["flags"] == ["form"]


@pytest.mark.parametrize(("pages", "reason"), [(19, "too_few_pages"), (201, "too_many_pages")])
def test_the_page_range(tmp_path, pages, reason):
    path = prose(tmp_path / "a.pdf", 1, pages=pages)
    with pytest.raises(RejectedDocument, match=f"{reason}: it has {pages} pages"):
        scan(path, PoolOptions())
    assert scan(path, replace(OPTIONS, max_pages=pages))["num_pages"] == pages


def test_a_scan_is_rejected_unless_an_engine_will_read_it(tmp_path):
    path = as_images(prose(tmp_path / "a.pdf", 1), tmp_path / "scan.pdf")
    with pytest.raises(RejectedDocument, match="scanned: 3 of its 3 pages are images without text"):
        scan(path)
    row = scan(path, replace(OPTIONS, scanned="keep"))
    assert (row["scanned_pages"], row["characters"], row["language"]) == (3, 0, "und")


def test_pictures_beside_text_make_no_scan(tmp_path):
    path = as_images(prose(tmp_path / "a.pdf", 1), tmp_path / "b.pdf", pages=[0], after=prose(tmp_path / "c.pdf", 2))
    row = scan(path)
    assert (row["num_pages"], row["scanned_pages"]) == (4, 1)


def test_pages_that_repeat_an_earlier_page_are_counted_whatever_their_number(tmp_path):
    document = pymupdf.open()
    for number, text in enumerate(["One sentence is here for all.", "Another one is here."] * 3 + [""] * 3, 1):
        page = document.new_page()
        page.insert_text((72, 72), text)
        page.insert_text((300, 800), str(number))
    document.save(tmp_path / "a.pdf")
    assert scan(tmp_path / "a.pdf", replace(OPTIONS, min_characters=0))["repeated_pages"] == 4


def test_damaged_files_end_in_a_row_or_a_reason(tmp_path):
    data = report(tmp_path / "a.pdf").read_bytes()
    rng, reasons = random.Random(0), []
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(rng.choice([1, 10, 100])):
            damaged[rng.randrange(len(data))] = rng.randrange(256)
        (tmp_path / "b.pdf").write_bytes(damaged)
        try:
            reasons.append(scan(tmp_path / "b.pdf")["num_pages"])
        except RejectedDocument as rejected:
            reasons.append(rejected.reason)
    assert {"unreadable", 12} <= set(reasons)
