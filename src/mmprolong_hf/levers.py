"""
Levers: settings that make training faster or smaller and change none of its numbers. Put on one model, each seen to work here, and
told in a line.
"""

import torch
from peft import PeftModel
from transformers import PreTrainedModel, ProcessorMixin

from mmprolong_hf.attention import PACKED_ATTENTION
from mmprolong_hf.attention_choice import choose_kernel
from mmprolong_hf.checkpointing import base_of, save_attention_outputs
from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.kernels import use_liger, why_not_liger
from mmprolong_hf.pixels import PixelTable
from mmprolong_hf.tiled_mlp import tile_mlps
from mmprolong_hf.vision_attention import SEGMENT_ATTENTION
from mmprolong_hf.vision_tower import chunk_vision_tower, run_tower_for_every_row

LEVERS = ("attention_kernel", "liger_kernels", "save_attention", "mlp_tile", "vision_chunk")


def pull_levers(
    model: PreTrainedModel | PeftModel, args: MMProLongConfig, processor: ProcessorMixin
) -> dict[str, str]:
    """
    Changes a model so that it trains as `args` say, with the losses and gradients of the plain one. Adapters come before, FSDP and
    gradient checkpointing after.

    Args:
        model (`PreTrainedModel` or `PeftModel`): Qwen2.5-VL or Qwen3-VL; changed in place.
        args (`MMProLongConfig`): `attention_kernel`, `liger_kernels`, `save_attention`, `mlp_tile` and `vision_chunk`.
        processor (`ProcessorMixin`): The model's.

    Returns:
        `dict[str, str]`: What is active, by part.

    Raises:
        ValueError: when something that was asked for by name cannot run here or gives other numbers, or when the model was changed
            in another way before.
    """
    base = base_of(model)
    # Where a trainer before this one has turned it on
    if base.is_activation_checkpointing and not args.activation_checkpointing:
        base.activation_checkpointing_disable()
    told = {"attention": activate_attention(model, args), "gradient checkpointing": _checkpointing(args)}
    asked = {name: getattr(args, name) for name in LEVERS} | {
        "device": args.device.type,
        "dtype": _compute_dtype(base, args),
        "image processor": PixelTable.of(processor.image_processor).digest,
        "rows without pages run the vision tower": _needs_the_tower(args),
    }
    before, active = vars(base).get("_levers", (asked, None))
    if before != asked:
        raise ValueError(f"the model was loaded once and changed for {before}, expected {asked}: load it anew")
    if active is None:
        active = _change(model, base, args, processor)
        base._levers = asked, active
    return told | active


def _change(
    model: PreTrainedModel | PeftModel, base: PreTrainedModel, args: MMProLongConfig, processor: ProcessorMixin
) -> dict[str, str]:
    active = {"Liger": _liger(model, args, _compute_dtype(base, args))}
    scored = "supervised tokens alone" if args.device.type == "cuda" else "every token, as it does without Triton"
    active["loss"] = f"TRL's fused head, on {scored}"
    if args.mlp_tile is None:
        active["MLPs"] = "all tokens at once"
    else:
        tile_mlps(model, args.mlp_tile)
        active["MLPs"] = f"{args.mlp_tile:,} tokens at a time"
    chunk_vision_tower(model, args.vision_chunk, processor.image_processor)
    vision = base.config.vision_config._attn_implementation
    attends = "windows of a size attend in one call of torch's" if vision == SEGMENT_ATTENTION else f"by {vision}"
    at_once = "all pages" if args.vision_chunk is None else f"{args.vision_chunk:,} patches"
    active["vision tower"] = f"{at_once} at a time, {attends}"
    if _needs_the_tower(args):
        run_tower_for_every_row(model)
    if args.save_attention:
        save_attention_outputs(model)
    return active


def _needs_the_tower(args: MMProLongConfig) -> bool:
    """Whether a process whose row has no page would leave others waiting, or have nothing to train."""
    return args.world_size > 1 or args.freeze_language_model


def activate_attention(model: PreTrainedModel | PeftModel, args: MMProLongConfig) -> str:
    """
    Has packed attention of this process computed by the kernel that `args` name, as
    [`~mmprolong_hf.attention_choice.choose_kernel`], and says by which.
    """
    base = base_of(model)
    text = base.config.text_config
    if text._attn_implementation != PACKED_ATTENTION:
        if args.attention_kernel != "auto":
            raise ValueError(
                f"attention_kernel is {args.attention_kernel!r}, but attn_implementation is {text._attn_implementation!r}, which "
                "chooses its own; leave one of them out"
            )
        return text._attn_implementation
    report = choose_kernel(
        args.attention_kernel,
        args.device,
        _compute_dtype(base, args),
        num_heads=text.num_attention_heads,
        num_key_value_heads=text.num_key_value_heads,
        head_dim=base.get_decoder().layers[0].self_attn.head_dim,
    )
    return f"{PACKED_ATTENTION} by {report}"


def _compute_dtype(base: PreTrainedModel, args: MMProLongConfig) -> torch.dtype:
    return torch.bfloat16 if args.bf16 else torch.float16 if args.fp16 else base.dtype


def _liger(model: PreTrainedModel | PeftModel, args: MMProLongConfig, dtype: torch.dtype) -> str:
    if args.liger_kernels == "off":
        return "off: the recipe says so"
    why_not = why_not_liger(args.device)
    if args.liger_kernels == "auto" and why_not is not None:
        return f"off: {why_not}"
    return "; ".join(map(str, use_liger(model, strict=args.liger_kernels == "on", device=args.device, dtype=dtype)))


def _checkpointing(args: MMProLongConfig) -> str:
    if not args.activation_checkpointing:
        return "off"
    kept = "the inputs of layers are kept" + (" in host memory" if args.activation_offloading else "")
    return kept + (", and attention's outputs on the device" if args.save_attention else "")
