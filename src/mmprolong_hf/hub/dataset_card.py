"""The card of a published data set: what it holds, as `load_dataset` reads it and as people do."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from datasets import DatasetInfo, Features, SplitDict, SplitInfo
from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCardData

from mmprolong_hf.hub.card import Card
from mmprolong_hf.hub.dataset_files import BuiltSet, Split, shard_name
from mmprolong_hf.synthesis.output import CONFIGS
from mmprolong_hf.synthesis.short_context import SHORT_TASK

PHRASES = Path(__file__).parent / "dataset_card.yaml"
CONFIGS_TOLD = "Configs"
REVIEW = "Review"
TRAINING = "Training with TRL"
PLACE = "PATH_OR_ID"  # where the card of a folder names itself
_BUILD = re.compile(r" \(build \w+\)")
# Of the card that a build writes: what follows the form of the pages
_ROW_OF = re.compile(r"^(Each row|Of a row) of the `\w+` config", re.MULTILINE)
_ABOVE_TRAINING = re.compile(r"\A.*?(?=TRL's own)", re.DOTALL)
_LOADED = re.compile(r'load_dataset\("([^"]+)"')


@dataclass(frozen=True)
class Config:
    """
    A config as it is published.

    Args:
        name (`str`): For `load_dataset`.
        folder (`str`): In the repository.
        row (`str`): What one row is.
        features (`Features`): Of its rows.
        splits (`Mapping[str, Split]`): Its shards on this machine.
        default (`bool`, *optional*): Whether `load_dataset` takes it unasked.
    """

    name: str
    folder: str
    row: str
    features: Features
    splits: Mapping[str, Split]
    default: bool = False

    @property
    def file_bytes(self) -> int:
        """Of all its shards."""
        return sum(split.file_bytes for split in self.splits.values())

    @property
    def files(self) -> dict[str, Path]:
        """Path in the repository -> file."""
        return {
            f"{self.folder}/{shard_name(name, k, len(split.paths))}": path
            for name, split in self.splits.items()
            for k, path in enumerate(split.paths)
        }

    @property
    def info(self) -> DatasetInfo:
        """Its entry in the card's `dataset_info`."""
        return DatasetInfo(
            features=self.features,
            splits=SplitDict(
                {name: SplitInfo(name, split.num_bytes, split.num_rows) for name, split in self.splits.items()}
            ),
            download_size=self.file_bytes,
            dataset_size=sum(split.num_bytes for split in self.splits.values()),
        )


def config_entry(name: str, folder: str, description: str, splits: Iterable[str], *, default: bool) -> dict:
    """
    What the card's `configs` say of a config.

    Example:

    ```python
    >>> config_entry("pdf", "pdf", "PDFs", ["test"], default=False)
    {'config_name': 'pdf', 'description': 'PDFs', 'data_files': [{'split': 'test', 'path': 'pdf/test-*.parquet'}]}

    ```
    """
    return {
        "config_name": name,
        **({"default": True} if default else {}),
        "description": description,
        "data_files": [{"split": split, "path": f"{folder}/{split}-*.parquet"} for split in splits],
    }


def dataset_card(
    built: BuiltSet, repo_id: str, configs: Sequence[Config], pages: Mapping[str, str], review: str | None
) -> Card:
    """
    The card of a set as it is published: the folder's own, for this repository and what is in it.

    Args:
        built (`BuiltSet`): The set.
        repo_id (`str`): Stands where the folder's card says `PATH_OR_ID`.
        configs (`Sequence[Config]`): All that is published.
        pages (`Mapping[str, str]`): Form of the pages -> its config, the default one first.
        review (`str`, *optional*): What people found who graded a sample; `None` leaves what the folder's card says.
    """
    build, info = build_of(built.card), DatasetCardData()
    DatasetInfosDict({config.name: config.info for config in configs}).to_dataset_card_data(info)
    card = _renamed(built.card, PLACE, repo_id)
    entries = [config_entry(c.name, c.folder, c.row + build, c.splits, default=c.default) for c in configs]
    card.metadata |= {"configs": entries, "dataset_info": info["dataset_info"]}
    told = _published(built, repo_id, configs, pages)
    card.sections = _with_pages(card.sections, repo_id, pages, told)
    if review is not None:
        card.sections[REVIEW] = f"\n{review.strip()}\n\n"
    return card


def build_of(card: Card) -> str:
    """The words of a folder's card that tell one build from another: `datasets` finds a local folder in its cache by them."""
    found = _BUILD.search(card.metadata["configs"][0]["description"])
    return found[0] if found else ""


def restored_card(
    card: Card, source: str, parts: Mapping[str, Sequence[str]], build: str, found: tuple[int, int]
) -> Card:
    """
    The card of a set in the compact form, from that of the references it was restored from.

    Args:
        card (`Card`): As it was published.
        source (`str`): Where.
        parts (`Mapping[str, Sequence[str]]`): Folder (as in `output.CONFIGS`) -> its splits.
        build (`str`): Twelve digits that tell it from another set.
        found (`tuple[int, int]`): Documents in it, and in the source.
    """
    entries = [
        config_entry(CONFIGS[part][0], part, f"{CONFIGS[part][1]} (build {build})", splits, default=part == "data")
        for part, splits in parts.items()
    ]
    repo_id = _LOADED.search(card.sections[""])
    card = _renamed(card, repo_id[1], PLACE) if repo_id else card
    card.metadata = {name: value for name, value in card.metadata.items() if name != "dataset_info"}
    card.metadata |= {"configs": entries}
    told = _phrases()["restored"].format(source=source, found=found[0], total=found[1])
    return Card(card.metadata, _with_pages(card.sections, PLACE, {"pdf": "default"}, told))


def transcriptions(report: Mapping) -> int:
    """How many answers of a build are the text of whole pages."""
    return sum(count for task, count in report["questions"].items() if task in ("ocr-full", "ocr-needle"))


def _renamed(card: Card, name: str, other: str) -> Card:
    """With another name of the repository; one that only begins or ends like it is not it."""
    whole = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)")

    def renamed(text: str) -> str:
        return whole.sub(lambda _: other, text)

    metadata = {key: renamed(value) if isinstance(value, str) else value for key, value in card.metadata.items()}
    return Card(metadata, {heading: renamed(text) for heading, text in card.sections.items()})


def _with_pages(sections: Mapping[str, str], repo_id: str, pages: Mapping[str, str], told: str) -> dict[str, str]:
    """Sections of a card that a build wrote, saying which form of the pages (form -> config) is here, the default one first."""
    phrases, (form, config) = _phrases(), next(iter(pages.items()))
    sections = {name: _ROW_OF.sub(rf"\1 of the `{config}` config", text) for name, text in sections.items()}
    needed = phrases["other_config"].format(config=pages.get("images"), repo_id=repo_id)
    needed = phrases["no_images"] if "images" not in pages else "" if form == "images" else needed
    above = f"\n{needed}\n\n" if needed else "\n"
    changed = {TRAINING: _ABOVE_TRAINING.sub(above, sections[TRAINING])} if TRAINING in sections else {}
    changed[CONFIGS_TOLD] = f"\n{told}\n\n{phrases['order']}\n\n"
    return {"": sections[""], CONFIGS_TOLD: ""} | sections | changed


def _published(built: BuiltSet, repo_id: str, configs: Sequence[Config], pages: Mapping[str, str]) -> str:
    phrases, report = _phrases(), built.report
    documents, questions = sum(report["rows"].values()), sum(report["questions"].values())
    files, size = sum(len(config.files) for config in configs), sum(config.file_bytes for config in configs)
    lines = [
        f"{documents:,} documents with {questions:,} questions; {files:,} Parquet files of {size:,} bytes.",
        "",
        "| config | rows | bytes | what a row is |",
        "| --- | --- | ---: | --- |",
    ]
    for config in configs:
        rows = ", ".join(f"{name} {split.num_rows:,}" for name, split in config.splits.items())
        what = config.row.removeprefix("One row is ")
        lines.append(f"| `{config.name}` | {rows} | {config.file_bytes:,} | {what} |")
    told = [phrases["published"][form].format(config=name, repo_id=repo_id) for form, name in pages.items()]
    if set(pages) == {"references"}:
        told.append(phrases["references_only"])
        if count := transcriptions(report):
            told.append(phrases["transcriptions"].format(count=count))
    if SHORT_TASK in report["questions"] and set(pages) != {"images"}:
        told.append(phrases["short"])
    return "\n".join([*lines, "", *told])


def _phrases() -> dict:
    return yaml.safe_load(PHRASES.read_text(encoding="utf-8"))
