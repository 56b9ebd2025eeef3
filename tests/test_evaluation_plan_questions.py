import csv
import hashlib
import json

import pytest
import tiny

from mmprolong_hf.evaluation.options import DocumentsOptions, EvaluationOptions, MMLongBenchOptions
from mmprolong_hf.evaluation.plan_questions import plan_questions


def own_hash(row):
    return {"doc_id": hashlib.sha256(row["doc_id"].encode()).hexdigest()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    tiny.save_checkpoint(folder / "model")
    tiny.save_dataset(folder / "set", test=tiny.documents(12).map(own_hash))
    (folder / "bench/documentQA").mkdir(parents=True)
    for deck in ("a-deck", "b-deck"):
        (folder / f"images/{deck}").mkdir(parents=True)
        for page in (1, 2):
            (folder / f"images/{deck}/{deck}-{page}-1024.jpg").write_bytes(tiny.jpeg(tiny.page(page)))
    row = {
        "page_list": [f"a-deck/a-deck-{page}-1024.jpg" for page in (1, 2)],
        "doc_name": "a-deck", "answer": "7", "answer_format": "Integer", "ans_page_list": [0],
    }  # fmt: skip
    lines = [json.dumps(row | {"id": str(k), "question": f"How many of {k}?"}) for k in range(3)]
    (folder / "bench/documentQA/slidevqa_K64.jsonl").write_text("\n".join(lines))
    return folder


def plan(folder, **changes):
    documents = DocumentsOptions("cards", dataset=str(folder / "set"), lengths=(600, 100_000))
    values = {"documents": (documents,), "pages": str(folder / "pages"), "max_new_tokens": 8} | changes
    return EvaluationOptions(str(folder / "model"), str(folder / "out"), **values)


def mmlongbench(folder, /, **changes):
    where = {"image_folder": str(folder / "images"), "folder": str(folder / "bench")}
    return MMLongBenchOptions(**where | {"datasets": ("slidevqa",), "lengths": (65536,)} | changes)


def test_questions_of_a_set_have_their_columns_and_their_cells(folder):
    found = plan_questions(plan(folder))
    asked = [ask.id for context in found.contexts for ask in context.asks]
    assert sorted(asked) == sorted(found.columns)
    assert len(asked) == 24
    column = found.columns["cards/600/0/1"]
    assert {name: column[name] for name in ("dataset", "context_length", "prompt_version", "answer", "doc_name")} == {
        "dataset": "cards", "context_length": 600, "prompt_version": "plain", "answer": "0", "doc_name": "0",
    }  # fmt: skip
    assert json.dumps(column)
    # at 100,000 tokens nothing can be asked, and that is told of this length
    assert {(row["dataset"], row["context_length"], row["reason"]) for row in found.skipped} == {
        ("cards", 100_000, "too few pages")
    }
    assert len(found.skipped) == 24


def test_both_kinds_of_questions_can_be_asked_in_one_run(folder):
    found = plan_questions(plan(folder, mmlongbench=mmlongbench(folder)))
    assert {column["dataset"] for column in found.columns.values()} == {"cards", "slidevqa"}
    column = next(column for column in found.columns.values() if column["dataset"] == "slidevqa")
    assert (column["context_length"], column["prompt_version"]) == (65536, "v1.1")
    assert column["asked"].startswith("Based on Document a-deck, answer the following question.")
    asks = [ask for context in found.contexts for ask in context.asks if ask.id.startswith("slidevqa")]
    assert {ask.max_new_tokens for ask in asks} == {8}


def test_vlmevalkits_files_have_the_lengths_that_are_their_own(folder):
    extra = {"question": "Based on Document a-deck, answer the following question. How many?", "doc_name": "a-deck"}
    row = {
        "question_id": "slidevqa_1",
        "mmlb_subset": "documentQA_256_sr50",
        "source_dataset": "slidevqa",
        "image_path": json.dumps(["a-deck/a-deck-1-1024.jpg"]),
        "extra_info": json.dumps(extra | {"answer": "7", "answer_format": "Integer", "ans_page_list": [0]}),
    }
    with open(folder / "MMLongBench_256K.tsv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(row), dialect="excel-tab")
        writer.writeheader()
        writer.writerow(row)
    options = mmlongbench(folder, folder=None, tsv=(str(folder / "MMLongBench_256K.tsv"),))
    found = plan_questions(plan(folder, documents=(), mmlongbench=options))
    (column,) = found.columns.values()
    assert (column["dataset"], column["context_length"], column["answer"]) == ("slidevqa", 262144, "7")


def test_pdfs_with_questions_are_asked(folder, tmp_path):
    pytest.importorskip("reportlab")
    from synthetic_pdf import report

    for name in "ab":
        report(tmp_path / f"{name}.pdf", titles=[f"{side} of {name}" for side in ("Left", "Right")])
    (tmp_path / "none.pdf").write_bytes(b"no PDF")
    row = {"pdf": "a.pdf", "question": "How many?", "answer": "7", "answer_format": "Integer", "evidence_pages": [2]}
    (tmp_path / "questions.jsonl").write_text(json.dumps(row))
    where = {"pdfs": str(tmp_path), "questions": str(tmp_path / "questions.jsonl")}
    found = plan_questions(plan(folder, documents=(DocumentsOptions("mine", **where, lengths=(500,)),)))
    assert list(found.columns) == ["mine/500/a/1"]
    assert (found.skipped[0]["id"], found.skipped[0]["reason"]) == ("the document none", "unreadable")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"lengths": (131072,)},
            "slidevqa_K128.jsonl is not there, expected MMLongBench's 0_mmlb_data.tar.gz unpacked",
        ),
        ({"image_folder": "nowhere"}, "mmlongbench: 2 of 2 page images are missing"),
    ],
)
def test_files_that_are_not_there_are_an_error(folder, changes, message):
    values = vars(mmlongbench(folder)) | changes
    with pytest.raises(ValueError, match=message):
        plan_questions(plan(folder, mmlongbench=MMLongBenchOptions(**values)))


def test_a_set_that_is_not_there_is_an_error(folder):
    documents = DocumentsOptions("cards", dataset=str(folder / "nowhere"), lengths=(600,))
    with pytest.raises(ValueError, match="with the split 'test' is neither a local folder nor on the Hub"):
        plan_questions(plan(folder, documents=(documents,)))


def test_a_plan_that_can_ask_nothing_is_an_error(folder):
    documents = DocumentsOptions("cards", dataset=str(folder / "set"), lengths=(100_000,))
    with pytest.raises(ValueError, match=r"no question can be asked: 24 were left out \(too few pages\)"):
        plan_questions(plan(folder, documents=(documents,)))
