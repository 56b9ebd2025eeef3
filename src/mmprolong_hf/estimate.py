"""What a run costs, from sizes alone: FLOPs and GPU-hours. For `--dry_run`; no model is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmprolong_hf.architecture import Architecture


def vision_flops(architecture: Architecture, image_patches: Sequence[int]) -> int:
    """
    FLOPs of one forward pass of the vision tower.

    Args:
        architecture (`Architecture`): The model.
        image_patches (`Sequence[int]`): Patches of each image, before merging.

    Example:

    ```python
    >>> from mmprolong_hf.architecture import QWEN2_5_VL_7B
    >>> page = 57 * 44  # tokens; four patches each
    >>> round(vision_flops(QWEN2_5_VL_7B, [4 * page]) / page / 1e9, 2)  # GFLOPs per token
    6.0

    ```
    """
    a, patches = architecture, np.asarray(image_patches, dtype=np.int64)
    num_patches = int(patches.sum())
    per_patch = a.patch_values * a.vision_hidden_size + a.vision_weights
    matrices = 2 * num_patches * per_patch + 2 * (num_patches // a.merge_size**2) * a.merger_weights
    full = a.num_full_attention_blocks * int((patches**2).sum())
    window = (a.window_size // a.patch_size) ** 2
    windowed = (a.vision_depth - a.num_full_attention_blocks) * int((patches * np.minimum(patches, window)).sum())
    return matrices + 4 * a.vision_hidden_size * (full + windowed)


@dataclass(frozen=True)
class CostModel:
    """
    What a training step costs: FLOPs for each token, for each pair of a query and a key that it sees, and for each vision patch.

    A weight costs 2 FLOPs a token forward and 4 backward, 2 of these for its own gradient, which LoRA saves. A pair costs 4
    FLOPs a head dimension forward, for its score and for its value, and twice that backward. What gradient checkpointing computes
    again is not counted, as in the usual definition of model FLOPs utilisation.

    Args:
        token (`float`): FLOPs of the language model's matrices for a token.
        pair (`float`): FLOPs of all heads and layers for a pair.
        patch (`float`): FLOPs of the vision tower for a patch.

    Example:

    ```python
    >>> from mmprolong_hf.architecture import QWEN2_5_VL_7B
    >>> cost = CostModel.of(QWEN2_5_VL_7B, patches_per_image=4144)
    >>> [round(value / 1e9, 4) for value in (cost.token, cost.pair, cost.patch)]
    [39.1517, 0.0012, 4.1378]

    ```
    """

    token: float
    pair: float
    patch: float

    @classmethod
    def of(
        cls, architecture: Architecture, *, patches_per_image: int, train_vision: bool = True, lora: bool = False
    ) -> "CostModel":
        """
        Args:
            architecture (`Architecture`): The model.
            patches_per_image (`int`): Vision patches of a typical page, which a patch attends to in part of the blocks.
            train_vision (`bool`, *optional*, defaults to `True`): Whether gradients reach the vision tower.
            lora (`bool`, *optional*, defaults to `False`): Whether the language model's own weights are frozen.
        """
        a = architecture
        image = vision_flops(a, [patches_per_image]) if patches_per_image else 0
        return cls(
            token=float((4 if lora else 6) * a.language_weights),
            pair=float(12 * a.num_layers * a.num_heads * a.head_dim),
            patch=(3 if train_vision else 1) * image / max(patches_per_image, 1),
        )

    def flops(self, num_tokens, num_pairs, num_patches):
        """Of so many tokens, pairs and patches: numbers, or arrays of them."""
        return self.token * num_tokens + self.pair * num_pairs + self.patch * num_patches


def head_flops(architecture: Architecture, supervised_tokens: int, *, lora: bool = False) -> int:
    """
    FLOPs of the LM head, which runs on the labelled tokens alone.

    Example:

    ```python
    >>> from mmprolong_hf.architecture import QWEN2_5_VL_7B
    >>> round(head_flops(QWEN2_5_VL_7B, 40) / 1e9)
    131

    ```
    """
    return (4 if lora else 6) * supervised_tokens * architecture.head_weights


def gpu_hours(flops: int, *, utilization: float, peak_tflops: float) -> float:
    """
    GPU-hours for this many model FLOPs.

    Args:
        flops (`int`): Model FLOPs, from `training_flops`.
        utilization (`float`): Share of the peak that is reached (MFU), above 0 and at most 1.
        peak_tflops (`float`): Dense bfloat16 peak of one GPU in TFLOPS: H100 and H200 989, A100 312, H20 148.

    Raises:
        ValueError: if `utilization` is no such share or `peak_tflops` is not positive.

    Example:

    ```python
    >>> round(gpu_hours(634_500 * 10**15, utilization=0.4, peak_tflops=989))  # 5B tokens of 126.9 GFLOPs on H100
    446

    ```
    """
    if not 0 < utilization <= 1:
        raise ValueError(f"utilization is {utilization}, expected a share above 0 and at most 1, e.g. 0.4")
    if peak_tflops <= 0:
        raise ValueError(f"peak_tflops is {peak_tflops}, expected the dense bfloat16 peak of one GPU, e.g. 989")
    return flops / (peak_tflops * 1e12 * utilization) / 3600
