"""The retrieval heat map: context length across, depth down, every cell with its value, the counts under the axis."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle


def draw_heatmap(summary: dict, depths: Sequence[float], path: str | Path, *, title: str) -> None:
    """
    Write a PNG of mean scores; cells that were not measured are hatched.

    Args:
        summary (`dict`): From [`~mmprolong_hf.evaluation.metrics.grid.summarize_grid`], a row for each depth.
        depths (`Sequence[float]`): Depth of each row, 0 to 1.
        path (`str` or `Path`): File to write.
        title (`str`): Names the checkpoint.
    """
    lengths, grid, counts = summary["lengths"], summary["grid"], summary["counts"]
    width = 2.6 + max(len(lengths), 3)  # inches
    figure = Figure(figsize=(width, 1.9 + 0.5 * len(depths)), layout="constrained", dpi=150)
    axes = figure.add_subplot()
    values = [[float("nan") if value is None else value for value in row] for row in grid]
    image = axes.imshow(values, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    for row, column in ((row, column) for row in range(len(depths)) for column in range(len(lengths))):
        value = grid[row][column]
        if value is None:
            cell = Rectangle(
                (column - 0.5, row - 0.5), 1, 1, hatch="////", facecolor="white", edgecolor="silver", lw=0
            )
            axes.add_patch(cell)
            continue
        color = "white" if value < 0.6 else "black"  # viridis is dark below, light above
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=color, fontsize=10)
    nums = [sum(row[column] for row in counts) for column in range(len(lengths))]
    axes.set_xticks(range(len(lengths)), [f"{_tokens(length)}\nn={num}" for length, num in zip(lengths, nums)])
    axes.set_yticks(range(len(depths)), [f"{depth:.0%}" for depth in depths])
    axes.set_xticks([column - 0.5 for column in range(1, len(lengths))], minor=True)
    axes.set_yticks([row - 0.5 for row in range(1, len(depths))], minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)
    axes.set_xlabel("context length (tokens)")
    axes.set_ylabel("depth of the needle")
    mean = "nothing measured" if summary["mean"] is None else f"mean {summary['mean']:.2f}"
    note = ", hatched: not measured" if any(value is None for row in grid for value in row) else ""
    title = textwrap.fill(title, int(10 * width))  # a line this long fits, and a path has no spaces to break it at
    axes.set_title(f"{title}\n{mean}{note}", fontsize=10)
    figure.colorbar(image, label="share of needles found")
    figure.savefig(path)


def _tokens(length: int) -> str:
    """8192 as "8K", 1000 as "1000"."""
    return f"{length // 1024}K" if length % 1024 == 0 else str(length)
