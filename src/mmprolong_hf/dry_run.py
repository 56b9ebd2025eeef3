"""`--dry_run`: what a recipe will do and cost, without weights, GPU or an opened image."""

from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from pathlib import Path

import numpy as np
from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.utils import httpx
from trl import ModelConfig

from mmprolong_hf.architecture import QWEN2_5_VL_7B, QWEN3_VL_8B, Architecture
from mmprolong_hf.balance import rank_balance
from mmprolong_hf.config import DataArguments, MMProLongConfig
from mmprolong_hf.encoding import image_limits, load_processor
from mmprolong_hf.estimate import CostModel, gpu_hours, head_flops
from mmprolong_hf.lengths import QWEN2_5_VL_LIMITS, QWEN3_VL_LIMITS
from mmprolong_hf.memory import lever_changes, memory_per_gpu
from mmprolong_hf.models import load_config
from mmprolong_hf.plan import PackingPlan
from mmprolong_hf.planning import (
    cost_model,
    make_plan,
    sharing_options,
    steps_for_questions,
)
from mmprolong_hf.sample_table import SampleTable, assumed_samples, measured_samples
from mmprolong_hf.sharing import Parts, make_parts

# The backbones whose sizes are known without the Hub.
PUBLISHED = {"Qwen2.5-VL-7B": (QWEN2_5_VL_7B, QWEN2_5_VL_LIMITS), "Qwen3-VL-8B": (QWEN3_VL_8B, QWEN3_VL_LIMITS)}


def reachable(name: str, repo_type: str) -> bool:
    """
    Whether a name is a local folder or a repository that the Hub gives to us now.

    Example:

    ```python
    >>> reachable(getfixture("tmp_path"), "dataset")
    True

    ```
    """
    if Path(name).is_dir():
        return True
    try:
        HfApi().repo_info(name, repo_type=repo_type, timeout=10)
    except (RepositoryNotFoundError, httpx.TransportError, OSError):
        return False
    return True


@dataclass(frozen=True)
class _Run:
    """A plan, its first epoch, and the steps of the run."""

    table: SampleTable
    parts: Parts
    plan: PackingPlan
    packs: list[list[int]]
    steps: int

    @classmethod
    def of(cls, table: SampleTable, args: MMProLongConfig, cost: CostModel) -> "_Run":
        columns = (table.lengths, table.prefixes, table.prefix_lengths, table.patches)
        parts = make_parts(*columns, num_fill=table.num_fill, **sharing_options(args))
        plan = make_plan(parts, args, cost, num_ranks=args.num_gpus, num_fill=table.num_fill)
        if args.max_questions is not None and args.max_steps <= 0:
            steps = steps_for_questions(plan, parts, args.max_questions)
        else:
            steps = args.max_steps if args.max_steps > 0 else ceil(args.num_train_epochs * plan.steps_per_epoch)
        return cls(table, parts, plan, plan.packs(epoch=0), steps)

    @property
    def epochs(self) -> float:
        return self.steps / self.plan.steps_per_epoch

    @cached_property
    def trained(self) -> np.ndarray:
        """The parts of an epoch: of those to fill with, those that fit."""
        return np.array([part for pack in self.packs for part in pack])

    @cached_property
    def samples(self) -> np.ndarray:
        """Of an epoch."""
        return np.concatenate([self.parts[part] for part in self.trained])

    @property
    def supervised(self) -> float:
        """Tokens of the run that are trained on."""
        return self.epochs * int(self.table.num_supervised[self.samples].sum())


def describe_run(
    table: SampleTable,
    architecture: Architecture,
    window: str,
    args: MMProLongConfig,
    lora_rank: int | None,
    dtype: str | None,
) -> str:
    """
    The plan and its cost as text.

    Args:
        table (`SampleTable`): The samples.
        architecture (`Architecture`): The model's sizes.
        window (`str`): How the context is extended.
        args (`MMProLongConfig`): The recipe.
        lora_rank (`int` or `None`): Rank of the adapters, `None` for full training.
        dtype (`str` or `None`): Of the weights, as the recipe names it; float32 unless it is a half type.
    """
    cost = cost_model(architecture, args, patches_per_image=table.page_patches, lora=lora_rank is not None)
    run = _Run.of(table, args, cost)
    rows = {"dataset": table.description, "context": window} | _plan_rows(run, args)
    rows |= _cost_rows(run, cost, architecture, args, lora_rank) | _memory_rows(
        run, architecture, args, lora_rank, dtype
    )
    if run.parts.num_samples.max() == 1:
        del rows["sharing"], rows["each question alone"]
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


def _plan_rows(run: _Run, args: MMProLongConfig) -> dict[str, str]:
    table, plan, steps, questions = run.table, run.plan, run.steps, run.epochs * len(run.samples)
    tokens = run.epochs * run.parts.lengths[run.trained].sum()
    return {
        "documents": f"{table.num_documents:,}",
        "samples": f"{len(table.lengths):,} of {table.lengths.mean():,.0f} tokens on average ({table.lengths.max():,} at most)",
        "sharing": _sharing(run),
        "packs in an epoch": f"{plan.num_packs:,} of up to {args.max_length:,} tokens, {plan.fill:.1%} full",
        "steps": f"{steps:,} of {args.packs_per_step} packs ({run.epochs:.2f} epochs), {questions / steps:,.0f} questions each",
        "questions": f"{questions:,.0f}",
        "tokens": f"{tokens:,.0f} in {steps * args.packs_per_step * args.max_length:,} slots",
        "supervised tokens": f"{run.supervised:,.0f}",
        "largest position": f"{table.spans.max() - 1:,} (M-RoPE; page images advance it by their longer side only)",
    }


def _cost_rows(
    run: _Run, cost: CostModel, architecture: Architecture, args: MMProLongConfig, lora_rank: int | None
) -> dict[str, str]:
    lora, parts, plan, gpus = lora_rank is not None, run.parts, run.plan, _gpus(args)
    head = head_flops(architecture, run.supervised, lora=lora)
    flops = run.epochs * cost.flops(parts.lengths, parts.pairs, parts.patches)[run.trained].sum() + head
    lengths, patches = run.table.lengths[run.samples], run.table.patches[run.samples]
    alone = run.epochs * cost.flops(lengths, lengths * (lengths + 1) // 2, patches).sum() + head
    balance = rank_balance(np.array([plan.pack_costs(together) for together in plan.micro_steps(epoch=0)]))
    hours = gpu_hours(flops, utilization=args.assumed_mfu, peak_tflops=args.peak_tflops) / balance
    what = f"LoRA rank {lora_rank}" if lora else "full"
    vision = "frozen" if lora or args.freeze_vision_tower else "trained"
    return {
        "cost of a pack": f"{cost.token:.3g} FLOPs a token + {cost.pair:.3g} a pair that attends + {cost.patch:.3g} a vision patch",
        "FLOPs": f"{flops:.3g} ({what}, vision tower {vision}, causal, no recomputation counted)",
        "each question alone": f"{alone:.3g} FLOPs, {alone / flops:.1f} times as many",
        "rank balance": f"{balance:.1%} on {gpus} (mean over slowest)",
        "GPU-hours": f"{hours:,.0f} at {args.assumed_mfu:.0%} of {args.peak_tflops:g} TFLOPS: {hours / args.num_gpus:,.1f} h on {gpus}",
    }


def _gpus(args: MMProLongConfig) -> str:
    return f"{args.num_gpus} GPU{'s'[: args.num_gpus != 1]}"


def _sharing(run: _Run) -> str:
    lengths = run.parts.lengths[run.trained], run.table.lengths[run.samples]
    shared, alone = (own.sum() / len(run.samples) for own in lengths)
    most = run.parts.num_samples.max()
    return f"up to {most} questions a document; {shared:,.0f} tokens a question instead of {alone:,.0f}"


def _memory_rows(
    run: _Run, architecture: Architecture, args: MMProLongConfig, lora_rank: int | None, dtype: str | None
) -> dict[str, str]:
    """What a GPU holds, and what further settings would change."""
    table, parts = run.table, run.parts
    largest = run.packs[int(np.argmax(run.plan.pack_tokens(run.packs)))]
    sizes = {
        "pack_tokens": int(parts.lengths[largest].sum()),
        "pack_patches": int(parts.patches[largest].sum()),
        "supervised_tokens": sum(int(table.num_supervised[parts[part]].sum()) for part in largest),
    }
    setup = {
        "num_gpus": args.num_gpus,
        "train_vision": lora_rank is None and not args.freeze_vision_tower,
        "lora_rank": lora_rank,
        "weight_bytes": 2 if dtype in ("bfloat16", "float16") else 4,
        "compute_bytes": 2 if args.bf16 or dtype in ("bfloat16", "float16") else 4,
        "optimizer": args.optim,
        "save_attention": args.save_attention,
        "mlp_tile": args.mlp_tile,
        "offload": args.activation_offloading,
        "vision_chunk": args.vision_chunk,
        "uint8_pixels": True,
    }
    memory = memory_per_gpu(architecture, **sizes, **setup)
    states, activations, other, total = (
        f"{x / 2**30:.0f}" for x in (memory.states, memory.activations, memory.gathered, memory.total)
    )
    changes = lever_changes(architecture, **sizes, **setup)
    levers = "; ".join(f"{name} {change / 2**30:+.1f}" for name, change in changes.items())
    held = f"{total} GiB on each of {_gpus(args)}: states {states}, activations {activations}, other {other}"
    return {"memory per GPU": f"{held} (an estimate, not measured)", "it would change by": f"{levers} GiB"}


def dry_run(data: DataArguments, args: MMProLongConfig, model: ModelConfig, load_documents, load_fill) -> str:
    """
    Resolves a recipe without weights or GPU and describes the run. Where the dataset or the model cannot be reached, it plans
    on the paper's length distribution and says so.

    Args:
        load_documents, load_fill (`Callable`): From `data` and a split to its documents, from `data` to those to fill with.

    Raises:
        ValueError: when the model cannot be reached and its sizes are not known, and as the real run would.
    """
    name = model.model_name_or_path
    lora_rank = model.lora_r if model.use_peft else None
    has_model, has_data = reachable(name, "model"), reachable(data.dataset_name, "dataset")
    if has_model:
        config = load_config(name, args, revision=model.model_revision)
        rope, window = config.text_config.rope_parameters, config.text_config.max_position_embeddings
        context = f"{window:,} tokens, rope {rope['rope_type']}, theta {rope['rope_theta']:g}"
        architecture = Architecture.from_config(config.to_dict())
        processor = load_processor(
            name, min_pixels=args.min_pixels, max_pixels=args.max_pixels, revision=model.model_revision
        )
        limits = image_limits(processor)
    else:
        known = next((sizes for key, sizes in PUBLISHED.items() if key in name), None)
        if known is None:
            raise ValueError(f"{name} cannot be reached, and only {', '.join(PUBLISHED)} are known without the Hub")
        architecture, limits = known
        asked = {"min_pixels": args.min_pixels, "max_pixels": args.max_pixels}
        limits = replace(limits, **{name: value for name, value in asked.items() if value is not None})
        context = "as published"
        if args.extend_context:
            context = f"extended: rope {args.rope_type}, theta {args.rope_theta or 'of the family'}, window {args.max_position_embeddings or 'of the family'}"
    if has_model and has_data:
        documents = load_documents(data, data.dataset_train_split)
        table = measured_samples(documents, load_fill(data), processor, args, data.dataset_name)
    else:
        missing = [what for what, has in ((data.dataset_name, has_data), (name, has_model)) if not has]
        table = assumed_samples(limits, args, f"{' and '.join(missing)} cannot be reached")
    return describe_run(table, architecture, context, args, lora_rank, model.dtype)
