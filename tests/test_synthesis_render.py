"""Rendering at load gives the bytes that a build embeds."""

import io
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import pymupdf
import pytest
from broken import pdf_without_its_first_page
from PIL import Image, ImageChops, ImageStat
from synthetic_pdf import report

from mmprolong_hf.synthesis import render
from mmprolong_hf.synthesis.images import IMAGE_FORMATS
from mmprolong_hf.synthesis.pages import ENGINE, read_pdf
from mmprolong_hf.synthesis.rejected import RejectedDocument
from mmprolong_hf.synthesis.render import PdfPages, render_page

DOCUMENTS = Path(__file__).resolve().parents[2] / "shared" / "documents"


@pytest.mark.parametrize("name", ["parallel.pdf", "dseriesReporting.pdf"])
def test_every_page_of_a_real_document_is_the_embedded_one(name):
    if not (DOCUMENTS / name).exists():
        pytest.skip(f"{name} is not among the shared documents here")
    data = (DOCUMENTS / name).read_bytes()
    embedded = [page.image for page in read_pdf(DOCUMENTS / name).pages]
    assert [row["bytes"] for row in PdfPages(data, 144, ENGINE)] == embedded
    assert render_page(data, 7, dpi=144, engine=ENGINE) == embedded[6]
    assert render_page(data, 7, dpi=143, engine=ENGINE) != embedded[6]


@pytest.mark.parametrize("image_format", IMAGE_FORMATS)
def test_formats_are_those_of_a_build(tmp_path, image_format):
    path = report(tmp_path / "a.pdf", chapters=1)
    embedded = [page.image for page in read_pdf(path, dpi=50, image_format=image_format).pages]
    assert [row["bytes"] for row in PdfPages(path.read_bytes(), 50, ENGINE, image_format)] == embedded


def test_pages_are_a_sequence_of_image_rows(tmp_path):
    rows = PdfPages(report(tmp_path / "a.pdf", chapters=1).read_bytes(), 30, ENGINE)
    assert len(rows) == 3
    assert rows[-1] == rows[2] == {"bytes": rows[2]["bytes"], "path": None}
    assert rows[1:] == [rows[1], rows[2]]
    for index in (3, -4):
        with pytest.raises(IndexError, match=r"there is no page .*: the PDF has 3"):
            rows[index]
    assert pickle.loads(pickle.dumps(rows))[1] == rows[1]
    with pytest.raises(IndexError, match="page number is 0, expected at least 1"):
        render_page(rows.pdf, 0, dpi=30, engine=ENGINE)


@pytest.mark.parametrize("rotation", [0, 90])
@pytest.mark.parametrize("size", [(612, 792), (595.276, 841.89), (612.0004, 300.0004)])
def test_pdfium_draws_nearly_the_same_in_the_same_size(tmp_path, rotation, size):
    document = pymupdf.open()
    page = document.new_page(width=size[0], height=size[1])
    page.insert_text((72, 72), "The same words", fontsize=30)
    page.draw_rect((100, 100, 300, 200), fill=(0.9, 0.2, 0.1))
    page.set_rotation(rotation)
    data = document.tobytes()
    ours, theirs = (
        Image.open(io.BytesIO(render_page(data, 1, dpi=144, engine=engine, image_format="png")))
        for engine in ("pymupdf", "pypdfium2")
    )
    assert ours.size == theirs.size
    assert max(ImageStat.Stat(ImageChops.difference(ours, theirs)).mean) < 2
    assert max(ImageStat.Stat(ImageChops.difference(ours, theirs.rotate(180))).mean) > 10


def test_pdfium_needs_no_pymupdf(tmp_path):
    path = report(tmp_path / "a.pdf", chapters=1)
    code = (
        "import sys; sys.modules['pymupdf'] = None\n"
        "from mmprolong_hf.synthesis.render import PdfPages, render_page\n"
        f"data = open({str(path)!r}, 'rb').read()\n"
        "print(len(PdfPages(data, 72, 'pypdfium2')), len(render_page(data, 2, dpi=72, engine='pypdfium2')) > 1000)\n"
        "PdfPages(data, 72, 'pymupdf 1.28.2')[0]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "3 True"
    assert "ImportError: these pages are rendered by pymupdf 1.28.2, and PyMuPDF is not installed" in done.stderr


@pytest.mark.parametrize("engine", ["pymupdf", "pypdfium2"])
def test_another_version_warns_once_and_names_both(tmp_path, engine):
    data = report(tmp_path / "a.pdf", chapters=1).read_bytes()
    render._warn_if_other.cache_clear()
    with pytest.warns(UserWarning, match=rf"made by {engine} 0\.1, and {engine} \d.* is installed") as caught:
        assert PdfPages(data, 30, f"{engine} 0.1")[0] == PdfPages(data, 30, f"{engine} 0.1")[0]
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        render._warn_if_other.cache_clear()
        assert PdfPages(data, 30, engine)[0]["bytes"]
        assert PdfPages(data, 30, ENGINE)[0]["bytes"]


def test_an_unknown_engine():
    with pytest.raises(ValueError, match="engine is 'poppler 24', expected pymupdf or pypdfium2"):
        PdfPages(b"", 144, "poppler 24")


@pytest.mark.parametrize("engine", ["pymupdf", "pypdfium2"])
def test_what_is_no_pdf_is_named(engine):
    with pytest.raises(RejectedDocument, match="expected a"):
        len(PdfPages(b"%PDF-1.4 and nothing else", 144, engine))


@pytest.mark.parametrize("engine", ["pymupdf", "pypdfium2"])
def test_a_page_that_cannot_be_rendered_is_named_and_others_can_be(engine):
    pages = PdfPages(pdf_without_its_first_page(), 72, engine)
    with pytest.raises(RejectedDocument, match=r"unreadable: page 1 cannot be rendered \("):
        pages[0]
    assert Image.open(io.BytesIO(pages[1]["bytes"])).size == (100, 100)


def test_want_of_memory_is_no_fault_of_the_page(tmp_path, monkeypatch):
    pages = PdfPages(report(tmp_path / "a.pdf", chapters=1).read_bytes(), 30, ENGINE)

    def render(*args, **kwargs):
        raise pymupdf.mupdf.FzErrorSystem("malloc (512 bytes) failed")

    monkeypatch.setattr("mmprolong_hf.synthesis.pages.render_page", render)
    with pytest.raises(pymupdf.mupdf.FzErrorSystem, match="malloc"):
        pages[0]
