"""The files of a set that a build wrote, each read before anything of it is published."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features
from tqdm.auto import tqdm

from mmprolong_hf.hub.card import Card
from mmprolong_hf.synthesis.output import CONFIGS
from mmprolong_hf.synthesis.output_folder import REPORT
from mmprolong_hf.synthesis.publish import CHART
from mmprolong_hf.synthesis.schema import DOCUMENT_FEATURES, ELEMENT_FEATURES, FLAT_FEATURES, REJECTED_FEATURES

FEATURES = {
    "data": DOCUMENT_FEATURES,
    "questions": FLAT_FEATURES,
    "rejected": REJECTED_FEATURES,
    "elements": ELEMENT_FEATURES,
}
NEEDED = ("README.md", REPORT, CHART, "data", "questions")
_SHARD = re.compile(r"(\w+)-(\d{5})-of-(\d{5})\.parquet")


@dataclass(frozen=True)
class Split:
    """
    The shards of one split.

    Args:
        paths (`tuple[Path]`): In their order.
        num_rows (`int`): Of all shards.
        num_bytes (`int`): Of the rows in memory, as `datasets` counts `num_bytes` of a split.
        file_bytes (`int`): Of the files.
        largest_group (`int`): Bytes of the largest row group, uncompressed.
    """

    paths: tuple[Path, ...]
    num_rows: int
    num_bytes: int
    file_bytes: int
    largest_group: int


@dataclass(frozen=True)
class BuiltSet:
    """
    A whole set, as a build wrote it.

    Args:
        folder (`Path`): Where it is.
        card (`Card`): Its README.md.
        report (`dict`): Its build_report.json.
        parts (`dict[str, dict[str, Split]]`): Folder (as in `output.CONFIGS`) -> split -> its shards.
    """

    folder: Path
    card: Card
    report: dict
    parts: dict[str, dict[str, Split]]

    @property
    def store(self) -> str:
        """What its rows hold of the pages: `"images"` or the `"pdf"`."""
        return self.report["plan"]["pages"]["store"]


def read_built_set(folder: Path) -> BuiltSet:
    """
    A built set, after every one of its rows was read.

    Args:
        folder (`Path`): That `mmprolong build` or `mmprolong restore` wrote.

    Raises:
        ValueError: when it is no built set, a shard is missing, cut off or of other columns, or there are not as many rows as its
            build_report.json tells.
    """
    if missing := [name for name in NEEDED if not (folder / name).exists()]:
        raise ValueError(
            f"{folder} has no {', '.join(missing)}: expected a folder that `mmprolong build` has finished; build it, or name its folder"
        )
    report = _read_report(folder / REPORT)
    card = Card.parse((folder / "README.md").read_text(encoding="utf-8"))
    if not card.metadata.get("configs"):
        raise ValueError(
            f"{folder / 'README.md'} names no configs, expected the card that a build writes; build the set again"
        )
    parts = {part: read_splits(folder / part, FEATURES[part]) for part in CONFIGS if (folder / part).is_dir()}
    _check_rows(folder, parts, report)
    return BuiltSet(folder, card, report, parts)


def _read_report(path: Path) -> dict:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is no JSON ({error}); build the set again") from error
    if missing := [name for name in ("rows", "questions", "licenses", "plan") if name not in report]:
        raise ValueError(f"{path} tells no {', '.join(missing)}, expected what a build reports; build the set again")
    return report


def _check_rows(folder: Path, parts: Mapping[str, Mapping[str, Split]], report: dict) -> None:
    documents = {name: split.num_rows for name, split in parts["data"].items()}
    questions = sum(split.num_rows for split in parts["questions"].values())
    told = sum(report["questions"].values())
    if documents != report["rows"] or questions != told:
        raise ValueError(
            f"{folder} holds {documents} documents and {questions} questions, but its {REPORT} tells {report['rows']} and {told}: "
            "files of two builds are mixed, or some are missing; build it again"
        )


def read_splits(folder: Path, features: Features) -> dict[str, Split]:
    """
    The splits of one config; `train` stands before `test`.

    Args:
        folder (`Path`): With shards named `SPLIT-00000-of-00001.parquet` and nothing else.
        features (`Features`): What their rows should be.

    Raises:
        ValueError: when a shard is missing, cannot be read or has other columns, or another file is there.
    """
    shards: dict[str, list[re.Match]] = {}
    for path in sorted(folder.iterdir()):
        if not (match := _SHARD.fullmatch(path.name)):
            raise ValueError(
                f"{path} is no shard of a set: expected names such as train-00000-of-00001.parquet. A write was cut off, or it is of "
                "something else; build the set again, or take the file away"
            )
        shards.setdefault(match[1], []).append(match)
    if not shards:
        raise ValueError(f"{folder} holds no shard, expected at least one .parquet file; build the set again")
    for split, matches in shards.items():
        found, wanted = (
            [m[0] for m in matches],
            [shard_name(split, k, int(matches[0][3])) for k in range(int(matches[0][3]))],
        )
        if found != wanted:
            different = sorted(set(found) ^ set(wanted))
            raise ValueError(
                f"{folder} is not whole: of {split}, {', '.join(different[:3])} is missing or too much; build it again"
            )
    return {
        split: read_split([folder / m[0] for m in shards[split]], features) for split in sorted(shards, reverse=True)
    }


def shard_name(split: str, number: int, count: int) -> str:
    """
    How a shard is called.

    Example:

    ```python
    >>> shard_name("train", 0, 2)
    'train-00000-of-00002.parquet'

    ```
    """
    return f"{split}-{number:05d}-of-{count:05d}.parquet"


def read_split(paths: list[Path], features: Features) -> Split:
    wanted, rows, num_bytes, largest = features.arrow_schema, 0, 0, 0
    for path in tqdm(paths, desc=f"read {paths[0].parent.name}", unit="shard", delay=2):
        try:
            with pq.ParquetFile(path) as file:
                if not file.schema_arrow.equals(wanted):
                    raise ValueError(_other_columns(path, file.schema_arrow, wanted))
                for k in range(file.num_row_groups):
                    num_bytes += file.read_row_group(k).nbytes
                    largest = max(largest, file.metadata.row_group(k).total_byte_size)
                rows += file.metadata.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            raise ValueError(
                f"{path} cannot be read ({error}): expected a whole Parquet file; build the set again"
            ) from error
    return Split(tuple(paths), rows, num_bytes, sum(path.stat().st_size for path in paths), largest)


def _other_columns(path: Path, found: pa.Schema, wanted: pa.Schema) -> str:
    names = sorted({*found.names, *wanted.names})
    other = [
        name
        for name in names
        if name not in found.names or name not in wanted.names or found.field(name).type != wanted.field(name).type
    ]
    return (
        f"{path} is of another schema: {', '.join(other) or 'the order of its columns'} differs from what this version writes "
        f"({', '.join(wanted.names)}); build the set again"
    )
