"""FSDP2 as accelerate 1.15 and TRL 1.16 set it up, with what they get wrong put right."""

import torch
from accelerate import FullyShardedDataParallelPlugin
from peft import PeftModel
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy
from transformers import PreTrainedModel


def set_up_fsdp(
    plugin: FullyShardedDataParallelPlugin, model: PreTrainedModel | PeftModel, mixed_precision: str
) -> None:
    """
    Changes how a model will be sharded, before it is.

    - A unit is a layer of the language model, or the whole vision tower: ranks have different numbers of chunks of pages, and would
      wait for each other for ever at its blocks.
    - Weights are computed with in bfloat16 where `mixed_precision` is `"bf16"`, but gradients are summed over ranks in float32, and
      the loss stays as it is: accelerate would do both in bfloat16, of 8 significant bits.
    - The head is gathered before every forward pass. TRL reads its weight without running it, and gathers a sharded one such that its
      gradient holds a rank's own samples alone.

    Args:
        plugin (`FullyShardedDataParallelPlugin`): What the accelerate config asks for.
        model (`PreTrainedModel` or `PeftModel`): Qwen2.5-VL or Qwen3-VL.
        mixed_precision (`str`): As accelerate names it.

    Raises:
        ValueError: when FSDP is of its first version, or one rank would write the checkpoints of all.
    """
    if plugin.fsdp_version != 2 or "SHARDED" not in str(plugin.state_dict_type):
        raise ValueError(
            f"FSDP is of version {plugin.fsdp_version} with {plugin.state_dict_type}; expected fsdp_version 2 with "
            "SHARDED_STATE_DICT, as in recipes/accelerate/fsdp2_8gpu.yaml: a rank that writes for all keeps them waiting, and cannot "
            "tell them when it fails. The final checkpoint is whole all the same"
        )
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    units = (base.model.language_model.layers[0], base.model.visual)
    plugin.transformer_cls_names_to_wrap = [type(unit).__name__ for unit in units]
    if mixed_precision == "bf16":
        plugin.mixed_precision_policy = MixedPrecisionPolicy(torch.bfloat16, reduce_dtype=torch.float32)
    model.register_forward_pre_hook(_gather_head)


def _gather_head(model: PreTrainedModel | PeftModel, inputs: tuple) -> None:
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    head = base.get_output_embeddings()
    if isinstance(head, FSDPModule):  # sharded again by the backward pass
        head.unshard()
