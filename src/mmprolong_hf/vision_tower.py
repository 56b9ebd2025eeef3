"""
The vision tower of one model instance: pages in chunks, uint8 pixels, and a pass for rows without images.

Images never see each other in the tower, so computing some of them at a time changes nothing but the memory.
"""

from collections.abc import Sequence
from functools import partial

import torch
from peft import PeftModel
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.image_processing_utils import BaseImageProcessor
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLModel
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLModel

from mmprolong_hf.checkpointing import base_of
from mmprolong_hf.pixels import PixelTable
from mmprolong_hf.vision_attention import group_segments, tower_inputs

Grid = tuple[int, int, int]


def chunk_vision_tower(
    model: PreTrainedModel | PeftModel, max_patches: int | None, image_processor: BaseImageProcessor
) -> None:
    """
    Changes one model's vision tower, with the same features and gradients:

    - windows and images of a length attend in one call where FlashAttention does not do it
      ([`~mmprolong_hf.vision_attention.segment_attention`]);
    - images run in chunks, of which only the features are kept: where the tower is trained, a chunk is computed again as a whole
      in the backward pass, in the place of the tower's own gradient checkpointing; where it is frozen, its blocks keep no graph.
      FSDP2 has to shard the tower as one unit then ([`~mmprolong_hf.fsdp.set_up_fsdp`]);
    - `pixel_values` may be uint8 as [`~mmprolong_hf.pixels.uint8_page`] makes them, and become the processor's numbers a chunk at
      a time.

    `last_hidden_state`, which no model reads, is left out of the tower's output. A call of the model may have `image_grids`, the rows of
    `image_grid_thw` as numbers of the host's, as [`~mmprolong_hf.collator.PackCollator`] passes them; without, the host asks the device
    for them, and waits until it has done all that it still has to do.

    Args:
        model (`PreTrainedModel` or `PeftModel`): Qwen2.5-VL or Qwen3-VL, before FSDP shards it.
        max_patches (`int` or `None`): Of a chunk; an image of more is a chunk of its own. A chunk that is computed again takes
            about 2.1 MB a patch (Qwen2.5-VL, bfloat16). `None` runs all images at once, with the tower's own gradient
            checkpointing.
        image_processor (`BaseImageProcessor`): The one that pages were or would have been encoded with.

    Raises:
        ValueError: when it is another model, has been changed already, or `max_patches` is below 1; in the forward pass when FSDP2
            shards the tower block by block.
    """
    core = _core(model)
    if max_patches is not None and max_patches < 1:
        raise ValueError(f"max_patches is {max_patches}, expected at least 1, or None for all at once")
    if "forward" in vars(core.visual):
        raise ValueError("the vision tower of this model has a forward of its own; chunk_vision_tower changes it once")
    group_segments(core.visual)
    forward = _ChunkedForward(core.visual, max_patches, PixelTable.of(image_processor))
    core.visual.forward = forward
    core.visual.blocks[0].register_forward_pre_hook(forward.detach_if_frozen)
    core.register_forward_pre_hook(_encode_uint8, with_kwargs=True)


def run_tower_for_every_row(model: PreTrainedModel | PeftModel) -> None:
    """
    Lets rows without images run the vision tower too, on one blank token whose features are added to the text with a factor of 0.

    DDP and FSDP wait for every process in every part of the model (huggingface/transformers#37186): a process whose row has no image
    would leave the others waiting in the tower. The loss stays the same; the tower's gradients are 0 instead of `None`.

    Raises:
        ValueError: when it is a model of another family.
    """
    _core(model).register_forward_pre_hook(_encode_blank, with_kwargs=True)


def _core(model: PreTrainedModel | PeftModel) -> Qwen2_5_VLModel | Qwen3VLModel:
    return base_of(model).model


def _is_trained(visual: PreTrainedModel) -> bool:
    """Whether gradients are needed below the mergers."""
    return any(weight.requires_grad for name, weight in visual.named_parameters() if "merger" not in name)


class _ChunkedForward:
    """A tower's `forward`, chunk by chunk."""

    def __init__(self, visual: PreTrainedModel, max_patches: int | None, table: PixelTable):
        self.visual, self.max_patches, self.table = visual, max_patches, table
        self.forward, self.trained = visual.forward, True

    def __call__(
        self,
        hidden_states: torch.Tensor,
        grid_thw: torch.Tensor,
        image_grids: Sequence[Grid] | None = None,
        **kwargs,
    ) -> BaseModelOutputWithPooling:
        if image_grids is None:
            image_grids = [tuple(grid) for grid in grid_thw.tolist()]
        chunks = chunk_images(image_grids, self.max_patches)
        inputs = [tower_inputs(self.visual, chunk, hidden_states.device) for chunk in chunks]
        self.table = self.table.to(hidden_states.device)
        self.trained, recompute = _is_trained(self.visual), False
        if self.max_patches is not None:
            self._check_sharding()
            # Trainer switches it on in train(), after every lever
            for block in self.visual.blocks:
                block.gradient_checkpointing = False
            recompute = torch.is_grad_enabled() and self.trained
        sizes = [sum(t * h * w for t, h, w in chunk) for chunk in chunks]
        run = partial(checkpoint, self._run, use_reentrant=False) if recompute else self._run
        pieces = zip(hidden_states.split(sizes), inputs, strict=True)
        return _joined([run(pixels, kwargs | known) for pixels, known in pieces])

    def _run(self, pixels: torch.Tensor, kwargs: dict) -> BaseModelOutputWithPooling:
        if pixels.dtype == torch.uint8:
            pixels = self.table.patches(pixels, self.visual.dtype)
        output = self.forward(pixels, grid_thw=None, **(kwargs | {"return_dict": True}))
        return type(output)(**{name: value for name, value in output.items() if name != "last_hidden_state"})

    def detach_if_frozen(self, block: nn.Module, args: tuple) -> tuple:
        # `enable_input_require_grads`, which comes with gradient checkpointing and with PEFT, makes the output of the tower's patch
        # embedding need a gradient too: a frozen tower would keep its graph and be run backwards for nothing.
        return args if self.trained else (args[0].detach(), *args[1:])

    def _check_sharding(self) -> None:
        if isinstance(self.visual.blocks[0], FSDPModule):
            raise ValueError(
                "FSDP2 shards the vision tower block by block, so processes with different numbers of chunks would wait for each "
                "other for ever; shard with fsdp.set_up_fsdp, which makes the tower one unit, or set max_patches to None"
            )


def chunk_images(grids: Sequence[Grid], max_patches: int | None) -> list[tuple[Grid, ...]]:
    """
    Images in their order, in chunks of at most `max_patches` patches; one that has more is alone.

    Example:

    ```python
    >>> chunk_images([(1, 2, 4), (1, 4, 4), (1, 2, 2), (1, 6, 6)], max_patches=24)
    [((1, 2, 4), (1, 4, 4)), ((1, 2, 2),), ((1, 6, 6),)]

    ```
    """
    if max_patches is None:
        return [tuple(grids)]
    chunks, room = [], 0
    for frames, rows, columns in grids:
        patches = frames * rows * columns
        if not chunks or patches > room:
            chunks.append([])
            room = max_patches
        chunks[-1].append((frames, rows, columns))
        room -= patches
    return [tuple(chunk) for chunk in chunks]


def _joined(outputs: list[BaseModelOutputWithPooling]) -> BaseModelOutputWithPooling:
    whole = outputs[0]
    whole.pooler_output = torch.cat([output.pooler_output for output in outputs])
    if "deepstack_features" in whole:
        levels = zip(*(output.deepstack_features for output in outputs))
        whole.deepstack_features = [torch.cat(level) for level in levels]
    return whole


def _encode_uint8(core: Qwen2_5_VLModel | Qwen3VLModel, args: tuple, kwargs: dict) -> tuple | None:
    # `get_image_features` would make floats of them first, all at once.
    pixels = kwargs.get("pixel_values")
    if pixels is None or pixels.dtype != torch.uint8:
        return None
    features = core.visual(pixels, grid_thw=kwargs["image_grid_thw"], image_grids=kwargs.pop("image_grids", None))
    features.pooler_output = (features.pooler_output,)
    if "deepstack_features" in features:
        features.deepstack_features = [(level,) for level in features.deepstack_features]
    return args, kwargs | {"pixel_values": None, "mm_encoder_outputs": {"image": features}}


def _encode_blank(core: Qwen2_5_VLModel | Qwen3VLModel, args: tuple, kwargs: dict) -> tuple | None:
    if kwargs.get("pixel_values") is not None or kwargs.get("mm_encoder_outputs"):
        return None
    config, merge = core.visual.config, core.visual.spatial_merge_size
    input_ids = kwargs["input_ids"]
    patch_dim = config.in_channels * config.temporal_patch_size * config.patch_size**2
    pixels = torch.zeros(merge**2, patch_dim, dtype=core.visual.dtype, device=input_ids.device)
    grid = (1, merge, merge)
    features = core.visual(pixels, grid_thw=torch.tensor([grid], device=input_ids.device), image_grids=(grid,))
    kinds = [features.pooler_output, *features.get("deepstack_features", [])]
    nothing = sum((kind * 0).sum() for kind in kinds)
    embeds = core.get_input_embeddings()(input_ids)
    return args, kwargs | {"input_ids": None, "inputs_embeds": embeds + nothing.to(embeds.dtype)}
