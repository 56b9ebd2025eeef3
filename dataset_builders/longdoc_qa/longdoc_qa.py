"""A thin datasets builder over the synthesis pipeline: features, splits, wiring."""

from dataclasses import dataclass
from pathlib import Path

import datasets

from mmprolong_hf.synthesis.output import read_rows
from mmprolong_hf.synthesis.pipeline import build_dataset
from mmprolong_hf.synthesis.schema import DOCUMENT_FEATURES, FLAT_FEATURES


@dataclass
class LongDocQAConfig(datasets.BuilderConfig):
    """
    Args:
        pdf_folder (`str`): The PDFs.
        questions_per_document (`int`, *optional*, defaults to `16`): As in `build_dataset`.
        seed (`int`, *optional*, defaults to `0`): As in `build_dataset`.
        test_fraction (`float`, *optional*, defaults to `0.0`): As in `build_dataset`.
        num_proc (`int`, *optional*, defaults to `2`): As in `build_dataset`.
    """

    pdf_folder: str = ""
    questions_per_document: int = 16
    seed: int = 0
    test_fraction: float = 0.0
    num_proc: int = 2


class LongDocQA(datasets.GeneratorBasedBuilder):
    """Builds the set from `pdf_folder` and yields its rows: documents, or questions alone."""

    BUILDER_CONFIG_CLASS = LongDocQAConfig
    BUILDER_CONFIGS = [LongDocQAConfig(name="default"), LongDocQAConfig(name="questions")]  # noqa: RUF012 (datasets reads a list)
    DEFAULT_CONFIG_NAME = "default"

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(features=FLAT_FEATURES if self.config.name == "questions" else DOCUMENT_FEATURES)

    def _split_generators(self, dl_manager) -> list[datasets.SplitGenerator]:
        folder = Path(self.cache_dir) / "built"
        report = build_dataset(
            self.config.pdf_folder,
            folder,
            questions_per_document=self.config.questions_per_document,
            seed=self.config.seed,
            test_fraction=self.config.test_fraction,
            num_proc=self.config.num_proc,
        )
        return [datasets.SplitGenerator(split, {"folder": folder, "split": split}) for split in report.rows]

    def _generate_examples(self, folder: Path, split: str):
        part = "questions" if self.config.name == "questions" else "data"
        yield from enumerate(read_rows(folder, split, part=part))
