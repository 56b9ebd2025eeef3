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
from mmprolong_hf.balance import rank_balance
from mmprolong_hf.config import DataArguments, MMProLongConfig
from mmprolong_hf.encoding import image_limits, load_processor
from mmprolong_hf.estimate import CostModel, gpu_hours, head_flops, memory_per_gpu
from mmprolong_hf.lengths import QWEN2_5_VL_LIMITS, QWEN3_VL_LIMITS
from mmprolong_hf.models import load_config
from mmprolong_hf.paper_samples import paper_samples
from mmprolong_hf.plan import PackingPlan
from mmprolong_hf.planning import steps_for_questions
from mmprolong_hf.samples import list_samples, summarize_rejections
from mmprolong_hf.sharing import share_prefixes

# The backbones whose sizes are known without the Hub.
PUBLISHED = {"Qwen2.5-VL-7B": (QWEN2_5_VL_7B, QWEN2_5_VL_LIMITS), "Qwen3-VL-8B": (QWEN3_VL_8B, QWEN3_VL_LIMITS)}
PAPER_SAMPLES = 63_000  # the final mixture of MMProLong: 5B tokens at 85.3K on average
PAPER_QUESTION_TOKENS = 60  # of a question, its answer and what the chat template puts around them
PAPER_ANSWER_TOKENS = 12  # of a short answer and the end of its turn; the paper gives no figure


@dataclass(frozen=True)
class SampleTable:
    """What a plan and an estimate need to know of each sample, one entry a sample."""

    description: str
    num_documents: int
    lengths: np.ndarray
    spans: np.ndarray
    num_supervised: np.ndarray
    prefixes: np.ndarray
    prefix_lengths: np.ndarray
    patches: np.ndarray
    page_patches: int  # of a typical page


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
    if len(table) == 0:
        raise ValueError(f"no sample of {name} can be used. {summarize_rejections(rejections)}")
    note = f"; {summarize_rejections(rejections)}" if rejections else ""
    return SampleTable(
        description=f"{name}{note}",
        num_documents=len(documents),
        lengths=np.array(table["length"]),
        spans=np.array(table["span"]),
        num_supervised=np.array(table["num_supervised"]),
        prefixes=np.array(table["prefix"]),
        prefix_lengths=np.array(table["prefix_length"]),
        patches=np.array(table["num_patches"]),
        page_patches=table["num_patches"][0] // max(len(table["pages"][0]), 1),
    )


def _assumed(limits, args: MMProLongConfig, reason: str) -> SampleTable:
    per_document = args.max_questions_per_pack if args.share_documents else 1
    sizes = paper_samples(ceil(PAPER_SAMPLES / per_document), seed=args.seed, limits=limits)
    fits = sizes.lengths <= args.max_length
    if not fits.any():
        raise ValueError(
            f"{reason}, and every sample of the paper's length distribution is longer than max_length={args.max_length}; "
            "name a local dataset to plan on, or raise max_length"
        )
    note = "" if fits.all() else f", {(~fits).sum():,} documents of them longer than max_length and left out"
    document = np.repeat(np.flatnonzero(fits), per_document)
    asked = f"{per_document} question{'s'[: per_document != 1]} a document"
    return SampleTable(
        description=f"{reason}: planned on the paper's length distribution instead ({PAPER_SAMPLES:,} samples, {asked}{note})",
        num_documents=int(fits.sum()),
        lengths=sizes.lengths[document],
        spans=sizes.spans[document],
        num_supervised=np.full(len(document), PAPER_ANSWER_TOKENS),
        prefixes=document,
        prefix_lengths=sizes.lengths[document] - PAPER_QUESTION_TOKENS,
        patches=(sizes.num_pages * sizes.page_patches)[document],
        page_patches=int(sizes.page_patches.mean()),
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
    columns = (table.lengths, table.prefixes, table.prefix_lengths, table.patches)
    options = {"max_length": args.max_length, "seed": args.plan_seed}
    parts, alone = (
        share_prefixes(*columns, max_questions=count, **options)
        for count in (args.max_questions_per_pack if args.share_documents else 1, 1)
    )
    lora, train_vision = lora_rank is not None, lora_rank is None and not args.freeze_vision_tower
    cost = CostModel.of(architecture, patches_per_image=table.page_patches, train_vision=train_vision, lora=lora)
    costs = cost.flops(parts.lengths, parts.pairs, parts.patches)
    plan = PackingPlan(
        parts.lengths,
        args.max_length,
        args.plan_seed,
        args.num_gpus,
        packs_per_step=args.packs_per_step,
        strategy=args.packing_order,
        costs=costs,
        balance_window=args.balance_window,
    )
    packs = plan.packs(epoch=0)
    if args.max_questions is not None and args.max_steps <= 0:
        steps = steps_for_questions(plan, parts, args.max_questions)
    else:
        steps = args.max_steps if args.max_steps > 0 else ceil(args.num_train_epochs * plan.steps_per_epoch)
    epochs = steps / plan.steps_per_epoch
    questions = epochs * len(table.lengths)
    flops = epochs * (costs.sum() + head_flops(architecture, int(table.num_supervised.sum()), lora=lora))
    flops_alone = epochs * cost.flops(alone.lengths, alone.pairs, alone.patches).sum()
    balance = rank_balance(np.array([plan.pack_costs(together) for together in plan.micro_steps(epoch=0)]))
    hours = gpu_hours(flops, utilization=args.assumed_mfu, peak_tflops=args.peak_tflops) / balance
    largest = max(packs, key=lambda pack: sum(plan.lengths[i] for i in pack))
    supervised = sum(int(table.num_supervised[sample]) for part in largest for sample in parts[part])
    memory = memory_per_gpu(
        architecture,
        pack_tokens=sum(plan.lengths[i] for i in largest),
        pack_patches=int(parts.patches[largest].sum()),
        supervised_tokens=supervised,
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
        "sharing": f"up to {parts.num_samples.max()} questions a document; "
        f"{parts.lengths.sum() / len(table.lengths):,.0f} tokens a question instead of {table.lengths.mean():,.0f}",
        "packs in an epoch": f"{plan.num_packs:,} of up to {args.max_length:,} tokens, {plan.fill:.1%} full",
        "steps": f"{steps:,} of {args.packs_per_step} packs ({epochs:.2f} epochs), {questions / steps:,.0f} questions each",
        "questions": f"{questions:,.0f}",
        "tokens": f"{epochs * parts.lengths.sum():,.0f} in {steps * args.packs_per_step * args.max_length:,} slots",
        "supervised tokens": f"{epochs * table.num_supervised.sum():,.0f}",
        "largest position": f"{table.spans.max() - 1:,} (M-RoPE; page images advance it by their longer side only)",
        "cost of a pack": f"{cost.token:.3g} FLOPs a token + {cost.pair:.3g} a pair that attends + {cost.patch:.3g} a vision patch",
        "FLOPs": f"{flops:.3g} ({what}, vision tower {'trained' if train_vision else 'frozen'}, causal, no recomputation counted); "
        f"each question by itself would take {flops_alone / flops:.1f} times as many",
        "rank balance": f"{balance:.1%} on {args.num_gpus} GPU{'s'[: args.num_gpus != 1]} (mean over slowest)",
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
