"""A thin datasets builder over the synthesis pipeline: features, splits, wiring."""

from dataclasses import dataclass, field
from pathlib import Path

import datasets

from mmprolong_hf.synthesis.output import read_rows
from mmprolong_hf.synthesis.pipeline import build_dataset
from mmprolong_hf.synthesis.plan import folder_plan, load_plan
from mmprolong_hf.synthesis.schema import DOCUMENT_FEATURES, ELEMENT_FEATURES, FLAT_FEATURES, REJECTED_FEATURES

# Config -> folder of the built set, features
CONFIGS = {
    "default": ("data", DOCUMENT_FEATURES),
    "questions": ("questions", FLAT_FEATURES),
    "rejected": ("rejected", REJECTED_FEATURES),
    "elements": ("elements", ELEMENT_FEATURES),
}


@dataclass
class LongDocQAConfig(datasets.BuilderConfig):
    """
    Args:
        source (`str`): A folder or a list of PDFs, or the YAML file of a plan.
        changes (`dict`, *optional*): Keys of the plan that are set otherwise, e.g. `{"pool.min_pages": 32}`.
    """

    source: str = ""
    changes: dict = field(default_factory=dict)


class LongDocQA(datasets.GeneratorBasedBuilder):
    """Builds the set and yields its rows: documents, questions alone, rejected questions, or elements of pages."""

    BUILDER_CONFIG_CLASS = LongDocQAConfig
    BUILDER_CONFIGS = [LongDocQAConfig(name=name) for name in CONFIGS]  # noqa: RUF012 (datasets reads a list)
    DEFAULT_CONFIG_NAME = "default"

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(features=CONFIGS[self.config.name][1])

    def _split_generators(self, dl_manager) -> list[datasets.SplitGenerator]:
        folder = Path(self.cache_dir) / "built"
        changes = {**self.config.changes, "output": str(folder)}
        if self.config.name == "elements":
            changes["pages.elements"] = True
        read = load_plan if self.config.source.endswith((".yaml", ".yml")) else folder_plan
        report = build_dataset(read(self.config.source, changes))
        part = CONFIGS[self.config.name][0]
        splits = [split for split in report.rows if any((folder / part).glob(f"{split}-*.parquet"))]
        return [datasets.SplitGenerator(split, {"folder": folder, "split": split}) for split in splits]

    def _generate_examples(self, folder: Path, split: str):
        yield from enumerate(read_rows(folder, split, part=CONFIGS[self.config.name][0]))
