"""Which questions of a built set a person grades: drawn at random, and the same ones again for the same questions and seed."""

import hashlib
import heapq
import json
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset

from mmprolong_hf.rows import UndecodedRows

# What a grade is about. Another of these, and the grade is of something else.
GRADED = (
    "doc_id",
    "question",
    "answer",
    "task",
    "answer_format",
    "evidence_pages",
    "evidence_boxes",
    "evidence_quotes",
)
DOCUMENT = ("doc_id", "source", "num_pages", "dpi", "engine", "image_format", "images", "pdf")


@dataclass(frozen=True)
class Draw:
    """
    Questions that were drawn, from [`draw_sample`].

    Args:
        questions (`tuple[dict]`): Rows of the `questions` config, in the order in which they are to be graded.
        num_questions (`int`): How many the split has.
        split (`str`): They are of it.
        seed (`int`): Of the draw.
    """

    questions: tuple[dict, ...]
    num_questions: int
    split: str
    seed: int

    @property
    def fingerprint(self) -> str:
        """Of all that is graded: a set that is built again with the same questions has the same."""
        graded = [[question[name] for name in GRADED] for question in self.questions]
        return hashlib.sha256(json.dumps(graded).encode()).hexdigest()[:16]


def draw_sample(folder: Path, *, num_samples: int, seed: int = 0, split: str = "train") -> Draw:
    """
    Draw questions uniformly at random, without replacement.

    Each question has a key, the SHA-256 of the seed, its document and its text; the smallest keys are drawn, in their order
    (bottom-k sampling: E. Cohen and H. Kaplan, "Summarizing Data Using Bottom-k Sketches", 2007). So the order of the rows
    changes nothing, and a smaller sample begins a larger one of the same seed.

    It reads two columns of the whole table, 1 million questions in about 10 s, then a row group for each question drawn; in
    memory are one row group and the sample.

    Args:
        folder (`Path`): A built set.
        num_samples (`int`): How many; all of them where the split has fewer.
        seed (`int`, *optional*, defaults to `0`): Another one draws other questions.
        split (`str`, *optional*, defaults to `"train"`): Of these questions.

    Raises:
        ValueError: for a number below 1, a folder that is no built set, or one without the split.
    """
    if num_samples < 1:
        raise ValueError(f"num_samples is {num_samples}, expected at least 1")
    shards = [pq.ParquetFile(path) for path in _find_shards(folder, "questions", split)]
    drawn = heapq.nsmallest(num_samples, _keys(shards, seed))
    rows_of = defaultdict(list)
    for _, shard, group, row in drawn:
        rows_of[shard, group].append(row)
    questions = {}
    for (shard, group), rows in rows_of.items():
        table = shards[shard].read_row_group(group)
        questions |= {(shard, group, row): table.slice(row, 1).to_pylist()[0] for row in rows}
    num_questions = sum(shard.metadata.num_rows for shard in shards)
    return Draw(tuple(questions[tuple(place)] for _, *place in drawn), num_questions, split, seed)


def _keys(shards: list[pq.ParquetFile], seed: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Of every question: its key, and the shard, row group and row where it stands."""
    for number, shard in enumerate(shards):
        for group in range(shard.num_row_groups):
            columns = shard.read_row_group(group, columns=["doc_id", "question"]).to_pydict()
            for row, (doc_id, question) in enumerate(zip(columns["doc_id"], columns["question"])):
                yield hashlib.sha256(f"{seed}\0{doc_id}\0{question}".encode()).digest(), number, group, row


def open_documents(folder: Path, split: str, doc_ids: Collection[str]) -> Iterator[dict]:
    """
    Some documents, one at a time, in the order of the files.

    It reads the ids of the whole split, then the row groups with these documents, in memory of some times a row group (a build's
    hold 32 MiB, or one document that is larger). In the compact form pages are rendered when they are asked for.

    Args:
        folder (`Path`): A built set.
        split (`str`): Of these documents.
        doc_ids (`Collection[str]`): Which ones.

    Yields:
        `dict`: The columns of `DOCUMENT`, images as stored.

    Raises:
        ValueError: for a folder that is no built set, one without the split, or a document that is not in it.
    """
    wanted = set(doc_ids)
    for path in _find_shards(folder, "data", split):
        shard = pq.ParquetFile(path)
        for group in range(shard.num_row_groups):
            ids = shard.read_row_group(group, columns=["doc_id"])["doc_id"].to_pylist()
            if wanted.isdisjoint(ids):
                continue
            batches = shard.iter_batches(batch_size=1, row_groups=[group], columns=list(DOCUMENT))
            for doc_id, batch in zip(ids, batches):
                if doc_id in wanted:
                    wanted.remove(doc_id)
                    yield UndecodedRows(Dataset(pa.Table.from_batches([batch])))[0]
    if wanted:
        raise ValueError(
            f"{folder} has questions about {len(wanted)} documents that its data/ lacks, {min(wanted)} among them, expected all "
            "documents of the split: copy or download the whole folder"
        )


def _find_shards(folder: Path, part: str, split: str) -> list[Path]:
    paths = sorted((folder / part).glob("*.parquet"))
    if not paths:
        raise ValueError(
            f"{folder} has no {part}/*.parquet, expected a set that `mmprolong build` wrote: name the folder of one"
        )
    found = [path for path in paths if path.name.split("-")[0] == split]
    if not found:
        splits = ", ".join(sorted({path.name.split("-")[0] for path in paths}))
        raise ValueError(f"{folder} has no split {split!r}, expected one of: {splits}")
    return found
