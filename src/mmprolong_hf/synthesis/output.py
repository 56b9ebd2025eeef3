"""Writes a dataset folder that `load_dataset` and streaming read: Parquet shards and a card."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from string import Template

import pyarrow as pa
import pyarrow.parquet as pq

from .schema import DOCUMENT_FEATURES, FLAT_FEATURES

ROW_GROUP_BYTES = 90 * 2**20  # the Hub's viewer reads whole row groups; datasets itself aims below 100 MB
SHARD_BYTES = 500 * 2**20
CARD = Path(__file__).parent / "templates" / "dataset_card.md"


def write_row(row: dict, path: Path) -> None:
    """
    Write one document as a Parquet file of its own.

    Args:
        row (`dict`): A row of `schema.DOCUMENT_FEATURES`.
        path (`Path`): The file.
    """
    pq.write_table(pa.Table.from_pylist([row], schema=DOCUMENT_FEATURES.arrow_schema), path, compression="zstd")


def write_split(files: list[Path], folder: Path, split: str) -> None:
    """
    Join the documents of a split into shards, and write its questions without images beside them.

    Args:
        files (`list[Path]`): One-row files of [`write_row`], in the order wanted.
        folder (`Path`): Of the dataset; gets `data/` and `questions/`.
        split (`str`): `"train"` or `"test"`.
    """
    shards = list(_shards(files))
    for number, shard in enumerate(shards):
        path = folder / "data" / f"{split}-{number:05d}-of-{len(shards):05d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(
            path, DOCUMENT_FEATURES.arrow_schema, compression="zstd", write_page_index=True
        ) as writer:
            for group in _groups(shard):
                writer.write_table(pa.concat_tables([pq.read_table(file) for file in group]).combine_chunks())
    rows = [
        {"doc_id": row["doc_id"], "source": row["source"], "num_pages": row["num_pages"], **question}
        for file in files
        for row in pq.read_table(file, columns=["doc_id", "source", "num_pages", "questions"]).to_pylist()
        for question in row["questions"]
    ]
    path = folder / "questions" / f"{split}-00000-of-00001.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=FLAT_FEATURES.arrow_schema), path, compression="zstd")


def read_rows(folder: str | Path, split: str, *, part: str = "data") -> Iterator[dict]:
    """
    Rows of a built folder, one at a time, images as stored.

    Args:
        folder (`str` or `Path`): A folder that `pipeline.build_dataset` wrote.
        split (`str`): `"train"` or `"test"`.
        part (`str`, *optional*, defaults to `"data"`): `"data"` for documents, `"questions"` for questions alone.
    """
    for path in sorted(Path(folder, part).glob(f"{split}-*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(batch_size=1):
            yield from batch.to_pylist()


def write_card(folder: Path, splits: list[str], facts: dict[str, str]) -> None:
    """
    Write README.md: the YAML that `load_dataset` reads, and how the set was built.

    The YAML names a fingerprint of the files: `datasets` (5.2) keeps what it loaded from a local folder under the
    folder's name and its YAML alone, and would show a rebuilt folder, or another of the same name, as it was before.

    Args:
        folder (`Path`): Of the dataset.
        splits (`list[str]`): Splits that were written.
        facts (`dict[str, str]`): What the card leaves open, by name.
    """
    text = Template(CARD.read_text(encoding="utf-8")).substitute(
        data_files=_data_files("data", splits),
        question_files=_data_files("questions", splits),
        fingerprint=_fingerprint(folder),
        **facts,
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def _fingerprint(folder: Path) -> str:
    """Of the bytes of all Parquet files."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*-of-*.parquet")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]


def _data_files(part: str, splits: list[str]) -> str:
    return "\n".join(f"  - split: {split}\n    path: {part}/{split}-*.parquet" for split in splits)


def _shards(files: list[Path]) -> Iterator[list[Path]]:
    yield from _by_bytes(files, SHARD_BYTES)


def _groups(files: list[Path]) -> Iterator[list[Path]]:
    yield from _by_bytes(files, ROW_GROUP_BYTES)


def _by_bytes(files: list[Path], limit: int) -> Iterator[list[Path]]:
    """Runs of one-row files whose rows stay below the limit together, before compression."""
    run, size = [], 0
    for file in files:
        more = pq.read_metadata(file).row_group(0).total_byte_size
        if run and size + more > limit:
            yield run
            run, size = [], 0
        run.append(file)
        size += more
    if run:
        yield run
