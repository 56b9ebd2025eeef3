"""
FSDP2 as accelerate 1.15 and TRL 1.16 set it up, with what they get wrong put right.

| upstream | what it does | this goes when |
|---|---|---|
| accelerate, `utils/fsdp_utils.py`, `fsdp2_prepare_auto_wrap_policy` | its units are the model's `_no_split_modules`, the tower's blocks among them | those of Qwen-VL name the tower |
| accelerate, `utils/dataclasses.py`, `FullyShardedDataParallelPlugin.set_mixed_precision` | sums gradients, and returns outputs, in the type of computing | it leaves `reduce_dtype` at float32 and `output_dtype` at `None` |
| TRL, `trainer/utils.py`, `add_fused_lm_head` | `full_tensor()` of a sharded head, whose gradient is a rank's own | it sums that over ranks (`grad_placements=[Partial()]`), or gathers the head as FSDP does |
"""

from functools import partial

import torch
from accelerate import FullyShardedDataParallelPlugin
from peft import PeftModel
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy
from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy
from transformers import PreTrainedModel

from mmprolong_hf.checkpointing import base_of


def set_up_fsdp(
    plugin: FullyShardedDataParallelPlugin, model: PreTrainedModel | PeftModel, mixed_precision: str
) -> None:
    """
    Changes how a model will be sharded, before it is.

    - A unit is a layer of the language model, or the whole vision tower: ranks have different numbers of chunks of pages, and would
      wait for each other for ever at its blocks.
    - Weights are computed with in bfloat16 where `mixed_precision` is `"bf16"`, but gradients are summed over ranks in float32, and
      the loss stays as it is: accelerate would do both in bfloat16, of 8 significant bits.
    - The head is gathered before every forward pass, because TRL reads its weight without running it. The backward pass shards it
      again; where there is none, in evaluation, it stays gathered.

    Args:
        plugin (`FullyShardedDataParallelPlugin`): What the accelerate config asks for.
        model (`PreTrainedModel` or `PeftModel`): Qwen2.5-VL or Qwen3-VL.
        mixed_precision (`str`): As accelerate names it.

    Raises:
        ValueError: when FSDP is of its first version, one rank would write the checkpoints of all, or the units that were asked for
            are others.
    """
    if plugin.fsdp_version != 2 or "SHARDED" not in str(plugin.state_dict_type):
        raise ValueError(
            f"FSDP is of version {plugin.fsdp_version} with {plugin.state_dict_type}; expected fsdp_version 2 with "
            "SHARDED_STATE_DICT, as in recipes/accelerate/fsdp2_8gpu.yaml: a rank that writes for all keeps them waiting, and cannot "
            "tell them when it fails. The final checkpoint is whole all the same"
        )
    plugin.transformer_cls_names_to_wrap = _units(plugin, model)
    if mixed_precision == "bf16":
        plugin.mixed_precision_policy = MixedPrecisionPolicy(torch.bfloat16, reduce_dtype=torch.float32)
    model.register_forward_pre_hook(_gather_head)


def _units(plugin: FullyShardedDataParallelPlugin, model: PreTrainedModel | PeftModel) -> list[str]:
    core = base_of(model).model
    units = [type(unit).__name__ for unit in (core.language_model.layers[0], core.visual)]
    policy, named = plugin.auto_wrap_policy, plugin.transformer_cls_names_to_wrap
    policy = policy.func if isinstance(policy, partial) else policy  # of a model that was sharded before
    if policy is not transformer_auto_wrap_policy or (named is not None and set(named) != set(units)):
        raise ValueError(
            f"FSDP's units are by {getattr(policy, '__name__', 'no policy')}, of {named or 'no class'}; expected "
            f"fsdp_auto_wrap_policy TRANSFORMER_BASED_WRAP, without fsdp_transformer_layer_cls_to_wrap or with {units}: ranks have "
            "different numbers of chunks of pages, and would wait for each other for ever at the tower's blocks"
        )
    return units


def _gather_head(model: PreTrainedModel | PeftModel, inputs: tuple) -> None:
    head = base_of(model).get_output_embeddings()
    if isinstance(head, FSDPModule):  # sharded again by the backward pass
        head.unshard()
