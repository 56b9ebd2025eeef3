"""Files of a benchmark."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmprolong_hf.synthesis.pool.benchmark_input import benchmark_files, read_questions


def test_pdfs_of_folders_and_by_name(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("b.PDF", "deep/a.pdf", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert benchmark_files([tmp_path, tmp_path / "b.PDF"]) == [tmp_path / "b.PDF", tmp_path / "deep" / "a.pdf"]


def test_a_folder_without_pdfs_is_an_error(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(ValueError, match="expected a PDF or a folder that holds some"):
            benchmark_files([path])


def test_questions_of_each_kind_of_file(tmp_path):
    questions = ["How many?", "Which 图?"]
    (tmp_path / "q.txt").write_text("How many?\n\n Which 图?\n", encoding="utf-8")
    (tmp_path / "q.jsonl").write_text("\n".join(json.dumps({"question": q, "doc_id": 1}) for q in questions))
    pq.write_table(pa.table({"question": questions, "answer": ["1", "2"]}), tmp_path / "q.parquet")
    for name in ("q.txt", "q.jsonl", "q.parquet"):
        assert read_questions(tmp_path / name) == questions


def test_a_file_without_questions_is_an_error(tmp_path):
    (tmp_path / "q.jsonl").write_text('{"question": "a"}\n{"prompt": "b"}\n')
    with pytest.raises(ValueError, match=r"row 2 of .* has the fields prompt; expected a field 'question'"):
        read_questions(tmp_path / "q.jsonl")
    with pytest.raises(ValueError, match=r"expected a name ending in \.txt, \.jsonl or \.parquet"):
        read_questions(tmp_path / "q.csv")
