import errno
import pickle

import pytest
import tiny
import torch
from broken import BROKEN, pdf_without_its_first_page, with_page
from datasets import Dataset
from PIL.JpegImagePlugin import JpegImageFile

from mmprolong_hf.broken_pages import BrokenPage
from mmprolong_hf.collator import PackCollator
from mmprolong_hf.positions import IGNORE_INDEX
from mmprolong_hf.sample_encoder import samples_dataset
from mmprolong_hf.samples import list_samples
from mmprolong_hf.synthesis.schema import DOCUMENT_FEATURES


def encode(documents, **kwargs):
    processor = tiny.processor()
    table, _ = list_samples(documents, processor, max_length=4096)
    return table, samples_dataset(table, documents, processor, **kwargs)


@pytest.mark.parametrize("way", BROKEN)
def test_samples_of_a_broken_page_are_left_out_and_all_others_stay(way):
    image, reason = BROKEN[way]
    whole = tiny.documents(3)
    table, intact = encode(whole)
    _, damaged = encode(with_page(whole, 1, image))
    rows, expected = (dataset.__getitems__(list(range(len(table)))) for dataset in (damaged, intact))
    for document, row, other in zip(table["document"], rows, expected):
        if document == 1:
            assert row["sample"] is None
            assert (row["rejected"].source, row["rejected"].page, row["rejected"].reason) == ("1.pdf", 1, reason)
            assert (
                row["rejected"] == damaged[list(table["document"]).index(1)]["rejected"]
            )  # read again, it is told alike
        else:
            assert row["rejected"] is None
            assert all(row["sample"][name].equal(other["sample"][name]) for name in ("input_ids", "pixel_values"))
    assert pickle.loads(pickle.dumps(rows[1]["rejected"])) == rows[1]["rejected"]


def test_pages_that_are_not_as_many_as_their_sizes_are_missing():
    rows = tiny.documents(3).to_list()
    rows[1]["images"] = rows[1]["images"][:1]
    _, damaged = encode(Dataset.from_list(rows, features=DOCUMENT_FEATURES))
    found = [row["rejected"] for row in damaged.__getitems__([0, 1, 2])]
    page = BrokenPage("1.pdf", 0, "missing", "1 page images but 2 page_sizes")
    assert found == [None, page, page]


def test_a_pdf_that_cannot_be_opened_is_undecodable():
    rows = tiny.documents(3).to_list()
    rows[1] |= {"images": [], "pdf": b"%PDF-1.4 and nothing else", "engine": "pypdfium2"}
    _, damaged = encode(Dataset.from_list(rows, features=DOCUMENT_FEATURES))
    page = damaged.__getitems__([0, 1])[1]["rejected"]
    assert (page.source, page.page, page.reason) == ("1.pdf", 0, "undecodable")
    assert "it cannot be opened" in page.detail


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, "Too many open files"),
        OSError("out of memory error when reading image file"),  # as Pillow says it
        MemoryError(),
        TypeError("a mistake of ours"),
        RuntimeError("another"),
    ],
)
def test_a_fault_that_is_not_the_pages_is_no_broken_page(monkeypatch, error):
    """Else one rank, or one resume, would train on other data than the others."""
    _, dataset = encode(tiny.documents(2))

    def load(image):
        raise error

    monkeypatch.setattr(JpegImageFile, "load", load)
    with pytest.raises(type(error)) as raised:
        dataset.__getitems__([0, 1])
    assert raised.value is error


@pytest.mark.parametrize("engine", ["pymupdf", "pypdfium2"])
def test_a_page_of_a_pdf_that_cannot_be_rendered_is_undecodable(engine):
    rows = tiny.documents(3).to_list()
    rows[1] |= {"images": [], "pdf": pdf_without_its_first_page(), "engine": engine}
    _, damaged = encode(Dataset.from_list(rows, features=DOCUMENT_FEATURES))
    page = damaged.__getitems__([0, 1])[1]["rejected"]
    assert (page.source, page.page, page.reason) == ("1.pdf", 1, "undecodable")
    assert "cannot be rendered" in page.detail


def test_an_engine_that_nobody_has_is_no_broken_page():
    rows = tiny.documents(2).to_list()
    rows[1] |= {"images": [], "pdf": b"%PDF-1.4", "engine": "poppler 24"}
    _, damaged = encode(Dataset.from_list(rows, features=DOCUMENT_FEATURES))
    with pytest.raises(ValueError, match="engine is 'poppler 24', expected pymupdf or pypdfium2"):
        damaged.__getitems__([0, 1])


@pytest.mark.parametrize("uint8", [False, True])
def test_where_nothing_is_left_a_blank_page_stands_in_without_labels(uint8):
    table, damaged = encode(with_page(tiny.documents(3), 1, None), uint8=uint8)
    lost = [index for index, document in enumerate(table["document"]) if document == 1]
    rows = damaged.__getitems__(lost)
    assert [row["sample"] is None for row in rows] == [False] + [True] * (len(lost) - 1)
    assert all(row["rejected"] is not None for row in rows)
    pack = PackCollator()([rows[0]["sample"]])
    assert (pack["labels"] == IGNORE_INDEX).all()
    assert len(pack["image_grid_thw"]) == 1
    assert (pack["pixel_values"].dtype == torch.uint8) == uint8


def test_a_filler_does_not_count_what_was_counted_where_it_was_trained():
    table, damaged = encode(with_page(tiny.documents(3), 1, None))
    trained, filler = (
        [row["rejected"] for row in damaged.__getitems__([first, first + 1])] for first in (0, len(table))
    )
    assert [page is None for page in trained] == [True, False]
    assert filler == [None, None]


def test_a_sample_that_shows_only_other_pages_of_the_document_is_kept():
    documents = with_page(tiny.documents(3), 2, None)
    processor = tiny.processor()
    table, _ = list_samples(documents, processor, max_length=4096)
    pages = list(table["pages"])
    pages[-1] = [2, 3]
    table = table.remove_columns("pages").add_column("pages", pages)
    rows = samples_dataset(table, documents, processor).__getitems__(list(range(len(table))))
    assert [row["sample"] is None for row in rows] == [document == 2 for document in table["document"][:-1]] + [False]
