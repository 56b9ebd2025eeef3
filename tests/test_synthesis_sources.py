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
    assert find_pdfs(path) == [
        {"source": name, "path": str(folder / name), "url": "", "license": ""} for name in ("b.pdf", "more/c.pdf")
    ]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_list_tells_where_a_pdf_is_from_and_its_licence(folder, ending):
    rows = [
        {"path": "b.pdf", "url": "https://example.org/b", "license": " CC BY\n4.0 "},
        {"path": "more/c.pdf", "url": None, "license": None},
    ]
    path = folder / f"list.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [(item["url"], item["license"]) for item in find_pdfs(path)] == [
        ("https://example.org/b", "CC BY 4.0"),
        ("", ""),
    ]


def test_absolute_paths_are_named_without_the_folders_above_all(folder):
    path = folder / "list.txt"
    path.write_text(f"{folder}/more/c.pdf\n{folder}/b.pdf\n")
    assert [(item["source"], item["path"]) for item in find_pdfs(path)] == [
        (name, str(folder / name)) for name in ("b.pdf", "more/c.pdf")
    ]
    path.write_text(f"{folder}/more/c.pdf\nb.pdf\n")  # of both kinds
    assert [item["source"] for item in find_pdfs(path)] == ["b.pdf", "more/c.pdf"]
    path.write_text(f"{folder}/b.pdf\nb.pdf\n")
    with pytest.raises(ValueError, match="names 1 paths twice"):
        find_pdfs(path)


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


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"path": "b.pdf"}\n\n{"file": "b.pdf"}\n', r"a\.jsonl, line 3 has no path"),
        ("a.jsonl", '"b.pdf"\n', r"a\.jsonl, line 1 has no path; expected an object such as"),
        ("a.jsonl", '{"path": "b.pdf"}\n{"path": "c', r"a\.jsonl, line 2 is no JSON"),
        ("a.jsonl", '{"path": null}\n', r"a\.jsonl, line 1: the path is None, expected the path of a PDF"),
        ("a.jsonl", '{"path": ""}\n', r"a\.jsonl, line 1: the path is ''"),
        (
            "a.jsonl",
            '{"path": "b.pdf"}\n{"path": "c.pdf", "license": 4}\n',
            r"line 2: the license is 4, expected text, or no license",
        ),
        (
            "a.jsonl",
            '{"path": "b.pdf", "url": ["u"]}\n',
            r"a\.jsonl, line 1: the url is \['u'\], expected text, or no url",
        ),
        (
            "a.jsonl",
            '{"path": "b.pdf", "url": "https://me:secret@example.org/b.pdf"}\n',
            r"a\.jsonl, line 1: the url holds an @ before its path, expected one without",
        ),
        ("a.parquet", "b.pdf", r"a\.parquet is no Parquet file"),
        ("a.txt", "B\udcfccher.pdf\n", r"a\.txt is not in UTF-8"),
    ],
)
def test_a_broken_list_is_named_with_its_line(tmp_path, name, text, message):
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=message):
        find_pdfs(tmp_path / name)


def test_a_table_without_paths_is_named(tmp_path):
    path = tmp_path / "list.parquet"
    pq.write_table(pa.table({"file": ["b.pdf"], "size": [3]}), path)
    with pytest.raises(ValueError, match=r"list\.parquet has the columns file, size; expected a column path"):
        find_pdfs(path)
    pq.write_table(pa.table({"path": ["b.pdf", None]}), path)
    with pytest.raises(ValueError, match=r"list\.parquet, line 2: the path is None"):
        find_pdfs(path)


def test_a_byte_order_mark_and_other_ends_of_line_are_no_part_of_a_name(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("b.pdf\r\nc.pdf\r\n", encoding="utf-8-sig")
    assert [item["source"] for item in find_pdfs(path)] == ["b.pdf", "c.pdf"]
    path = tmp_path / "list.jsonl"
    path.write_text('{"path": "b\u2028.pdf"}\n', encoding="utf-8-sig")
    assert [item["source"] for item in find_pdfs(path)] == ["b\u2028.pdf"]
