"""Gradient checkpointing of the language layers that keeps what their attention returned, and so never attends twice."""

from functools import partial

from peft import PeftModel
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts
from transformers import PreTrainedModel, Qwen2_5_VLForConditionalGeneration, Qwen3VLForConditionalGeneration
from transformers.modeling_layers import GradientCheckpointingLayer

# What is kept, by name: not every build of torch has every one. The first three are the kernels of attention_kernels.py, the
# others what torch's public scaled_dot_product_attention comes down to, and flash-attn's own.
ATTENTION_OPS = frozenset(
    {
        "aten::_flash_attention_forward",
        "aten::_scaled_dot_product_cudnn_attention",
        "aten::_scaled_dot_product_flash_attention_for_cpu",
        "aten::_scaled_dot_product_flash_attention",
        "aten::_scaled_dot_product_efficient_attention",
        "flash_attn_3::fwd",
        "flash_attn::_flash_attn_forward",
        "flash_attn::_flash_attn_varlen_forward",
    }
)


def save_attention_outputs(model: PreTrainedModel | PeftModel) -> None:
    """
    Lets gradient checkpointing keep the outputs and log-sum-exps of the language model's attention: `num_heads * (head_dim *
    itemsize + 4)` bytes a token and layer, about as much again as the hidden states that it keeps anyway. The backward pass then
    computes all of a layer again but its attention, which at 131,072 tokens is more than half of it. The vision tower's blocks
    are left alone: theirs would be 40 GiB there.

    They stay on the device also where `activation_offloading` moves all else to the host: torch's selective checkpointing has a
    storage of its own, which the hooks on saved tensors do not see.

    It takes effect where gradient checkpointing is turned on, before or after this call, by whom it may be.

    Args:
        model (`PreTrainedModel` or `PeftModel`): A Qwen2.5-VL or Qwen3-VL model; changed in place.

    Raises:
        ValueError: for another model, for eager attention, and, when checkpointing is turned on, for its reentrant variant.
    """
    layers = language_layers(model)
    base = base_of(model)
    if base.config.text_config._attn_implementation == "eager":
        raise ValueError(
            "attn_implementation is 'eager', which has no fused attention whose output could be kept; leave "
            "attn_implementation out, or turn save_attention off"
        )
    # Trainer turns checkpointing on inside train(), and this is what all ways to do that come to.
    enable = base._set_gradient_checkpointing

    def enable_and_keep(*args, **kwargs) -> None:
        enable(*args, **kwargs)
        for layer in layers:
            _keep_attention(layer)

    base._set_gradient_checkpointing = enable_and_keep
    for layer in layers:
        _keep_attention(layer)


def language_layers(model: PreTrainedModel | PeftModel) -> list[GradientCheckpointingLayer]:
    """
    The decoder layers of the language model, with or without adapters.

    Raises:
        ValueError: for a model of another family.
    """
    return list(base_of(model).model.language_model.layers)


def base_of(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """
    The model below the adapters, where there are some.

    Raises:
        ValueError: for a model of another family.
    """
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    if not isinstance(base, Qwen2_5_VLForConditionalGeneration | Qwen3VLForConditionalGeneration):
        raise ValueError(f"the model is a {type(base).__name__}, expected a Qwen2.5-VL or Qwen3-VL model")
    return base


def _keep_attention(layer: GradientCheckpointingLayer) -> None:
    if not layer.gradient_checkpointing:
        return
    checkpoint = layer._gradient_checkpointing_func
    if checkpoint.keywords.get("use_reentrant"):
        raise ValueError(
            "use_reentrant is true in activation_checkpointing_kwargs, with which attention outputs cannot be kept; leave it out, "
            "or turn save_attention off"
        )
    context = partial(create_selective_checkpoint_contexts, _policy)
    layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False, context_fn=context)


def _policy(context, operator, *args, **kwargs) -> CheckpointPolicy:
    keep = operator.name().partition(".")[0] in ATTENTION_OPS
    return CheckpointPolicy.MUST_SAVE if keep else CheckpointPolicy.PREFER_RECOMPUTE
