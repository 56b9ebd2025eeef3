"""
Draws who sees whom in a pack, as the attention that is trained with really weighs it: not the intention, the result.

    python benchmarks/attention_picture.py [docs/shared_document.png]

Queries and keys are zero, so that a token weighs all that it sees alike; values are the unit vectors, so that what comes out of the
attention is its weights.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from mmprolong_hf.attention import packed_attention
from mmprolong_hf.layout import PackLayout

NAMES = ["document", "Q1 A1", "Q2 A2", "Q3 A3", "another sample"]
LENGTHS = [[26, 5, 9, 6], [12]]
COLORS = ["#d9d9d9", "#4c78a8", "#f58518", "#54a24b", "#b279a2"]


def visible(layout: PackLayout) -> torch.Tensor:
    """`(T, T)`: whether a query (row) sees a key (column)."""
    length = layout.segments.values[-1]
    nothing, units = torch.zeros(1, 1, length, length), torch.eye(length)[None, None]
    weights, _ = packed_attention(None, nothing, nothing, units, None, layout=layout)
    return weights[0, :, 0] > 0


def draw(path: Path) -> None:
    layout = PackLayout.from_lengths(LENGTHS)
    seen = visible(layout)
    segments = layout.segments.pairs
    figure, axes = plt.subplots(figsize=(6.4, 5.6), dpi=140, layout="constrained")
    image = torch.ones(*seen.shape, 3)
    for (start, end), color in zip(segments, COLORS, strict=True):  # a key has its segment's colour where it is seen
        rgb = torch.tensor(plt.matplotlib.colors.to_rgb(color))
        image[:, start:end][seen[:, start:end]] = rgb
    axes.imshow(image, interpolation="nearest")
    for start, _ in segments[1:]:
        axes.axhline(start - 0.5, color="black", linewidth=0.6)
        axes.axvline(start - 0.5, color="black", linewidth=0.6)
    centres = [(start + end - 1) / 2 for start, end in segments]
    axes.set_xticks(centres, NAMES, rotation=30, ha="right")
    axes.set_yticks(centres, NAMES)
    axes.tick_params(length=0)
    axes.set_xlabel("is seen")
    axes.set_ylabel("sees")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


if __name__ == "__main__":
    draw(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/shared_document.png"))
