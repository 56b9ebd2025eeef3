import pyarrow as pa
import pytest
import tiny
import torch
from datasets import Dataset, DatasetInfo
from synthetic_pdf import built, report

from mmprolong_hf.encoding import encode_sample
from mmprolong_hf.positions import IGNORE_INDEX
from mmprolong_hf.rows import UndecodedRows, decode_image
from mmprolong_hf.sample_encoder import samples_dataset
from mmprolong_hf.samples import (
    Rejection,
    keep_evidence_pages,
    list_samples,
    summarize_rejections,
)
from mmprolong_hf.synthesis.render import PdfPages
from mmprolong_hf.synthesis.schema import DOCUMENT_FEATURES


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_table_tells_the_encoded_lengths(family):
    documents, processor = tiny.documents(), tiny.processor(family)
    table, rejections = list_samples(documents, processor, max_length=4096)
    encoding = samples_dataset(table, documents, processor)
    assert rejections == []
    assert len(table) == sum(len(row["questions"]) for row in documents)
    assert len(encoding) == 2 * len(table)
    assert len(encoding) == 2 * len(table)
    for index, row in enumerate(table):
        sample = encoding[index]["sample"]
        assert len(sample["input_ids"]) == row["length"]
        assert (sample["labels"] != IGNORE_INDEX).sum() == row["num_supervised"]
        assert (encoding[len(table) + index]["sample"]["labels"] == IGNORE_INDEX).all()


def test_a_sample_is_its_document_and_its_question():
    documents, processor = tiny.documents(), tiny.processor()
    table, _ = list_samples(documents, processor, max_length=4096)
    encoding = samples_dataset(table, documents, processor)
    row, sample = table[4], encoding[4]["sample"]
    document = documents[row["document"]]
    question = document["questions"][row["question"]]
    images = [decode_image(image) for image in document["images"]]
    expected = encode_sample(processor, images, row["pages"], question["question"], question["answer"])
    torch.testing.assert_close(sample, expected, rtol=0, atol=0)


def test_documents_that_are_too_long_are_rejected_and_counted():
    documents, processor = tiny.documents(), tiny.processor()
    table, _ = list_samples(documents, processor, max_length=4096)
    limit = sorted(table["length"])[len(table) // 2]
    kept, rejections = list_samples(documents, processor, max_length=limit)
    assert max(kept["length"]) <= limit
    assert len(kept) + len(rejections) == len(table)
    assert {r.reason for r in rejections} == {"document_too_long"}
    assert all(int(r.detail.split()[0]) > limit for r in rejections)
    assert f"{len(rejections)} document_too_long (first: " in summarize_rejections(rejections)


def test_keep_evidence_drops_far_pages_and_cuts_none():
    documents, processor = tiny.documents(3), tiny.processor()
    whole, _ = list_samples(documents, processor, max_length=4096)
    longest = max(range(len(whole)), key=lambda i: whole[i]["length"])
    limit = whole[longest]["length"] - 1
    kept, rejections = list_samples(documents, processor, max_length=limit, overlong_documents="keep_evidence")
    assert rejections == []
    assert len(kept) == len(whole)
    row = kept[longest]
    question = documents[row["document"]]["questions"][row["question"]]
    assert len(row["pages"]) == len(whole[longest]["pages"]) - 1
    assert set(question["evidence_pages"]) <= set(row["pages"])
    sample = samples_dataset(kept, documents, processor)[longest]["sample"]
    assert len(sample["input_ids"]) == row["length"] <= limit
    assert len(sample["image_grid_thw"]) == len(row["pages"])


def test_evidence_that_does_not_fit_is_rejected():
    table, rejections = list_samples(
        tiny.documents(3), tiny.processor(), max_length=30, overlong_documents="keep_evidence"
    )
    assert len(table) == 0
    assert {r.reason for r in rejections} == {"evidence_too_long"}


@pytest.mark.parametrize(
    ("evidence", "budget", "kept"),
    [([3], 10, [3]), ([3], 30, [2, 3, 4]), ([1, 5], 20, [1, 5]), ([1, 5], 19, None), ([5], 100, [1, 2, 3, 4, 5])],
)
def test_pages_nearest_to_the_evidence_stay(evidence, budget, kept):
    assert keep_evidence_pages([10] * 5, evidence, budget) == kept


def test_a_dataset_without_the_columns_is_refused():
    questions = Dataset.from_dict({"question": ["?"], "answer": ["!"], "source": ["a.pdf"]})
    with pytest.raises(
        ValueError, match=r"no column page_sizes, images, questions \(it has question, answer, source\)"
    ):
        list_samples(questions, tiny.processor(), max_length=4096)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="overlong_documents is 'cut', expected one of reject, keep_evidence"):
        list_samples(tiny.documents(1), tiny.processor(), max_length=4096, overlong_documents="cut")


def test_reasons_are_counted():
    rejections = [
        Rejection("a", "x.pdf", "?", "9"),
        Rejection("b", "y.pdf", "?", "8"),
        Rejection("a", "z.pdf", "?", "7"),
    ]
    assert summarize_rejections(rejections) == "3 questions left out: 2 a (first: x.pdf, 9); 1 b (first: y.pdf, 8)"


def changed(question=0, **values):
    """Documents whose first question, or first row, is broken in one way."""
    rows = tiny.documents(3).to_list()
    if question is None:
        rows[0] |= values
    else:
        rows[0]["questions"][question] |= values
    return Dataset.from_list(rows, features=tiny.documents(1).features)


@pytest.mark.parametrize(
    ("documents", "reason"),
    [
        (changed(answer=""), "unusable_text"),
        (changed(answer=" 4"), "unusable_text"),
        (changed(answer=None), "unusable_text"),
        (changed(answer="<|im_end|>"), "control_token"),
        (changed(answer="a <|image_pad|> b"), "control_token"),
        (changed(evidence_pages=[7]), "evidence_outside"),
        (changed(None, page_sizes=None), "broken_row"),
        (changed(None, page_sizes=[[3000, 10]]), "page_shape"),
    ],
)
def test_a_broken_row_is_left_out_and_counted(documents, reason):
    table, rejections = list_samples(documents, tiny.processor(), max_length=4096)
    assert [r.reason for r in rejections] == [reason]
    assert rejections[0].source == "0.pdf"
    assert len(table) == sum(len(row["questions"]) for row in tiny.documents(3)) - 1


@pytest.mark.parametrize("image_format", ["jpeg", "png"])
def test_pages_rendered_when_read_train_as_stored_ones_do(tmp_path, image_format):
    path = report(tmp_path / "a.pdf", chapters=2)
    processor = tiny.processor()
    encoded, pixels = [], []
    for store in ("images", "pdf"):
        row = built(path, pages__store=store, pages__dpi=72, pages__image_format=image_format).row
        table = pa.Table.from_pylist([row], schema=DOCUMENT_FEATURES.arrow_schema)
        documents = Dataset(table, info=DatasetInfo(features=DOCUMENT_FEATURES))
        samples, _ = list_samples(documents, processor, max_length=8192)
        encoded.append([samples_dataset(samples, documents, processor)[k]["sample"] for k in (0, len(samples) - 1)])
        pixels.append([image["bytes"] for image in UndecodedRows(documents)[0]["images"]])
    assert pixels[0] == pixels[1]
    for stored, rendered in zip(*encoded):
        assert stored.keys() == rendered.keys()
        torch.testing.assert_close(stored, rendered, rtol=0, atol=0)
    other = UndecodedRows(documents)[0] | {"dpi": 36}
    assert pixels[0] != [image["bytes"] for image in PdfPages(other["pdf"], other["dpi"], other["engine"])]
