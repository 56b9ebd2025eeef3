"""evaluation/benchmark_rows.py: files as MMLongBench and VLMEvalKit describe theirs, with drawn pages."""

import base64
import csv
import json

import pytest
import tiny
from test_evaluation_benchmark_fields import tsv_row

from mmprolong_hf.evaluation.benchmark_rows import page_number, read_jsonl, read_tsv
from mmprolong_hf.evaluation.metrics.sampling import shuffle_select
from mmprolong_hf.evaluation.prompting import make_contexts


def row(k: int, **changes) -> dict:
    """Question k about pages 3 and 4 of document k, behind a page of another."""
    name = f"document{k}"
    folder = f"longdocurl/{name}"
    return {
        "id": f"longdocurl_{k}",
        "doc_name": name,
        "question": f"What is on page {k}?",
        "answer": str(k),
        "answer_format": "Integer",
        "ans_page_list": [3],
        "page_list": ["longdocurl/other/other_page0.jpg", f"{folder}/{name}_page2.jpg", f"{folder}/{name}_page3.jpg"],
        **changes,
    }


def write_jsonl(folder, rows, name="longdocurl_K64.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_tsv(folder, rows, name="MMLongBench_128K.tsv"):
    path = folder / name
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), dialect="excel-tab")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_pages(folder, rows):
    for path in {path for row in rows for path in row["page_list"]}:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(tiny.jpeg(tiny.page(len(path))))
    return folder


def test_a_row_becomes_an_example(tmp_path):
    rows = [row(7)]
    (example,) = read_jsonl(write_jsonl(tmp_path, rows), write_pages(tmp_path / "images", rows)).examples
    assert (example.id, example.dataset, example.context_length) == (
        "longdocurl/64K/longdocurl_7",
        "longdocurl",
        65536,
    )
    assert (example.question, example.answer, example.answer_format) == ("What is on page 7?", "7", "Integer")
    assert (example.labels, example.doc_name) == (("other", "document7", "document7"), "document7")
    assert (example.page_numbers, example.evidence) == ((1, 3, 4), (2,))
    assert [page.data for page in example.pages] == [tmp_path / "images" / path for path in rows[0]["page_list"]]
    assert example.pages[0].open().size == (84, 112)


def test_numbers_in_file_names_of_slides_start_at_1(tmp_path):
    deck = "private-banking-what-clients-want"
    pages = [f"slidevqa/{deck}/{deck}-{k}-1024.jpg" for k in (3, 4, 5)]
    rows = [row(0, id="slidevqa_0", doc_name=deck, page_list=pages)]
    path = write_jsonl(tmp_path, rows, "slidevqa_K8.jsonl")
    (example,) = read_jsonl(path, write_pages(tmp_path, rows)).examples
    assert (example.page_numbers, example.evidence, example.context_length) == ((3, 4, 5), (1,), 8192)


def test_100_rows_are_chosen_as_upstream_does(tmp_path):
    rows = [row(k, page_list=row(0)["page_list"], doc_name="document0") for k in range(150)]
    path, images = write_jsonl(tmp_path, rows), write_pages(tmp_path, rows)
    chosen = read_jsonl(path, images).examples
    assert [example.answer for example in chosen] == [str(k) for k in shuffle_select(150)]
    assert len(chosen) == 100
    assert [example.answer for example in read_jsonl(path, images, max_questions=None).examples] == [str(k) for k in range(150)]  # fmt: skip
    assert read_jsonl(path, images, max_questions=9, seed=1).examples != chosen[:9]


def test_questions_with_the_same_pages_share_a_context(tmp_path):
    rows = [row(k, page_list=row(0)["page_list"], doc_name="document0") for k in range(5)]
    examples = read_jsonl(write_jsonl(tmp_path, rows), write_pages(tmp_path, rows)).examples
    (context,) = make_contexts(examples, "v1.1")
    assert len(context.asks) == 5


def test_unusable_rows_are_counted_and_named(tmp_path):
    bad = [row(1, answer_format="Date"), row(2, question=" "), row(3, page_list=[])]
    found = read_jsonl(write_jsonl(tmp_path, [row(0), *bad]), write_pages(tmp_path, [row(0)]))
    assert len(found.examples) == 1
    assert found.num_skipped == {"answer_format": 1, "empty": 1, "no pages": 1}
    assert {skipped.id: skipped.detail for skipped in found.skipped}["longdocurl/64K/longdocurl_1"] == (
        "it is 'Date', expected one of Integer, Float, String, None, List"
    )


def test_what_looks_odd_is_noted(tmp_path):
    rows = [row(0), row(1, doc_name="elsewhere")]
    notes = read_jsonl(write_jsonl(tmp_path, rows), write_pages(tmp_path, rows)).notes
    assert notes[0] == "1 examples have no page of their document, the first is longdocurl/64K/longdocurl_1"
    assert "3.0 +- 0.0 pages in each of 2 examples" not in " ".join(notes)  # two are too few to say
    rows = [row(k) for k in range(20)]
    (note,) = read_jsonl(write_jsonl(tmp_path, rows), write_pages(tmp_path, rows)).notes
    assert note == "longdocurl/64K: 3.0 +- 0.0 pages in each of 20 examples, MMLongBench's paper: 28.6 +- 14.4"


def test_a_missing_image_is_an_error_that_names_it(tmp_path):
    rows = [row(0), row(1)]
    path, images = write_jsonl(tmp_path, rows), write_pages(tmp_path / "images", rows)
    (images / rows[1]["page_list"][2]).unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 5 page images are missing, the first is .*document1_page3.jpg"):
        read_jsonl(path, images)


@pytest.mark.parametrize(
    ("rows", "name", "message"),
    [
        ([row(0)], "mmlongdoc.jsonl", "the file is 'mmlongdoc.jsonl', expected mmlongdoc or"),
        ([row(0), row(0)], "longdocurl_K8.jsonl", "longdocurl/8K has several rows with the id 'longdocurl_0'"),
        ([row(0, page_list=["a/b/c.jpg"])], "longdocurl_K8.jsonl", "the page's file is 'a/b/c.jpg', expected a name"),
        ([{"id": 1}], "longdocurl_K8.jsonl", "line 1 of .* has no 'page_list'"),
    ],
)
def test_errors_tell_what_was_found(tmp_path, rows, name, message):
    with pytest.raises(ValueError, match=message):
        read_jsonl(write_jsonl(tmp_path, rows, name), tmp_path)


def test_a_line_separator_in_a_question_ends_no_line(tmp_path):
    rows = [row(0, question="One\u2028two?")]
    (example,) = read_jsonl(write_jsonl(tmp_path, rows), write_pages(tmp_path, rows)).examples
    assert example.question == "One\u2028two?"


def test_tsv_gives_the_same_examples_as_jsonl(tmp_path):
    rows = [row(k, question=f'Is it "{k}"?\tOr\nnot?') for k in range(3)]
    other = tsv_row(rows[0]) | {"mmlb_subset": "NIAH_128", "task": "NIAH"}
    images = write_pages(tmp_path, rows)
    tsv = read_tsv(write_tsv(tmp_path, [*map(tsv_row, rows), other]), images)
    assert tsv.examples == read_jsonl(write_jsonl(tmp_path, rows, "longdocurl_K128.jsonl"), images).examples
    assert tsv.notes[-1] == "MMLongBench_128K.tsv: 1 rows of NIAH_128 are not read"
    assert csv.field_size_limit() == 131072  # as it was


def test_tsv_of_half_the_questions_has_all_datasets(tmp_path):
    rows = [row(0), row(1, id="mmlongdoc_1"), row(2, id="slidevqa_2"), row(3)]
    cells = [tsv_row(row, mmlb_subset="documentQA_256_sr50") for row in rows]
    found = read_tsv(write_tsv(tmp_path, cells), write_pages(tmp_path, rows), max_questions=1)
    assert sorted((e.dataset, e.context_length) for e in found.examples) == [
        ("longdocurl", 262144),
        ("mmlongdoc", 262144),
        ("slidevqa", 262144),
    ]


def test_tsv_with_images_in_it_needs_no_folder(tmp_path):
    pages = [tiny.jpeg(tiny.page(k, 700, 900)) for k in range(3)]
    assert sum(map(len, pages)) < 131072 < 40 * sum(map(len, pages))
    images = json.dumps([base64.b64encode(page).decode() for page in pages] * 40)
    rows = [tsv_row(row(0, page_list=row(0)["page_list"] * 40), image=images)]
    (example,) = read_tsv(write_tsv(tmp_path, rows), tmp_path / "none").examples
    assert [page.encoded() for page in example.pages] == pages * 40
    assert example.labels[:2] == ("other", "document0")


def test_tsv_without_what_is_needed(tmp_path):
    cells = tsv_row(row(0))
    with pytest.raises(ValueError, match="has no question about documents, only rows of summ_128"):
        read_tsv(write_tsv(tmp_path, [cells | {"mmlb_subset": "summ_128"}]), tmp_path)
    with pytest.raises(ValueError, match="has rows of 'dude', expected mmlongdoc, longdocurl, slidevqa"):
        read_tsv(write_tsv(tmp_path, [cells | {"source_dataset": "dude"}]), tmp_path)
    del cells["extra_info"]
    with pytest.raises(ValueError, match="has no column 'extra_info', expected VLMEvalKit's MMLongBench"):
        read_tsv(write_tsv(tmp_path, [cells]), tmp_path)


def test_page_number_of_names_that_hold_the_other_pattern():
    assert page_number("a/deck-3-1024/deck-3-1024_page7.jpeg") == 8
    assert page_number("a/my_page5-deck/my_page5-deck-12-638.jpg") == 12


@pytest.mark.parametrize(
    "change",
    [
        {"question": None},
        {"question": ["?"]},
        {"answer": None},
        {"answer": {"a": 1}},
        {"doc_name": 7},
        {"ans_page_list": 3},
        {"ans_page_list": [[3]]},
        {"page_list": None},
        {"page_list": [7]},
    ],
    ids=str,
)
def test_a_row_of_wrong_types_is_counted_as_unusable(tmp_path, change):
    rows = [row(0), row(1)]
    images, changed = write_pages(tmp_path, rows), [row(0), row(1, **change)]
    (name,) = change
    for found in (
        read_jsonl(write_jsonl(tmp_path, changed), images),
        read_tsv(write_tsv(tmp_path, [tsv_row(rows[0]), changed_tsv_row(rows[1], change)]), images),
    ):
        assert len(found.examples) == 1
        assert found.num_skipped == {"wrong type": 1}
        assert f"{name} is {change[name]!r}" in found.skipped[0].detail


def changed_tsv_row(row, change):
    columns = tsv_row(row)
    if "page_list" in change:
        return columns | {"image_path": json.dumps(change["page_list"])}
    return columns | {"extra_info": json.dumps(json.loads(columns["extra_info"]) | change)}


def test_a_line_that_is_no_object_and_a_row_that_is_cut_are_told(tmp_path):
    path = tmp_path / "longdocurl_K64.jsonl"
    path.write_text("[1]")
    with pytest.raises(ValueError, match=r"line 1 of .*: the line is \[1\], expected an object"):
        read_jsonl(path, tmp_path)
    path = write_tsv(tmp_path, [tsv_row(row(0))])
    path.write_text(path.read_text() + "1\tcut\n")
    with pytest.raises(ValueError, match=r"row 2 of .* ends before 'mmlb_subset', expected all columns"):
        read_tsv(path, tmp_path)


def test_encodings_of_files(tmp_path):
    rows = [row(0, question="Où?")]
    images = write_pages(tmp_path, rows)
    for path, read in ((write_jsonl(tmp_path, rows), read_jsonl), (write_tsv(tmp_path, [tsv_row(rows[0])]), read_tsv)):
        text = path.read_text(encoding="utf-8").replace("\\u00f9", "ù")
        path.write_text(text, encoding="utf-8-sig")
        assert read(path, images).examples[0].question == "Où?"
        path.write_text(text, encoding="latin-1")
        with pytest.raises(ValueError, match=r"is no UTF-8 .*, expected"):
            read(path, images)
