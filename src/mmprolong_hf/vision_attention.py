"""
Attention of the vision tower: windows or images of equal length in one call, instead of one call each.

Without FlashAttention transformers calls attention for every window of every page, some 8,000 times a block at 128K tokens, and
asks the device for their lengths in every block. The lengths follow from the sizes of the pages, which are known before.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from transformers import AttentionInterface, PreTrainedModel
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel
from transformers.utils.generic import is_flash_attention_requested
from transformers.vision_utils import (
    get_vision_cu_seqlens,
    get_vision_interpolation_indices_and_weights,
    get_vision_position_ids,
    get_vision_window_index,
)

# Transformers hands attentions whose name has "flash" in it the whole row and its bounds, and loops over segments for all others.
SEGMENT_ATTENTION = "segments_as_flash_takes_them"


@dataclass(frozen=True)
class Segments:
    """
    Which rows of a tensor attend to each other.

    Args:
        groups (`tuple[tuple[int, int], ...]`): Number and length of the segments of each length, the shortest first.
        order (`torch.Tensor` of shape `(num_rows,)`, *optional*): The rows segment by segment, in the order of `groups`; `None`
            where they lie so already.
    """

    groups: tuple[tuple[int, int], ...]
    order: torch.Tensor | None = None

    @classmethod
    def of(cls, segment: torch.Tensor) -> "Segments":
        """
        Args:
            segment (`torch.Tensor` of shape `(num_rows,)`): The segment that each row belongs to.

        Example:

        ```python
        >>> segments = Segments.of(torch.tensor([0, 0, 0, 1, 2, 2, 2]))
        >>> segments.groups, segments.order
        (((1, 1), (2, 3)), tensor([3, 0, 1, 2, 4, 5, 6]))

        ```
        """
        lengths = segment.bincount()
        order = (lengths[segment] * len(lengths) + segment).argsort(stable=True)
        groups = tuple(zip(*(column.tolist() for column in reversed(lengths.unique(return_counts=True)))))
        return cls(groups, None if torch.equal(order, torch.arange(len(order))) else order)

    def to(self, device: torch.device) -> "Segments":
        return Segments(self.groups, None if self.order is None else self.order.to(device))


def segment_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    cu_seq_lens_q: Segments,
    scaling: float | None = None,
    **kwargs,
) -> tuple[torch.Tensor, None]:
    """
    Attention within each segment, one call of `scaled_dot_product_attention` for all segments of a length.

    Args:
        query, key, value (`torch.Tensor` of shape `(1, num_heads, num_patches, head_dim)`):
        cu_seq_lens_q (`Segments`): From [`tower_inputs`], in the place of FlashAttention's bounds.

    Returns:
        `torch.Tensor` of shape `(1, num_patches, num_heads, head_dim)`, and `None` for the weights, which are never built.
    """
    segments = cu_seq_lens_q
    rows = [tensor[0].transpose(0, 1) for tensor in (query, key, value)]
    if segments.order is not None:
        rows = [tensor.index_select(0, segments.order) for tensor in rows]
    sizes = [number * length for number, length in segments.groups]
    parts = []
    for (number, length), *group in zip(segments.groups, *(tensor.split(sizes) for tensor in rows)):
        batch = (tensor.unflatten(0, (number, length)).transpose(1, 2) for tensor in group)
        parts.append(F.scaled_dot_product_attention(*batch, scale=scaling).transpose(1, 2).flatten(0, 1))
    out = torch.cat(parts)
    if segments.order is not None:
        out = torch.empty_like(out).index_copy(0, segments.order, out)
    return out[None], None


AttentionInterface.register(SEGMENT_ATTENTION, segment_attention)


def group_segments(visual: PreTrainedModel) -> None:
    """Makes a vision tower attend by [`segment_attention`], unless FlashAttention does; it then needs [`tower_inputs`]."""
    if not is_flash_attention_requested(visual.config):
        visual.config._attn_implementation = SEGMENT_ATTENTION


def tower_inputs(visual: PreTrainedModel, grids: tuple[tuple[int, int, int], ...], device: torch.device) -> dict:
    """
    All that a vision tower reckons from the sizes of images, reckoned on the host and copied once: the keyword arguments that its
    `forward` takes instead.

    Args:
        visual (`PreTrainedModel`): The tower of a Qwen2.5-VL or Qwen3-VL model.
        grids (`tuple` of `(frames, rows, columns)`): Of the images, in patches.
        device (`torch.device`): Where the tower is.
    """
    grid, merge = torch.tensor(grids), visual.spatial_merge_size
    inputs = {"position_ids": get_vision_position_ids(grid, merge)}
    bounds = {"": get_vision_cu_seqlens(grid)}
    grouped = visual.config._attn_implementation == SEGMENT_ATTENTION
    segments = {"": _owners(bounds[""])}
    if isinstance(visual, Qwen2_5_VisionTransformerPretrainedModel):
        index, bounds["window_"] = get_vision_window_index(grid, merge, visual.window_size, visual.patch_size)
        if grouped:  # windows of a length beside each other, so that most blocks need not move anything
            merged = merge * merge
            window = _owners(bounds["window_"])[::merged]
            sorted_rows = Segments.of(window).order
            if sorted_rows is not None:
                index, window = index[sorted_rows], window[sorted_rows]
            image = segments[""][::merged][index]
            segments = {
                "": image.repeat_interleave(merged),
                "window_": window.repeat_interleave(merged),
            }
        inputs["window_index"] = index
    else:
        inputs["interp_indices"], inputs["interp_weights"] = get_vision_interpolation_indices_and_weights(
            grid,
            num_grid_per_side=visual.num_grid_per_side,
            mode=visual.interpolation_mode,
            align_corners=visual.interpolation_align_corners,
            spatial_merge_size=merge,
        )
    for kind, cumulative in bounds.items():
        inputs[f"cu_{kind}seqlens"] = Segments.of(segments[kind]) if grouped else cumulative
    inputs = {name: value.to(device) for name, value in inputs.items()}
    return inputs | {f"max_{kind}seqlen": int(cumulative.diff().max()) for kind, cumulative in bounds.items()}


def _owners(bounds: torch.Tensor) -> torch.Tensor:
    """The segment of every row, for cumulative bounds of segments."""
    return torch.arange(len(bounds) - 1).repeat_interleave(bounds.diff())
