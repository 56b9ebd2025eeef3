"""Where a build's PDFs come from."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmprolong_hf.synthesis.sources import find_pdfs


@pytest.fixture
def folder(tmp_path):
    for name in ("b.pdf", "a.PDF", "more/c.pdf", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def test_a_folder_is_searched_with_its_sub_folders(folder):
    assert [(item["source"], item["path"]) for item in find_pdfs(folder)] == [
        (name, str(folder / name)) for name in ("a.PDF", "b.pdf", "more/c.pdf")
    ]


@pytest.mark.parametrize("ending", ["txt", "jsonl", "parquet"])
def test_lists_are_relative_to_themselves(folder, ending):
    names, path = ["more/c.pdf", "b.pdf"], folder / f"list.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table({"path": names}), path)
    elif ending == "jsonl":
        path.write_text("".join(json.dumps({"path": name}) + "\n" for name in names))
    else:
        path.write_text("\n".join(names) + "\n\n")
    assert find_pdfs(path) == [{"source": name, "path": str(folder / name)} for name in ("b.pdf", "more/c.pdf")]


def test_what_is_no_source(folder):
    with pytest.raises(ValueError, match="nowhere is not a folder, nor a list of paths"):
        find_pdfs(folder / "nowhere")
    (folder / "list.csv").write_text("a.pdf")
    with pytest.raises(ValueError, match=r"ends in '\.csv', expected \.txt, \.jsonl or \.parquet"):
        find_pdfs(folder / "list.csv")
    (folder / "list.txt").write_text("")
    with pytest.raises(ValueError, match="names no PDF"):
        find_pdfs(folder / "list.txt")
    (folder / "list.txt").write_text("b.pdf\nb.pdf\n")
    with pytest.raises(ValueError, match="names 1 paths twice"):
        find_pdfs(folder / "list.txt")
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no PDF found in .*empty"):
        find_pdfs(folder / "empty")
