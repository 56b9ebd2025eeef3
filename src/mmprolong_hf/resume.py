"""A run is resumed as it was begun, or not at all: the same plan, the same rotary embedding, the optimizer's state."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from accelerate import PartialState
from datasets import Dataset
from peft import PeftModel
from transformers import AutoConfig, PreTrainedModel, ProcessorMixin, TrainingArguments

from mmprolong_hf.checkpoints import last_complete, why_incomplete
from mmprolong_hf.pixels import PixelTable
from mmprolong_hf.plan import PackingPlan

NUM_READ = 256  # documents whose questions are compared
PLAN = "plan.json"  # in every checkpoint: what its steps were steps of
# Where a run of each kind keeps the optimizer's state
OPTIMIZERS = {"plain": "optimizer.pt", "fsdp": "optimizer_0", "deepspeed": "latest"}


def resolve(output_dir: str | Path, resume: str) -> str:
    """
    The folder that `resume_from_checkpoint` means.

    Args:
        output_dir (`str` or `Path`): The run's.
        resume (`str`): A folder, or `"last"`: the complete checkpoint in `output_dir` that was written last.

    Raises:
        ValueError: when there is none, saying what is wrong with each.
    """
    if resume != "last":
        if not Path(resume).is_dir():
            raise ValueError(f"resume_from_checkpoint is {resume!r}, expected a checkpoint folder or 'last'")
        return resume
    last, passed_over = last_complete(output_dir)
    for reason in passed_over:
        PartialState().print(f"not resumed: {reason}")
    if last is None:
        raise ValueError(
            f"resume_from_checkpoint is 'last', but {output_dir} holds no complete checkpoint"
            + "".join(f"; {reason}" for reason in passed_over)
        )
    return str(last)


def digest_questions(documents: Dataset) -> str:
    """
    Of the questions and answers of 256 documents that lie evenly in a set, or of all of fewer.

    Args:
        documents (`Dataset`): Rows of a published set.
    """
    places = np.unique(np.linspace(0, max(len(documents) - 1, 0), min(len(documents), NUM_READ)).astype(int))
    rows = documents.with_format(None).select_columns("questions").select(places)
    return hashlib.sha256(json.dumps(rows[:], sort_keys=True).encode()).hexdigest()[:16]


def describe_training(args: TrainingArguments, model: PreTrainedModel | PeftModel, processor: ProcessorMixin) -> dict:
    """What decides the steps of a run beside its samples: a run that goes on has the same, or is another one."""
    adapters = model.peft_config.values() if isinstance(model, PeftModel) else ()
    options = ("peft_type", "r", "lora_alpha", "use_rslora", "use_dora", "lora_dropout")
    numbers = [{name: str(adapter.to_dict().get(name)) for name in options} for adapter in adapters]
    names = ("optim", "learning_rate", "weight_decay", "vision_learning_rate")
    said = args.to_dict()
    return {name: str(said[name]) for name in names} | {
        "image processor": PixelTable.of(processor.image_processor).digest,
        "adapters": str(numbers),
    }


def write_plan(folder: str | Path, plan: PackingPlan, about: Mapping[str, str]) -> None:
    """
    Notes beside a checkpoint's weights what decides which samples its steps had, and what they were steps of.

    Args:
        folder (`str` or `Path`): The checkpoint.
        plan (`PackingPlan`): Of the run.
        about (`Mapping[str, str]`): Names and values that a run which goes on has to share.
    """
    Path(folder, PLAN).write_text(json.dumps(_facts(plan) | dict(about), indent=1) + "\n", encoding="utf-8")


def check_resume(
    folder: str | Path, plan: PackingPlan, about: Mapping[str, str], rope_parameters: dict, *, kind: str
) -> None:
    """
    Args:
        folder (`str` or `Path`): The checkpoint to go on from.
        plan (`PackingPlan`), about (`Mapping[str, str]`): Of the run that would go on, as [`write_plan`].
        rope_parameters (`dict`): Of its model.
        kind (`str`): Which of `OPTIMIZERS` keeps its states.

    Raises:
        ValueError: when the checkpoint is incomplete, of another plan or rotary embedding, or lacks the optimizer's state.
    """
    folder = Path(folder)
    if (reason := why_incomplete(folder)) is not None:
        raise ValueError(f"{folder} {reason}: it is incomplete, resume from an earlier checkpoint or from 'last'")
    found = json.loads((folder / PLAN).read_text(encoding="utf-8")) if (folder / PLAN).is_file() else None
    facts = _facts(plan) | dict(about)
    if found != facts:
        differing = ", ".join(
            f"{name} {(found or {}).get(name)} there, {facts[name]} here"
            for name in facts
            if (found or {}).get(name) != facts[name]
        )
        raise ValueError(
            f"{folder} is of another run ({differing}); its steps are not this run's. Resume with the recipe and the dataset "
            "it was begun with (max_questions_per_pack, share_documents and frozen parts change the plan too), or start anew from "
            "its weights (model_name_or_path)"
        )
    rope = AutoConfig.from_pretrained(folder).text_config.rope_parameters
    if rope != rope_parameters:
        raise ValueError(
            f"{folder} was trained with {rope}, but the model was loaded with {rope_parameters}; resume with the recipe it was "
            "begun with"
        )
    if not (folder / OPTIMIZERS[kind]).exists():
        found = next((other for other, name in OPTIMIZERS.items() if (folder / name).exists()), None)
        wrote = "only the model was saved (save_only_model)" if found is None else f"a {found} run wrote it"
        raise ValueError(
            f"{folder} has no {OPTIMIZERS[kind]}, in which a {kind} run keeps the optimizer's state: {wrote}; resume with the "
            "accelerate config it was begun with, or start anew from its weights (model_name_or_path)"
        )


def _facts(plan: PackingPlan) -> dict:
    # Not world_size: a step has the same packs for every number of ranks
    names = ("max_length", "seed", "packs_per_step", "strategy", "num_fill", "balance_window")
    arrays = np.array([plan.lengths, plan.costs], dtype=np.int64)
    return {name: getattr(plan, name) for name in names} | {
        "num_parts": len(plan.lengths),
        "num_tokens": sum(plan.lengths),
        "digest": hashlib.sha256(arrays.tobytes()).hexdigest()[:16],  # of every part's length and cost
    }
