"""The encoded samples of one pack become one row of model inputs."""

from dataclasses import dataclass
from typing import Any

import torch

from mmprolong_hf.positions import IGNORE_INDEX, cu_seqlens, mrope_position_ids, pack_position_ids


@dataclass
class PackCollator:
    """
    Joins samples into one row in which each is computed exactly as if it were alone.

    What makes it exact: the text row of `position_ids` restarts in every sample, the bounds are passed as `cu_seq_lens_q/k`,
    there is no `attention_mask` (a mask of ones switches the detection of packs off), the cache is off (so does a cache), and
    the first token of every sample is no target (it would be predicted from the sample before).

    Args:
        merge_size (`int`): The vision tower's `spatial_merge_size`.

    Returns (from a call with a list of samples as `encoding.encode_sample` makes them):
        `dict` with `input_ids`, `labels`, `mm_token_type_ids` `(1, T)`, `position_ids` `(4, 1, T)`, `cu_seq_lens_q/k`
        `(num_samples + 1,)` int32, `max_length_q/k`, `use_cache`, and, where there are images, `pixel_values`
        `(num_patches, patch_dim)` and `image_grid_thw` `(num_images, 3)`.

    Example:

    ```python
    >>> text = lambda ids: {"input_ids": torch.tensor(ids), "labels": torch.tensor(ids), "mm_token_type_ids": torch.zeros(len(ids)).int()}
    >>> pack = PackCollator()([text([5, 6, 7]), text([8, 9])])
    >>> pack["input_ids"], pack["labels"]
    (tensor([[5, 6, 7, 8, 9]]), tensor([[-100,    6,    7, -100,    9]]))
    >>> pack["position_ids"][0], pack["cu_seq_lens_q"]
    (tensor([[0, 1, 2, 0, 1]]), tensor([0, 3, 5], dtype=torch.int32))

    ```
    """

    merge_size: int = 2

    def __call__(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        no_images = torch.zeros(0, 3, dtype=torch.int64)
        seq_lengths = [len(s["input_ids"]) for s in samples]
        bounds = cu_seqlens(seq_lengths)
        labels = torch.cat([s["labels"] for s in samples])
        labels[bounds[:-1].long()] = IGNORE_INDEX
        mrope = [
            mrope_position_ids(s["mm_token_type_ids"], s.get("image_grid_thw", no_images), self.merge_size)
            for s in samples
        ]
        pack = {
            "input_ids": torch.cat([s["input_ids"] for s in samples])[None],
            "labels": labels[None],
            "mm_token_type_ids": torch.cat([s["mm_token_type_ids"] for s in samples])[None],
            "position_ids": pack_position_ids(mrope),
            "cu_seq_lens_q": bounds,
            "cu_seq_lens_k": bounds,
            "max_length_q": max(seq_lengths),
            "max_length_k": max(seq_lengths),
            "use_cache": False,
        }
        with_images = [s for s in samples if "pixel_values" in s]
        if with_images:
            pack["pixel_values"] = torch.cat([s["pixel_values"] for s in with_images])
            pack["image_grid_thw"] = torch.cat([s["image_grid_thw"] for s in with_images])
        return pack
