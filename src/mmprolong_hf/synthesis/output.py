"""Writes a dataset folder that `load_dataset` and streaming read: Parquet shards and a card."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from string import Template

import pyarrow as pa
import pyarrow.parquet as pq

from .schema import DOCUMENT_FEATURES, FLAT_FEATURES

ROW = ".row.parquet"  # how the file of one document's row is called while a build is under way
# Whoever wants one row reads its whole group, and a stream reads two before its first row. Groups of 90 MiB cost 2.4 times the
# bytes of these for either; their set is as large, and one pass reads 7 % less. With smaller groups most documents are a group by
# themselves, and only the shortest gain (benchmarks/streaming.py). The Hub's viewer refuses more than VIEWER_BYTES.
ROW_GROUP_BYTES = 32 * 2**20
VIEWER_BYTES = 300_000_000  # of row groups: the most that the Hub's viewer reads for a page of rows (286.1 MiB)
SHARD_BYTES = 500 * 2**20
# Folder -> name of its config and what a row of it is
CONFIGS = {
    "data": ("default", "One row is one document with all its pages and questions"),
    "questions": ("questions", "One row is one question, without images"),
    "rejected": ("rejected", "One row is one question that failed a check, with the reason"),
    "elements": ("elements", "One row is one piece of a page, in reading order"),
}
CARD = Path(__file__).parent / "templates" / "dataset_card.md"


def write_table(rows: list[dict], schema: pa.Schema, path: Path) -> None:
    """
    Write rows as a Parquet file that is there whole or not at all.

    Args:
        rows (`list[dict]`): At least one.
        schema (`pa.Schema`): Of the file.
        path (`Path`): The file.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), partial, compression="zstd")
    partial.replace(path)


class ShardWriter:
    """
    Writes rows into numbered Parquet files of a split, in row groups of limited size.

    Args:
        folder (`Path`): Of one config, e.g. `data/`.
        split (`str`): Begins the names of the files.
        schema (`pa.Schema`): Of the rows.

    Example:

    ```python
    with ShardWriter(folder / "data", "train", DOCUMENT_FEATURES.arrow_schema) as writer:
        writer.write(table)
    ```
    """

    def __init__(self, folder: Path, split: str, schema: pa.Schema):
        self.folder, self.split, self.schema = folder, split, schema
        self._paths: list[Path] = []
        self._group: list[pa.Table] = []
        self._group_bytes = self._shard_bytes = self.num_rows = 0
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, kind, *exception) -> None:
        self._end_shard()
        if kind is None:
            for number, path in enumerate(self._paths):
                path.rename(self.folder / f"{self.split}-{number:05d}-of-{len(self._paths):05d}.parquet")

    def write(self, rows: pa.Table) -> None:
        """
        Add rows; they stay in one row group.

        Args:
            rows (`pa.Table`): Of the schema.
        """
        size = rows.nbytes
        if self._group and self._group_bytes + size > ROW_GROUP_BYTES:
            self._end_group()
        if self._shard_bytes and self._shard_bytes + self._group_bytes + size > SHARD_BYTES:
            self._end_shard()
        self._group.append(rows)
        self._group_bytes += size
        self.num_rows += rows.num_rows

    def _end_group(self) -> None:
        if not self._group:
            return
        if self._writer is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._paths.append(self.folder / f"{self.split}-{len(self._paths):05d}.tmp")
            self._writer = pq.ParquetWriter(self._paths[-1], self.schema, compression="zstd", write_page_index=True)
        self._writer.write_table(pa.concat_tables(self._group).combine_chunks())
        self._shard_bytes += self._group_bytes
        self._group, self._group_bytes = [], 0

    def _end_shard(self) -> None:
        self._end_group()
        if self._writer is not None:
            self._writer.close()
        self._writer, self._shard_bytes = None, 0


def write_documents(tables: Iterable[pa.Table], folder: Path, split: str) -> int:
    """
    Write documents into `data/` and their questions, without images, into `questions/`.

    Args:
        tables (`Iterable[pa.Table]`): Of `schema.DOCUMENT_FEATURES`, each a document or a few.
        folder (`Path`): Of the dataset.
        split (`str`): `"train"` or `"test"`.

    Returns:
        `int`: How many documents there were.
    """
    flat = FLAT_FEATURES.arrow_schema
    with (
        ShardWriter(folder / "data", split, DOCUMENT_FEATURES.arrow_schema) as documents,
        ShardWriter(folder / "questions", split, flat) as questions,
    ):
        for table in tables:
            documents.write(table)
            rows = table.select(["doc_id", "source", "num_pages", "questions"]).to_pylist()
            asked = [{**row, **question} for row in rows for question in row.pop("questions")]
            questions.write(pa.Table.from_pylist(asked, schema=flat))
    return documents.num_rows


def read_rows(folder: str | Path, split: str, *, part: str = "data") -> Iterator[dict]:
    """
    Rows of a built folder, one at a time, images as stored.

    Args:
        folder (`str` or `Path`): A folder that `pipeline.build_dataset` wrote.
        split (`str`): `"train"` or `"test"`.
        part (`str`, *optional*, defaults to `"data"`): `"data"` for documents, `"questions"` for questions alone.
    """
    for path in sorted(Path(folder, part).glob(f"{split}-*.parquet")):
        yield from rows_of(path)


def rows_of(path: Path, columns: list[str] | None = None) -> Iterator[dict]:
    """
    Rows of one shard, one at a time.

    Args:
        path (`Path`): The file.
        columns (`list[str]`, *optional*): All if not given; of the others nothing is read.
    """
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=1, columns=columns):
            yield from batch.to_pylist()


def write_card(folder: Path, facts: dict[str, str]) -> None:
    """
    Write README.md: the YAML that `load_dataset` reads, and how the set was built.

    The YAML names a fingerprint of the files: `datasets` (5.2) keeps what it loaded from a local folder under the
    folder's name and its YAML alone, and would show a rebuilt folder, or another of the same name, as it was before.

    Args:
        folder (`Path`): Of the dataset; every folder of `CONFIGS` in it becomes a config.
        facts (`dict[str, str]`): What the card leaves open, by name.
    """
    text = Template(CARD.read_text(encoding="utf-8")).substitute(
        configs=_configs(folder), config_table=_config_table(folder), **facts
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def _configs(folder: Path) -> str:
    """The card's YAML for the configs that were written."""
    build, lines = _fingerprint(folder), []
    for part, (name, description) in CONFIGS.items():
        if splits := _splits(folder / part):
            lines += [f"- config_name: {name}", *(["  default: true"] if name == "default" else [])]
            lines += [f"  description: {description} (build {build})", "  data_files:"]
            lines += [f"  - split: {split}\n    path: {part}/{split}-*.parquet" for split in splits]
    return "\n".join(lines)


def _config_table(folder: Path) -> str:
    """The same for a reader, with their rows."""
    lines = ["| config | split | rows | what a row is |", "| --- | --- | ---: | --- |"]
    for part, (name, description) in CONFIGS.items():
        for split, rows in _splits(folder / part).items():
            lines.append(f"| `{name}` | {split} | {rows:,} | {description.removeprefix('One row is ')} |")
    return "\n".join(lines)


def _splits(part: Path) -> dict[str, int]:
    """Split -> rows, `train` first."""
    splits: Counter = Counter()
    for path in sorted(part.glob("*.parquet"), reverse=True):
        splits[path.name.split("-")[0]] += pq.read_metadata(path).num_rows
    return dict(splits)


def _fingerprint(folder: Path) -> str:
    """Of the bytes of all Parquet files."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*-of-*.parquet")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]
