"""needle_pdfs.py: sizes without rendering are those of the rendered pages, and a broken PDF is named."""

import pytest
from synthetic_pdf import report

from mmprolong_hf.evaluation.needle_pdfs import PdfFolder
from mmprolong_hf.rows import decode_image


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("reportlab")
    (tmp_path / "sub").mkdir()
    report(tmp_path / "b.pdf", titles=["Left side", "Right side"])
    report(tmp_path / "sub" / "a.pdf", titles=["Upper side", "Lower side"])
    (tmp_path / "broken.pdf").write_bytes((tmp_path / "b.pdf").read_bytes()[:200])
    (tmp_path / "notes.txt").write_text("no PDF")
    return tmp_path


def test_pages_have_the_sizes_that_were_promised(folder):
    for dpi in (36, 144):
        rows = list(PdfFolder(folder, dpi))
        assert [row["doc_id"] for row in rows] == ["b.pdf", "sub/a.pdf"]
        for row in rows:
            assert [decode_image(image).size for image in row["images"]] == row["page_sizes"]


def test_a_broken_pdf_is_named_and_left_out(folder):
    documents = PdfFolder(folder)
    assert len(documents) == 2
    assert [(pdf["source"], pdf["reason"]) for pdf in documents.skipped] == [("broken.pdf", "unreadable")]
    assert "expected an intact PDF" in documents.skipped[0]["detail"]


def test_a_page_as_large_as_a_wall_is_left_out(tmp_path):
    pypdfium2 = pytest.importorskip("pypdfium2")
    for name, side in (("page", 700), ("wall", 14_000)):
        document = pypdfium2.PdfDocument.new()
        document.new_page(600, 800)
        document.new_page(side, side)
        document.save(tmp_path / f"{name}.pdf")
        document.close()
    documents = PdfFolder(tmp_path)
    assert [row["doc_id"] for row in documents] == ["page.pdf"]
    assert documents.skipped[0]["reason"] == "page_too_large"


def test_nothing_to_use(folder):
    (folder / "only").mkdir()
    (folder / "only" / "x.pdf").write_text("x")
    with pytest.raises(ValueError, match=r"none of the 1 PDFs of .*only can be used: x.pdf \(unreadable\)"):
        PdfFolder(folder / "only")
    (folder / "only" / "x.pdf").unlink()
    with pytest.raises(ValueError, match="no PDF found in"):
        PdfFolder(folder / "only")
