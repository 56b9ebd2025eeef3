"""The encoded samples of one pack become one row of model inputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mmprolong_hf.layout import PackLayout
from mmprolong_hf.positions import IGNORE_INDEX, sample_position_ids


@dataclass
class PackCollator:
    """
    Joins samples into one row in which each is computed exactly as if it were alone.

    What makes it exact: the text row of `position_ids` restarts in every sample, `layout` says what may see what, there is no
    `attention_mask` (a mask of ones switches the detection of packs off), the cache is off (so does a cache), and the first token
    of every sample is no target (it would be predicted from the sample before).

    Where all samples stand alone, the bounds are passed as `cu_seq_lens_q/k` too, which transformers' own FlashAttention reads. A
    pack with a shared document has none: it needs [`~mmprolong_hf.attention.packed_attention`].

    Args:
        merge_size (`int`): The vision tower's `spatial_merge_size`.

    Returns (from a call with a list of samples as `encoding.encode_sample` makes them, a list in it being samples of one document
    that share it):
        `dict` with `input_ids`, `labels`, `mm_token_type_ids` `(1, T)`, `position_ids` `(4, 1, T)`, `layout`, `use_cache`;
        `cu_seq_lens_q/k` `(num_samples + 1,)` int32 and `max_length_q/k` where no document is shared; `pixel_values`
        `(num_patches, patch_dim)`, `image_grid_thw` `(num_images, 3)` and `image_grids`, the same as tuples, where there are images.

    Raises:
        ValueError: when samples that shall share a document begin differently, or have an image or a target outside their branch.

    Example:

    ```python
    >>> def text(ids, document_length=0):
    ...     labels = [-100] * (document_length + 1) + ids[document_length + 1 :]
    ...     sample = {"input_ids": torch.tensor(ids), "labels": torch.tensor(labels), "mm_token_type_ids": torch.zeros(len(ids)).int()}
    ...     return sample | {"document_length": document_length}
    >>> pack = PackCollator()([text([5, 6, 7]), text([8, 9])])
    >>> pack["input_ids"], pack["labels"]
    (tensor([[5, 6, 7, 8, 9]]), tensor([[-100,    6,    7, -100,    9]]))
    >>> pack["position_ids"][0], pack["cu_seq_lens_q"]
    (tensor([[0, 1, 2, 0, 1]]), tensor([0, 3, 5], dtype=torch.int32))
    >>> pack = PackCollator()([[text([5, 6, 7, 8], document_length=2), text([5, 6, 1, 2, 3], document_length=2)]])
    >>> pack["input_ids"], pack["position_ids"][0]
    (tensor([[5, 6, 7, 8, 1, 2, 3]]), tensor([[0, 1, 2, 3, 2, 3, 4]]))

    ```
    """

    merge_size: int = 2

    def __call__(self, samples: list[dict[str, Any] | list[dict[str, Any]]]) -> dict[str, Any]:
        parts = [[entry] if isinstance(entry, dict) else entry for entry in samples]
        segments = [_segments(part) for part in parts]
        flat = [segment for part in segments for segment in part]
        layout = PackLayout.from_lengths([[len(ids) for ids, *_ in part] for part in segments])
        input_ids, labels, mm_token_type_ids = (torch.cat(column) for column in zip(*flat))
        labels[[start for start, _ in layout.segments.pairs]] = IGNORE_INDEX
        positions = [self._positions(part[0], [len(ids) for ids, *_ in own]) for part, own in zip(parts, segments)]
        pack = {
            "input_ids": input_ids[None],
            "labels": labels[None],
            "mm_token_type_ids": mm_token_type_ids[None],
            "position_ids": torch.cat(positions, dim=1)[:, None],
            "layout": layout,
            "use_cache": False,
        }
        if not layout.documents:
            bounds, longest = layout.segments.cu_seqlens("cpu"), layout.segments.longest
            pack |= {
                "cu_seq_lens_q": bounds,
                "cu_seq_lens_k": bounds,
                "max_length_q": longest,
                "max_length_k": longest,
            }
        with_images = [part[0] for part in parts if "pixel_values" in part[0]]
        if with_images:
            pack["pixel_values"] = torch.cat([sample["pixel_values"] for sample in with_images])
            pack["image_grid_thw"] = torch.cat([sample["image_grid_thw"] for sample in with_images])
            # Sizes stay on the host too, where the vision tower's inputs are reckoned from them.
            pack["image_grids"] = tuple(map(tuple, pack["image_grid_thw"].tolist()))
        return pack

    def _positions(self, sample: dict[str, Any], lengths: list[int]) -> torch.Tensor:
        """`(4, tokens)` of a part of the pack: of its first sample, then of the other branches, each from the document's end on."""
        grids = sample.get("image_grid_thw", torch.zeros(0, 3, dtype=torch.int64))
        whole = sample_position_ids(sample["mm_token_type_ids"], grids, self.merge_size)
        if len(lengths) == 1:
            return whole
        after_document = whole[:, lengths[0], None]
        return torch.cat([whole, *(after_document + torch.arange(length) for length in lengths[2:])], dim=1)


def _segments(samples: Sequence[dict[str, Any]]) -> list[tuple[torch.Tensor, ...]]:
    """`input_ids`, `labels` and `mm_token_type_ids` of a sample, or of the document that samples share and of each branch."""

    def cut(sample: dict[str, Any], run: slice) -> tuple[torch.Tensor, ...]:
        return tuple(sample[name][run] for name in ("input_ids", "labels", "mm_token_type_ids"))

    if len(samples) == 1:
        return [cut(samples[0], slice(None))]
    length = samples[0]["document_length"]
    document = cut(samples[0], slice(length))
    for sample in samples:
        if not torch.equal(sample["input_ids"][:length], document[0]) or not _same_pages(sample, samples[0]):
            raise ValueError(
                "samples that share a document begin with different tokens or pages; group samples of one document and the same "
                "pages"
            )
        # The label after the document is predicted by its last token, which the branches have in common.
        if (
            length < 1
            or (sample["labels"][: length + 1] != IGNORE_INDEX).any()
            or sample["mm_token_type_ids"][length:].any()
        ):
            raise ValueError(
                f"a sample has a target or an image on the wrong side of its document_length ({length}); all images belong before "
                "it, and all targets at least one token after it"
            )
    return [document, *(cut(sample, slice(length, None)) for sample in samples)]


def _same_pages(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Pages of the same sizes have the same tokens. Those that were encoded once are not compared number by number."""

    def same(ours: torch.Tensor | None, theirs: torch.Tensor | None) -> bool:
        return ours is theirs or (ours is not None and theirs is not None and torch.equal(ours, theirs))

    return all(same(one.get(name), other.get(name)) for name in ("pixel_values", "image_grid_thw"))
