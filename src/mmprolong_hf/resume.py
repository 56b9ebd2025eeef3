"""A run is resumed as it was begun, or not at all: the same plan, the same rotary embedding, the optimizer's state."""

import hashlib
import json
from pathlib import Path

import numpy as np
from transformers import AutoConfig

from mmprolong_hf.plan import PackingPlan

PLAN = "plan.json"  # in every checkpoint: what its steps were steps of


def write_plan(folder: str | Path, plan: PackingPlan) -> None:
    """Notes beside a checkpoint's weights what decides which samples its steps had."""
    Path(folder, PLAN).write_text(json.dumps(_facts(plan), indent=1) + "\n", encoding="utf-8")


def check_resume(folder: str | Path, plan: PackingPlan, rope_parameters: dict, *, sharded: bool) -> None:
    """
    Args:
        folder (`str` or `Path`): The checkpoint to go on from.
        plan (`PackingPlan`): Of the run that would go on.
        rope_parameters (`dict`): Of its model.
        sharded (`bool`): Whether FSDP or DeepSpeed keep the states, under names of their own.

    Raises:
        ValueError: when the checkpoint is of another plan or rotary embedding, or lacks the optimizer's state.
    """
    folder = Path(folder)
    found = json.loads((folder / PLAN).read_text(encoding="utf-8")) if (folder / PLAN).is_file() else None
    if found != _facts(plan):
        facts = _facts(plan)
        differing = ", ".join(
            f"{name} {(found or {}).get(name)} there, {facts[name]} here"
            for name in facts
            if (found or {}).get(name) != facts[name]
        )
        raise ValueError(
            f"{folder} was trained on another plan ({differing}); its steps are not this run's. Resume with the recipe and the dataset "
            "it was begun with (max_questions_per_pack, share_documents and frozen parts change the plan too), or start anew from "
            "its weights (model_name_or_path)"
        )
    rope = AutoConfig.from_pretrained(folder).text_config.rope_parameters
    if rope != rope_parameters:
        raise ValueError(
            f"{folder} was trained with {rope}, but the model was loaded with {rope_parameters}; resume with the recipe it was "
            "begun with"
        )
    missing = [name for name in ("optimizer.pt", "scheduler.pt") if not sharded and not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder} has no {', '.join(missing)}: it is incomplete, resume from an earlier checkpoint")


def _facts(plan: PackingPlan) -> dict:
    # Not world_size: a step has the same packs for every number of ranks
    names = ("max_length", "seed", "packs_per_step", "strategy", "num_fill", "balance_window")
    arrays = np.array([plan.lengths, plan.costs], dtype=np.int64)
    return {name: getattr(plan, name) for name in names} | {
        "num_parts": len(plan.lengths),
        "num_tokens": sum(plan.lengths),
        "digest": hashlib.sha256(arrays.tobytes()).hexdigest()[:16],  # of every part's length and cost
    }
