"""Checkpoints and adapters that the trainer itself wrote, of tiny models, with the record and the recipe of their run."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

import tiny
from trl import ModelConfig

from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.encoding import load_processor
from mmprolong_hf.models import load_model, lora_config
from mmprolong_hf.recipe import resolve_recipe
from mmprolong_hf.run_record import RunSource, describe_dataset
from mmprolong_hf.trainer import MMProLongTrainer

TEMPLATE = Path(__file__).resolve().parents[1] / "model_cards" / "long_context.md"
EXTENDED = {
    "qwen2_5_vl": {"rope_theta": 4e6, "max_position_embeddings": 131072},
    "qwen3_vl": {"max_position_embeddings": 524288},
}
OPTIONS = {
    "max_length": 128, "packs_per_step": 2, "learning_rate": 1e-3, "max_steps": 2, "save_strategy": "steps", "save_steps": 1,
    "bf16": False, "use_cpu": True, "report_to": "none", "disable_tqdm": True, "extend_context": True,
    "model_card_template": str(TEMPLATE),
}  # fmt: skip


def train(folder: Path, base: Path, *, family: str = "qwen2_5_vl", lora: bool = False, **options) -> MMProLongTrainer:
    """Two steps from the checkpoint `base`, saved as a run of a recipe saves them."""
    args = MMProLongConfig(output_dir=str(folder), **OPTIONS | EXTENDED[family] | options)
    documents, recipe = tiny.documents(3), ["--model_name_or_path", str(base), "--dataset_name", "org/reports"]
    trainer = MMProLongTrainer(
        model=load_model(str(base), args),
        args=args,
        train_dataset=documents,
        processing_class=load_processor(base),
        peft_config=lora_config(ModelConfig(use_peft=lora, lora_r=4)),
        source=RunSource(resolve_recipe(recipe), (describe_dataset(documents, "org/reports"),)),
    )  # fmt: skip
    trainer.train()
    trainer.save_model()
    trainer.create_model_card()
    return trainer


RUNS = tempfile.TemporaryDirectory(prefix="mmprolong-runs-")


@cache
def runs() -> Path:
    """A folder with a "base", and "full" and "lora", which are runs from it: made once for all tests, to be left as they are."""
    folder = Path(RUNS.name)
    base = tiny.save_checkpoint(folder / "base")
    train(folder / "full", base)
    train(folder / "lora", base, lora=True)
    return folder


def linked(folder: Path) -> Path:
    """[`runs`] in a folder of a test file, which puts its own beside them."""
    for run in ("base", "full", "lora"):
        (folder / run).symlink_to(runs() / run)
    return folder


def copied(source: Path, folder: Path, *without: str) -> Path:
    """A copy to break, without the checkpoints in it."""
    return shutil.copytree(source, folder, ignore=shutil.ignore_patterns("checkpoint-*", *without))
