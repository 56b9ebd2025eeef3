"""`--dry_run`: what a recipe will do and cost, without weights, GPU or an opened image."""

from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import numpy as np
from datasets import Dataset
from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.utils import httpx
from transformers import ProcessorMixin
from trl import ModelConfig

from mmprolong_hf.architecture import QWEN2_5_VL_7B, QWEN3_VL_8B, Architecture
from mmprolong_hf.config import DataArguments, MMProLongConfig
from mmprolong_hf.encoding import image_limits, load_processor
from mmprolong_hf.estimate import gpu_hours, memory_per_gpu, training_flops
from mmprolong_hf.lengths import QWEN2_5_VL_LIMITS, QWEN3_VL_LIMITS, page_grid
from mmprolong_hf.models import load_config
from mmprolong_hf.packing import PackingPlan
from mmprolong_hf.paper_samples import paper_samples
from mmprolong_hf.samples import list_samples, summarize_rejections

# The backbones whose sizes are known without the Hub.
PUBLISHED = {"Qwen2.5-VL-7B": (QWEN2_5_VL_7B, QWEN2_5_VL_LIMITS), "Qwen3-VL-8B": (QWEN3_VL_8B, QWEN3_VL_LIMITS)}
PAPER_SAMPLES = 63_000  # the final mixture of MMProLong: 5B tokens at 85.3K on average
PAPER_ANSWER_TOKENS = 12  # of a short answer and the end of its turn; the paper gives no figure


@dataclass(frozen=True)
class SampleTable:
    """What a plan and an estimate need to know of each sample."""

    description: str
    num_documents: int
    lengths: np.ndarray
    spans: np.ndarray
    num_supervised: np.ndarray
    image_patches: list[np.ndarray]  # of each image of each sample


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


def _measured(documents: Dataset, processor: ProcessorMixin, args: MMProLongConfig, name: str) -> SampleTable:
    table, rejections = list_samples(
        documents, processor, max_length=args.max_length, overlong_documents=args.overlong_documents
    )
    limits = image_limits(processor)
    patches = [
        np.array([rows * cols for rows, cols in (page_grid(*size, limits) for size in sizes)], dtype=int)
        * limits.merge_size**2
        for sizes in documents.select_columns(["page_sizes"])["page_sizes"]
    ]
    note = f"; {summarize_rejections(rejections)}" if rejections else ""
    return SampleTable(
        description=f"{name}{note}",
        num_documents=len(documents),
        lengths=np.array(table["length"]),
        spans=np.array(table["span"]),
        num_supervised=np.array(table["num_supervised"]),
        image_patches=[
            patches[doc][np.array(pages, dtype=int) - 1] for doc, pages in zip(table["document"], table["pages"])
        ],
    )


def _assumed(limits, args: MMProLongConfig, reason: str) -> SampleTable:
    sizes = paper_samples(PAPER_SAMPLES, seed=args.seed, limits=limits)
    fits = sizes.lengths <= args.max_length
    if not fits.any():
        raise ValueError(
            f"{reason}, and every sample of the paper's length distribution is longer than max_length={args.max_length}; "
            "name a local dataset to plan on, or raise max_length"
        )
    note = "" if fits.all() else f", {(~fits).sum():,} of them longer than max_length and left out"
    return SampleTable(
        description=f"{reason}: planned on the paper's length distribution instead ({PAPER_SAMPLES:,} samples{note})",
        num_documents=int(fits.sum()),
        lengths=sizes.lengths[fits],
        spans=sizes.spans[fits],
        num_supervised=np.full(fits.sum(), PAPER_ANSWER_TOKENS),
        image_patches=[
            np.full(pages, patches) for pages, patches in zip(sizes.num_pages[fits], sizes.page_patches[fits])
        ],
    )


def describe_run(
    table: SampleTable, architecture: Architecture, window: str, args: MMProLongConfig, lora_rank: int | None
) -> str:
    """
    The plan and its cost as text.

    Args:
        table (`SampleTable`): The samples.
        architecture (`Architecture`): The model's sizes.
        window (`str`): How the context is extended.
        args (`MMProLongConfig`): The recipe.
        lora_rank (`int` or `None`): Rank of the adapters, `None` for full training.
    """
    plan = PackingPlan(
        table.lengths, args.max_length, args.seed, 1, packs_per_step=args.packs_per_step, strategy=args.packing_order
    )
    packs = plan.packs(epoch=0)
    steps = args.max_steps if args.max_steps > 0 else ceil(args.num_train_epochs * plan.steps_per_epoch)
    epochs = steps / plan.steps_per_epoch
    train_vision = lora_rank is None and not args.freeze_vision_tower
    flops = epochs * training_flops(
        architecture,
        table.lengths,
        np.concatenate(table.image_patches),
        supervised_tokens=int(table.num_supervised.sum()),
        train_vision=train_vision,
        lora=lora_rank is not None,
    )
    hours = gpu_hours(flops, utilization=args.assumed_mfu, peak_tflops=args.peak_tflops)
    largest = max(packs, key=lambda pack: sum(plan.lengths[i] for i in pack))
    memory = memory_per_gpu(
        architecture,
        pack_tokens=sum(plan.lengths[i] for i in largest),
        pack_patches=int(sum(table.image_patches[i].sum() for i in largest)),
        supervised_tokens=int(sum(table.num_supervised[i] for i in largest)),
        num_gpus=args.num_gpus,
        train_vision=train_vision,
        lora_rank=lora_rank,
    )
    gib = 2**30
    what = "full" if lora_rank is None else f"LoRA rank {lora_rank}"
    rows = {
        "dataset": table.description,
        "context": window,
        "documents": f"{table.num_documents:,}",
        "samples": f"{len(table.lengths):,} of {table.lengths.mean():,.0f} tokens on average ({table.lengths.max():,} at most)",
        "packs in an epoch": f"{plan.num_packs:,} of up to {args.max_length:,} tokens, {plan.fill:.1%} full",
        "steps": f"{steps:,} of {args.packs_per_step} packs ({epochs:.2f} epochs)",
        "tokens": f"{epochs * table.lengths.sum():,.0f} in {steps * args.packs_per_step * args.max_length:,} slots",
        "supervised tokens": f"{epochs * table.num_supervised.sum():,.0f}",
        "largest position": f"{table.spans.max() - 1:,} (M-RoPE; page images advance it by their longer side only)",
        "FLOPs": f"{flops:.3g} ({what}, vision tower {'trained' if train_vision else 'frozen'}, causal, no recomputation counted)",
        "GPU-hours": f"{hours:,.0f} at {args.assumed_mfu:.0%} of {args.peak_tflops:g} TFLOPS: {hours / args.num_gpus:,.1f} h on {args.num_gpus} GPU{'s'[: args.num_gpus != 1]}",
        "memory per GPU": f"{memory.total / gib:.0f} GiB over {args.num_gpus} GPU{'s'[: args.num_gpus != 1]}: states "
        f"{(memory.weights + memory.gradients + memory.optimizer) / gib:.0f}, activations "
        f"{(memory.hidden_states + memory.vision_hidden_states + memory.working_set) / gib:.0f}, other "
        f"{(memory.gathered + memory.logits + memory.pixel_values) / gib:.0f} (an estimate, not measured)",
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


def dry_run(data: DataArguments, args: MMProLongConfig, model: ModelConfig, load_documents) -> str:
    """
    Resolves a recipe without weights or GPU and describes the run. Where the dataset or the model cannot be reached, it plans
    on the paper's length distribution and says so.

    Args:
        load_documents (`Callable`): From `data` to the training split.

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
        processor = load_processor(name, min_pixels=args.min_pixels, max_pixels=args.max_pixels)
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
        table = _measured(load_documents(data, data.dataset_train_split), processor, args, data.dataset_name)
    else:
        missing = [what for what, has in ((data.dataset_name, has_data), (name, has_model)) if not has]
        table = _assumed(limits, args, f"{' and '.join(missing)} cannot be reached")
    return describe_run(table, architecture, context, args, lora_rank)
