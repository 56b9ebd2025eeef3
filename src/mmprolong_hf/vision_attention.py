"""
Attention of the vision tower: windows or images of equal length in one call, instead of one call each.

Without FlashAttention transformers calls attention for every window of every page, some 8,000 times a block at 128K tokens, and
asks the device for their lengths in every block. The lengths follow from the sizes of the pages, which are known before.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

import torch
import torch.nn.functional as F
from transformers import AttentionInterface, PreTrainedModel
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLVisionConfig
from transformers.utils.generic import is_flash_attention_requested
from transformers.vision_utils import (
    get_vision_interpolation_indices_and_weights,
    get_vision_position_ids,
    get_vision_window_index,
)

# `transformers.utils.generic.is_flash_attention_requested` (5.23) decides by "flash" in the name: such an attention gets the whole row
# and its bounds, for any other one `Qwen2_5_VLVisionAttention.forward` loops over segments. The name may be another once an attention
# can say what it takes; a test fails where the name stops to count.
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
    def of(cls, segments: Sequence[Sequence[tuple[int, int]]]) -> "Segments":
        """
        Args:
            segments (`Sequence[Sequence[tuple[int, int]]]`): The runs of rows, from start to end, that each segment is made of.

        Example:

        ```python
        >>> segments = Segments.of([[(0, 3)], [(3, 4)], [(4, 5), (5, 7)]])
        >>> segments.groups, segments.order
        (((1, 1), (2, 3)), tensor([3, 0, 1, 2, 4, 5, 6]))

        ```
        """
        by_length = sorted(segments, key=_length)
        order = torch.cat([torch.arange(*run) for runs in by_length for run in runs])
        return cls(_groups(map(_length, segments)), None if torch.equal(order, torch.arange(len(order))) else order)

    def to(self, device: torch.device) -> "Segments":
        return Segments(self.groups, None if self.order is None else _to(self.order, device))


def _to(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    # From memory that is not pinned the host would wait until the device has done all that it still has to do.
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _length(runs: Sequence[tuple[int, int]]) -> int:
    return sum(end - start for start, end in runs)


def _groups(lengths: Iterable[int]) -> tuple[tuple[int, int], ...]:
    return tuple((number, length) for length, number in sorted(Counter(lengths).items()))


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


def tower_inputs(visual: PreTrainedModel, grids: Sequence[tuple[int, int, int]], device: torch.device) -> dict:
    """
    All that a vision tower reckons from the sizes of images, reckoned on the host and copied once: the keyword arguments that its
    `forward` takes instead. What follows from one size is kept, as most pages of a document have the same.

    Args:
        visual (`PreTrainedModel`): The tower of a Qwen2.5-VL or Qwen3-VL model.
        grids (`Sequence` of `(frames, rows, columns)`): Of the images, in patches.
        device (`torch.device`): Where the tower is.
    """
    sizes = [(rows, columns) for frames, rows, columns in grids for _ in range(frames)]  # each frame attends alone
    merge, grouped = visual.spatial_merge_size, visual.config._attn_implementation == SEGMENT_ATTENTION
    inputs = {"position_ids": torch.cat([_positions(*size, merge) for size in sizes])}
    lengths = {"": [rows * columns for rows, columns in sizes]}
    images = [[run] for run in pairwise(accumulate(lengths[""], initial=0))]
    if isinstance(visual.config, Qwen2_5_VLVisionConfig):  # the tower itself may be in a wrapper of PEFT's
        windows = [_windows(*size, merge, visual.window_size, visual.patch_size) for size in sizes]
        lengths["window_"] = [length for own in windows for length in own.lengths]
        starts = [start // merge**2 for ((start, _),) in images]
        if grouped:
            inputs["window_index"], images = _windows_by_length(windows, starts, merge**2)
        else:
            inputs["window_index"] = torch.cat([own.index + start for own, start in zip(windows, starts)])
    else:
        grid = visual.num_grid_per_side, visual.interpolation_mode, visual.interpolation_align_corners
        parts = zip(*(_interpolation(*size, merge, *grid) for size in sizes))
        inputs["interp_indices"], inputs["interp_weights"] = map(torch.cat, parts)
    for kind, own in lengths.items():
        if not grouped:
            inputs[f"cu_{kind}seqlens"] = torch.tensor([*accumulate(own, initial=0)], dtype=torch.int32)
        else:
            inputs[f"cu_{kind}seqlens"] = Segments(_groups(own)) if kind else Segments.of(images)
    copied = {
        name: value.to(device) if isinstance(value, Segments) else _to(value, device) for name, value in inputs.items()
    }
    return copied | {f"max_{kind}seqlen": max(own) for kind, own in lengths.items()}


@dataclass(frozen=True)
class _Windows:
    """
    Of an image: the merged patches window by window, as transformers has them, the patches of each window, and the merged patches of
    the windows of each length.
    """

    index: torch.Tensor
    lengths: tuple[int, ...]
    of_length: dict[int, torch.Tensor]


def _windows_by_length(
    windows: list[_Windows], starts: list[int], merged: int
) -> tuple[torch.Tensor, list[list[tuple[int, int]]]]:
    """
    The windows of all images, those of a length beside each other, so that most blocks need not move anything, and where the patches
    of each image are then.
    """
    index, images, end = [], [[] for _ in windows], 0
    for length in sorted({length for own in windows for length in own.of_length}):
        for own, start, runs in zip(windows, starts, images):
            if length in own.of_length:
                index.append(own.of_length[length] + start)
                runs.append((end, end + merged * len(index[-1])))
                end = runs[-1][1]
    return torch.cat(index), images


# Of one image each: 0.3 MB for a page of 4,096 patches
_kept = lru_cache(maxsize=256)


@_kept
def _positions(rows: int, columns: int, merge: int) -> torch.Tensor:
    return get_vision_position_ids(torch.tensor([[1, rows, columns]]), merge)


@_kept
def _windows(rows: int, columns: int, merge: int, window_size: int, patch_size: int) -> _Windows:
    index, bounds = get_vision_window_index(torch.tensor([[1, rows, columns]]), merge, window_size, patch_size)
    lengths = bounds.diff()
    of_merged = lengths.repeat_interleave(lengths // merge**2)
    of_length = {length: index[of_merged == length] for length in lengths.unique().tolist()}
    return _Windows(index, tuple(lengths.tolist()), of_length)


@_kept
def _interpolation(
    rows: int, columns: int, merge: int, side: int, mode: str, align_corners: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    return get_vision_interpolation_indices_and_weights(
        torch.tensor([[1, rows, columns]]),
        num_grid_per_side=side,
        mode=mode,
        align_corners=align_corners,
        spatial_merge_size=merge,
    )
