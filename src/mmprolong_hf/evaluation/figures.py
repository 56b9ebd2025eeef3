"""The picture of a report: score against context length, with intervals."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mmprolong_hf.evaluation.examples import length_name

WIDTH, HEIGHT = 5.4, 3.8  # inches, of one method
SPREAD = 0.07  # of the distance between two lengths: intervals of several datasets stay apart


def draw_accuracy(report: Mapping, path: str | Path) -> None:
    """
    Write a PNG with a panel for each method and a line for each dataset; bars are 95 % intervals, and a point without one has
    no bar.

    Args:
        report (`Mapping`): From [`~mmprolong_hf.evaluation.report.build_report`].
        path (`str` or `Path`): File to write.
    """
    methods = report["methods"]
    figure = Figure(figsize=(WIDTH * len(methods), HEIGHT), layout="constrained", dpi=150)
    for axes, part in zip(figure.subplots(1, len(methods), squeeze=False)[0], methods):
        _draw_method(axes, part)
    # No date or version in the file: the same report is the same picture, byte for byte.
    figure.savefig(path, metadata={"Software": None})


def _draw_method(axes, part: Mapping) -> None:
    lines = defaultdict(list)
    for row in part["cells"]:
        lines[row["dataset"]].append(row)
    for row in part["averages"]:
        if row["name"] == "AVG":
            lines["AVG"].append(row)
    # Lengths stand side by side, as they are doubled from one to the next; documents' own lengths are one more place.
    lengths = sorted(
        {row["context_length"] for rows in lines.values() for row in rows}, key=lambda length: length or 0
    )
    place = {length: index for index, length in enumerate(lengths)}
    for index, (name, rows) in enumerate(lines.items()):
        shift = SPREAD * (index - (len(lines) - 1) / 2)
        scores = [row["score"] for row in rows]
        bars = np.transpose([_bar(row) for row in rows])
        style = {"color": "black", "linewidth": 2.2, "zorder": 3} if name == "AVG" else {"linewidth": 1.2}
        at = [place[row["context_length"]] + shift for row in rows]
        axes.errorbar(at, scores, yerr=bars, marker="o", markersize=4, capsize=3, label=name, **style)
    axes.set_xticks(range(len(lengths)), [length_name(length) for length in lengths])
    axes.set_xlim(-0.5, len(lengths) - 0.5)
    axes.set_ylim(-2, 102)
    axes.set_xlabel("context length (tokens)")
    axes.set_ylabel("score, 95 % interval")
    axes.set_title(part["name"], fontsize=9)
    axes.grid(axis="y", color="gainsboro", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4)


def _bar(row: Mapping) -> tuple[float, float]:
    """How far an interval reaches below and above its mean; matplotlib draws no bar for what is not a number."""
    if row["low"] is None:
        return float("nan"), float("nan")
    # An interval of the bootstrap may lie beside its mean by a rounding error.
    return max(0.0, row["score"] - row["low"]), max(0.0, row["high"] - row["score"])
