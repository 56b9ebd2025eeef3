"""evaluation/source_documents.py: sets of `mmprolong build`, and PDFs with a file of questions."""

import json
from dataclasses import replace

import pymupdf
import pytest
import tiny

from mmprolong_hf.evaluation.source_documents import dataset_documents, pdf_documents, read_questions
from mmprolong_hf.synthesis.render import PdfPages

LINE = {"question": "What?", "answer": "7", "answer_format": "Integer", "evidence_pages": [2], "pdf": "a.pdf"}


def write_pdf(path, sizes):
    path.parent.mkdir(parents=True, exist_ok=True)
    document = pymupdf.open()
    for number, (width, height) in enumerate(sizes, 1):
        document.new_page(width=width, height=height).insert_text((20, 40), f"Page {number} of {path.stem}")
    document.save(path)
    return path


def write_questions(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_documents_of_a_set(tmp_path):
    dataset = tiny.documents(3)
    documents = dataset_documents(dataset)
    assert [document.name for document in documents] == ["0", "1", "2"]
    assert documents[2].sizes == ((84, 112), (112, 112), (140, 112))
    question = documents[1].questions[1]
    assert (question.id, question.question, question.evidence_pages) == ("1/2", "What is on page 2?", (2,))
    stored = documents[2].store_pages([3, 1], tmp_path)
    assert list(stored) == [3, 1]
    raw = tiny.jpeg(tiny.page(202, 140))
    assert stored[3].encoded() == raw
    assert len(list(tmp_path.rglob("*"))) == 3  # a folder and two pages


def test_compact_rows_are_rendered_as_the_build_would(tmp_path):
    pdf = write_pdf(tmp_path / "a.pdf", [(200, 300), (300, 200)]).read_bytes()
    row = tiny.documents(1)[0] | {
        "images": [],
        "pdf": pdf,
        "page_sizes": [[200, 300], [300, 200]],
        "engine": "pypdfium2",
    }
    dataset = tiny.documents(1).from_list([row], features=tiny.documents(1).features)
    (document,) = dataset_documents(dataset)
    stored = document.store_pages([2], tmp_path / "pages")
    assert stored[2].encoded() == PdfPages(pdf, 72, "pypdfium2")[1]["bytes"]
    assert stored[2].open().size == (300, 200)


def test_a_stored_page_is_not_read_again(tmp_path):
    (document,) = dataset_documents(tiny.documents(1))
    first = document.store_pages([1], tmp_path)
    again = replace(document, open_pages=lambda: pytest.fail("the page is there")).store_pages([1], tmp_path)
    assert again == first


def test_a_page_of_another_size_is_an_error(tmp_path):
    (document,) = dataset_documents(tiny.documents(1))
    with pytest.raises(ValueError, match="page 1 of 0 is 84 x 112 pixels, expected 84 x 113 as its row says"):
        replace(document, sizes=((84, 113),)).store_pages([1], tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_documents_of_one_name_are_told_apart():
    rows = [
        row | {"source": f"{row['num_pages']}/same.pdf", "doc_id": f"{row['num_pages']}" * 64}
        for row in tiny.documents(2)
    ]
    dataset = tiny.documents(1).from_list(rows, features=tiny.documents(1).features)
    assert [document.name for document in dataset_documents(dataset)] == ["same 11111111", "same 22222222"]


def set_of(*changes):
    """Documents of a set, each with other pages."""
    rows = [row | change for row, change in zip(tiny.documents(len(changes)), changes, strict=True)]
    return dataset_documents(tiny.documents(1).from_list(rows, features=tiny.documents(1).features))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"doc_id": "a" * 40 + "1"}, {"doc_id": "a" * 40 + "2"}),
        ({"doc_id": "a"}, {"doc_id": "../a"}),
        ({"doc_id": "/a/b"}, {"doc_id": "/a-b"}),
        ({"doc_id": "a" * 300}, {"doc_id": "a" * 301}),
        ({"doc_id": "a", "dpi": 72}, {"doc_id": "a", "dpi": 144}),
        ({"doc_id": "a", "engine": "x 1"}, {"doc_id": "a", "engine": "x-1"}),
        ({"doc_id": "a", "image_format": "jpeg"}, {"doc_id": "a", "image_format": "png"}),
    ],
)
def test_documents_do_not_share_pages_nor_leave_the_folder(tmp_path, first, second):
    one, other = set_of(first, second)
    assert one.key != other.key
    stored = [document.store_pages([1], tmp_path / "deep/pages")[1] for document in (one, other)]
    assert stored[0].encoded() != stored[1].encoded()
    assert all(page.data.parent.parent == tmp_path / "deep/pages" for page in stored)
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert set_of(first)[0].key == one.key  # another call finds them again


def test_pdfs_of_a_folder(tmp_path):
    write_pdf(tmp_path / "pdfs" / "a.pdf", [(200, 300), (300, 200.2)])
    write_pdf(tmp_path / "pdfs" / "more" / "b.pdf", [(100, 100)])
    (tmp_path / "pdfs" / "broken.pdf").write_bytes(b"no PDF")
    lines = [LINE, LINE | {"id": "own", "answer": ["x", 2]}, LINE | {"pdf": "broken.pdf"}]
    questions = write_questions(tmp_path / "questions.jsonl", lines)
    documents, skipped = pdf_documents(questions, tmp_path / "pdfs")
    assert [(document.name, document.sizes) for document in documents] == [
        ("a", ((400, 600), (600, 401))),
        ("more/b", ((200, 200),)),
    ]
    assert [(question.id, question.answer) for question in documents[0].questions] == [("a/1", "7"), ("own", "x; 2")]
    assert documents[1].questions == ()
    assert [(left.id, left.reason) for left in skipped] == [
        ("the document broken", "unreadable"),
        ("broken/1", "unreadable"),
    ]
    stored = documents[0].store_pages([1, 2], tmp_path / "pages")
    assert [page.open().size for page in stored.values()] == [(400, 600), (600, 401)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([LINE, {"question": "?"}], "line 2 of .* has no answer, answer_format, expected"),
        ([LINE | {"pdf": "c.pdf"}], "line 1 of .* is about 'c', expected `pdf` or `doc_name` to name one of 1 PDFs"),
        ([LINE | {"pdf": 5}], "line 1 of .* is about '5', expected"),
        ([[1]], r"line 1 of .* is \[1\], expected an object with question, answer, answer_format"),
        ([LINE, LINE | {"question": " "}], "line 2 of .*: question is ' ', expected text"),
        ([LINE | {"question": None}], "line 1 of .*: question is None, expected text"),
        ([LINE | {"answer": ""}], "line 1 of .*: answer is '', expected text, a number or a list"),
        ([LINE | {"answer": None}], "line 1 of .*: answer is None, expected text"),
        ([LINE | {"answer": []}], r"line 1 of .*: answer is \[\], expected text"),
        ([LINE | {"answer": ["a", ""]}], r"line 1 of .*: answer is \['a', ''\], expected text"),
        ([LINE | {"answer_format": "Number"}], "answer_format is 'Number', expected one of Integer, Float, String"),
        ([LINE | {"answer_format": ["List"]}], r"answer_format is \['List'\], expected one of"),
        ([LINE | {"evidence_pages": 2}], "line 1 of .*: evidence_pages is 2, expected a list of whole numbers"),
        ([LINE | {"evidence_pages": "12"}], "evidence_pages is '12', expected a list of whole numbers"),
        ([LINE | {"evidence_pages": [1.5]}], r"evidence_pages is \[1.5\], expected a list of whole numbers"),
    ],
)
def test_errors_of_questions(tmp_path, lines, message):
    with pytest.raises(ValueError, match=message):
        read_questions(write_questions(tmp_path / "questions.jsonl", lines), ["a"])


def test_a_line_that_is_no_json_is_told(tmp_path):
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps(LINE) + "\n\n{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 3 of .*questions.jsonl is no JSON"):
        read_questions(path, ["a"])


def test_a_page_that_cannot_be_rendered_names_its_document(tmp_path):
    path = write_pdf(tmp_path / "pdfs" / "a.pdf", [(200, 300)])
    (document,), _ = pdf_documents(write_questions(tmp_path / "q.jsonl", []), tmp_path / "pdfs")
    path.write_bytes(b"overwritten since")
    with pytest.raises(ValueError, match="a cannot be used, take it out: unreadable"):
        document.store_pages([1], tmp_path / "pages")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"question": ""}, "question 1 of .*: question is '', expected text"),
        ({"answer": " "}, "question 1 of .*: answer is ' ', expected text"),
        ({"answer_format": "Date"}, "question 1 of .*: answer_format is 'Date', expected one of Integer"),
    ],
)
def test_errors_of_questions_of_a_set(change, message):
    dataset = tiny.documents(1)
    row = dataset[0] | {"questions": [dataset[0]["questions"][0] | change]}
    with pytest.raises(ValueError, match=message):
        dataset_documents(dataset.from_list([row], features=dataset.features))


def test_evidence_pages_may_be_missing(tmp_path):
    lacking = {key: value for key, value in LINE.items() if key != "evidence_pages"}
    path = write_questions(tmp_path / "q.jsonl", [lacking, LINE | {"evidence_pages": None, "id": None}])
    assert [(q.id, q.evidence_pages) for q in read_questions(path, ["a"])["a"]] == [("a/1", ()), ("a/2", ())]


def test_a_byte_order_mark_is_accepted(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(LINE | {"question": "Où?"}, ensure_ascii=False), encoding="utf-8-sig")
    assert read_questions(path, ["a"])["a"][0].question == "Où?"


@pytest.mark.parametrize(("encoding", "found"), [("utf-16", "UTF-16"), ("latin-1", "no UTF-8 .*")])
def test_another_encoding_is_told(tmp_path, encoding, found):
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(LINE | {"question": "Où?"}, ensure_ascii=False), encoding=encoding)
    with pytest.raises(ValueError, match=rf"q\.jsonl is {found}, expected UTF-8: save it"):
        read_questions(path, ["a"])
