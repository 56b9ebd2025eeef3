"""The files of a dataset folder."""

from string import Template

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from synthetic_pdf import built, report

from mmprolong_hf.synthesis import output
from mmprolong_hf.synthesis.output import ShardWriter, read_rows, write_card, write_documents, write_table
from mmprolong_hf.synthesis.schema import DOCUMENT_FEATURES

# What the template leaves open, but for what is read off the files
FACTS = set(Template(output.CARD.read_text(encoding="utf-8")).get_identifiers()) - {"configs", "config_table"}
SCHEMA = DOCUMENT_FEATURES.arrow_schema


@pytest.fixture(scope="module")
def row(tmp_path_factory):
    return built(report(tmp_path_factory.mktemp("pdf") / "a.pdf")).row


def table(row):
    return pa.Table.from_pylist([row], schema=SCHEMA)


def test_rows_come_back_as_they_went(row, tmp_path):
    assert write_documents([table(row)], tmp_path, "train") == 1
    (back,) = read_rows(tmp_path, "train")
    assert back["images"] == row["images"]
    assert [q["question"] for q in back["questions"]] == [q["question"] for q in row["questions"]]
    flat = list(read_rows(tmp_path, "train", part="questions"))
    assert [q["answer"] for q in flat] == [q["answer"] for q in row["questions"]]
    assert flat[0]["verdicts"] == row["questions"][0]["verdicts"]
    assert "images" not in flat[0]


def test_a_split_without_rows_leaves_no_file(tmp_path):
    assert write_documents([], tmp_path, "test") == 0
    assert list(tmp_path.rglob("*.parquet")) == []


def test_the_card_names_its_files_and_changes_with_them(row, tmp_path):
    def fingerprint():
        write_card(tmp_path, dict.fromkeys(FACTS, "x: 1"))
        front = yaml.safe_load((tmp_path / "README.md").read_text().split("---")[1])
        assert [c["config_name"] for c in front["configs"]] == ["default", "questions"]
        assert front["configs"][0]["default"] is True
        assert front["configs"][0]["data_files"] == [
            {"split": "train", "path": "data/train-*.parquet"},
            {"split": "test", "path": "data/test-*.parquet"},
        ]
        return front["configs"][0]["description"]

    write_documents([table(row)], tmp_path, "train")
    write_documents([table(row)], tmp_path, "test")
    first = fingerprint()
    assert fingerprint() == first
    write_documents([table({**row, "title": "another"})], tmp_path, "train")
    assert fingerprint() != first


def test_the_card_counts_the_rows_of_its_files(row, tmp_path):
    write_documents([table(row)] * 3, tmp_path, "train")
    write_documents([table(row)], tmp_path, "test")
    write_card(tmp_path, dict.fromkeys(FACTS, "x: 1"))
    lines = [line for line in (tmp_path / "README.md").read_text().splitlines() if line.startswith("| `")][:4]
    number = len(row["questions"])
    assert lines == [
        "| `default` | train | 3 | one document with all its pages and questions |",
        "| `default` | test | 1 | one document with all its pages and questions |",
        f"| `questions` | train | {3 * number:,} | one question, without images |",
        f"| `questions` | test | {number:,} | one question, without images |",
    ]


def test_groups_and_shards_stay_below_their_limits(row, tmp_path, monkeypatch):
    size = table(row).nbytes
    monkeypatch.setattr(output, "ROW_GROUP_BYTES", 2.5 * size)
    monkeypatch.setattr(output, "SHARD_BYTES", 5.5 * size)
    with ShardWriter(tmp_path, "train", SCHEMA) as writer:
        for k in range(12):
            writer.write(table({**row, "title": str(k)}))
    files = sorted(tmp_path.iterdir())
    assert [f.name for f in files] == [f"train-{k:05d}-of-00003.parquet" for k in range(3)]
    metadata = [pq.ParquetFile(f).metadata for f in files]
    assert [[m.row_group(k).num_rows for k in range(m.num_row_groups)] for m in metadata] == [
        [2, 2, 1],
        [2, 2, 1],
        [2],
    ]
    assert [t for f in files for t in pq.read_table(f)["title"].to_pylist()] == [str(k) for k in range(12)]


def test_a_failed_write_gives_no_shard_its_name(row, tmp_path):
    def write():
        with ShardWriter(tmp_path, "train", SCHEMA) as writer:
            writer.write(table(row))
            raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write()
    assert list(tmp_path.glob("*.parquet")) == []


def test_a_table_is_whole_or_not_there(row, tmp_path):
    write_table([row], SCHEMA, tmp_path / "a.parquet")
    with pytest.raises(pa.ArrowInvalid):
        write_table([{**row, "num_pages": "many"}], SCHEMA, tmp_path / "b.parquet")
    assert [p.name for p in tmp_path.glob("*.parquet")] == ["a.parquet"]
