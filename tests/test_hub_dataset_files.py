"""What is not whole is not published."""

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from built_sets import NUM_DOCUMENTS, NUM_SHORT, sets
from datasets import Image, load_dataset

from mmprolong_hf.hub.dataset_files import FEATURES, read_built_set, read_splits
from mmprolong_hf.synthesis.output import CONFIGS, ShardWriter
from mmprolong_hf.synthesis.schema import DOCUMENT_FEATURES, FLAT_FEATURES


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(sets().images, tmp_path / "set")


def test_a_whole_set_is_read_with_its_sizes(folder):
    built = read_built_set(folder)
    assert list(built.parts) == list(CONFIGS) == list(FEATURES)
    train, test = built.parts["data"]["train"], built.parts["data"]["test"]
    assert (train.num_rows, test.num_rows) == (NUM_DOCUMENTS - 1 + NUM_SHORT, 1)
    assert list(built.parts["data"]) == ["train", "test"]
    assert train.file_bytes == sum(path.stat().st_size for path in train.paths)
    assert built.store == "images"
    assert read_built_set(sets().pdf).store == "pdf"


def test_bytes_are_counted_as_datasets_counts_them(folder, tmp_path):
    shutil.copytree(folder / "data", tmp_path / "plain")  # without a card that tells them
    loaded = load_dataset(str(tmp_path / "plain"))
    splits = read_splits(folder / "data", DOCUMENT_FEATURES)
    for name, split in splits.items():
        assert isinstance(loaded[name].features["images"].feature, Image)
        assert loaded[name].info.splits[name].num_bytes == split.num_bytes


@pytest.mark.parametrize("name", ["README.md", "build_report.json", "mixture.png"])
def test_a_folder_that_no_build_finished(folder, name):
    (folder / name).unlink()
    with pytest.raises(ValueError, match=rf"has no {name}: expected a folder that `mmprolong build` has finished"):
        read_built_set(folder)


def test_what_a_cut_off_write_left(folder):
    (folder / "questions" / "train-00001.tmp").touch()
    with pytest.raises(ValueError, match=r"train-00001\.tmp is no shard of a set: expected names such as train-00000"):
        read_built_set(folder)


def test_a_missing_shard_is_named(folder):
    schema = DOCUMENT_FEATURES.arrow_schema
    rows = pq.read_table(folder / "data" / "train-00000-of-00001.parquet").to_pylist()
    shutil.rmtree(folder / "data")
    with ShardWriter(folder / "data", "train", schema) as writer:
        for row in rows:
            writer.write(pa.Table.from_pylist([row], schema=schema))
            writer._end_shard()  # one row a file
    assert read_splits(folder / "data", DOCUMENT_FEATURES)["train"].num_rows == len(rows)
    (folder / "data" / "train-00001-of-00004.parquet").unlink()
    with pytest.raises(ValueError, match=r"data is not whole: of train, train-00001-of-00004\.parquet is missing"):
        read_built_set(folder)


def test_a_folder_without_shards(folder):
    (folder / "data" / "test-00000-of-00001.parquet").unlink()
    (folder / "data" / "train-00000-of-00001.parquet").unlink()
    with pytest.raises(ValueError, match=r"data holds no shard, expected at least one"):
        read_built_set(folder)


@pytest.mark.parametrize("place", [0.5, 1.0])
def test_a_shard_that_is_cut_or_damaged(folder, place):
    path = folder / "data" / "train-00000-of-00001.parquet"
    data = path.read_bytes()
    # cut in the middle, or whole in length with its first pages overwritten: the footer alone would not tell
    path.write_bytes(data[: len(data) // 2] if place < 1 else data[:4] + bytes(4000) + data[4004:])
    with pytest.raises(
        ValueError, match=r"(?s)train-00000-of-00001\.parquet cannot be read \(.*expected a whole Parquet"
    ):
        read_built_set(folder)


def test_other_columns_are_named(folder):
    path = folder / "questions" / "test-00000-of-00001.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["anchor"]).append_column("note", pa.array([""] * len(table))), path)
    with pytest.raises(ValueError, match=r"is of another schema: anchor, note differs from what this version writes"):
        read_built_set(folder)
    pq.write_table(table.select(table.column_names[::-1]), path)
    with pytest.raises(ValueError, match=r"the order of its columns differs"):
        read_splits(folder / "questions", FLAT_FEATURES)


def test_rows_must_be_those_of_the_report(folder):
    path = folder / "questions" / "test-00000-of-00001.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(
        ValueError, match=r"questions, but its build_report\.json tells .*files of two builds are mixed"
    ):
        read_built_set(folder)


def test_a_report_and_a_card_that_cannot_be_read(folder):
    report = (folder / "build_report.json").read_text()
    (folder / "build_report.json").write_text(report[:-9])
    with pytest.raises(ValueError, match=r"build_report\.json is no JSON"):
        read_built_set(folder)
    (folder / "build_report.json").write_text("{}")
    with pytest.raises(
        ValueError, match=r"build_report\.json tells no rows, questions, licenses, plan, expected what a build reports"
    ):
        read_built_set(folder)
    (folder / "build_report.json").write_text(report)
    (folder / "README.md").write_text("# My set\n")
    with pytest.raises(ValueError, match=r"README\.md names no configs, expected the card that a build writes"):
        read_built_set(folder)
