"""evaluation/benchmark_fields.py: both kinds of files tell the same of a question."""

import base64
import json

import pytest

from mmprolong_hf.evaluation.benchmark_fields import from_json, from_tsv, read_row

ROW = {
    "id": "longdocurl_7",
    "doc_name": "4190345_and_more_of_it",
    "question": "Which two years?",
    "answer": ["2019", "2020"],
    "answer_format": "List",
    "ans_page_list": [5],
    "page_list": ["longdocurl/4190345_and_more_of_it/4190345_page4.jpg", "longdocurl/other/other_page0.jpg"],
}


def tsv_row(row: dict, length: int = 128, **columns) -> dict[str, str]:
    """A row as VLMEvalKit's script writes it: the whole prompt as `question`, the rest of the JSON row in `extra_info`."""
    question = f"Based on Document {row['doc_name']:.15}, answer the following question. {row['question']}"
    extra = {key: value for key, value in row.items() if key not in ("id", "page_list")}
    return {
        "index": "0",
        "question_id": row["id"],
        "question": "You are given ...\n\n" + "\n\n".join("Document x: <image token>" for _ in row["page_list"]),
        "answer": str(row["answer"]),
        "image_path": json.dumps(row["page_list"]),
        "mmlb_subset": f"documentQA_{length}",
        "task": "documentQA",
        "source_dataset": row["id"].partition("_")[0],
        "extra_info": json.dumps(extra | {"question": question}),
        **columns,
    }


def test_both_files_tell_the_same():
    row = from_json(json.dumps(ROW))
    assert from_tsv(tsv_row(ROW)) == row
    assert row.answer == '["2019", "2020"]'  # a string, as the metric takes it
    assert (row.question, row.answer_pages, row.page_data) == ("Which two years?", {5}, ())


def test_no_answer_pages_and_no_format():
    row = from_json(json.dumps(ROW | {"ans_page_list": None, "answer_format": None, "answer": "Not answerable"}))
    assert (row.answer_pages, row.answer_format) == (frozenset(), "None")


@pytest.mark.parametrize("write", [json.dumps, str])
def test_base64_images(write):
    images = [base64.b64encode(data).decode() for data in (b"\xff\xd8first page", b"second+/")]
    assert from_tsv(tsv_row(ROW, image=write(images))).page_data == (b"\xff\xd8first page", b"second+/")
    assert from_tsv(tsv_row(ROW, image=images[0])).page_data == (b"\xff\xd8first page",)


def test_errors_tell_where_and_what():
    lacking = json.dumps({key: value for key, value in ROW.items() if key != "doc_name"})
    with pytest.raises(ValueError, match="line 3 has no 'doc_name', expected the fields of MMLongBench"):
        read_row(from_json, lacking, "line 3")
    with pytest.raises(ValueError, match="line 3: Expecting"):
        read_row(from_json, "{", "line 3")
    other = tsv_row(ROW | {"doc_name": "x"}) | {"extra_info": tsv_row(ROW)["extra_info"].replace("Based on", "In")}
    with pytest.raises(ValueError, match="expected it to start with 'Based on Document 4190345_and_mor, answer"):
        read_row(from_tsv, other, "row 1")
    with pytest.raises(ValueError, match=r"row 1: an image is no base64 .* expected VLMEvalKit's column"):
        read_row(from_tsv, tsv_row(ROW, image="no/base64!"), "row 1")
    one = base64.b64encode(b"page").decode()
    with pytest.raises(ValueError, match="row 1 has 1 images for 2 pages, expected as many"):
        read_row(from_tsv, tsv_row(ROW, image=one), "row 1")
