"""One picture of a mixture: lengths against the pool and the target, tasks against their shares, and where the evidence lies."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .achieved import HISTOGRAM_STEP
from .mixture import DEPTHS, MixtureOptions
from .selection import Selection

COLORS = {
    "extract-single": "#1f77b4",
    "extract-multi": "#ff7f0e",
    "reasoning": "#2ca02c",
    "ocr-full": "#9467bd",
    "ocr-needle": "#8c564b",
}
MOST_TICKS = 17


def draw_mixture(
    table: Mapping[str, Sequence], selection: Selection, options: MixtureOptions, path: str | Path, *, title: str
) -> None:
    """
    Write a PNG of what was chosen.

    Args:
        table (`Mapping[str, Sequence]`): What it was chosen from, see `selection.select_samples`.
        selection (`Selection`): What was chosen.
        options (`MixtureOptions`): What was wanted.
        path (`str` or `Path`): File to write.
        title (`str`): Names the set.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.4), layout="constrained", dpi=130)
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.15, 1))
    left, right = bottom.subplots(1, 2, width_ratios=(1, 1.25))
    _draw_lengths(top.subplots(), table, selection, options)
    _draw_tasks(left, selection.achieved["tasks"], options)
    _draw_depths(right, selection.achieved["depths"], options)
    achieved = selection.achieved
    facts = (
        f"samples {achieved['samples']:,}, documents {achieved['documents']:,}, tokens {_count(achieved['tokens'])}"
    )
    figure.suptitle(f"{title}\n{facts}", fontsize=12)
    figure.savefig(path)


def _draw_lengths(axes, table: Mapping[str, Sequence], selection: Selection, options: MixtureOptions) -> None:
    tokens = np.asarray(table["tokens"], dtype=np.int64)
    wanted = np.array([options.shares.get(task, 0) > 0 for task in table["task"]], dtype=bool)
    last = max([int(tokens[wanted].max(initial=0)), *(high - 1 for _, high, *_ in options.length_ranges)], default=0)
    edges = np.arange(0, (last // HISTOGRAM_STEP + 2) * HISTOGRAM_STEP, HISTOGRAM_STEP)
    middles = edges[:-1] + HISTOGRAM_STEP / 2
    axes.bar(
        middles,
        _percent(tokens[selection.indices], edges, options),
        0.92 * HISTOGRAM_STEP,
        color="#9ecae1",
        label="chosen",
    )
    axes.stairs(_percent(tokens[wanted], edges, options), edges, color="#555555", lw=1.4, label="all candidates")
    for number, (low, high, share, _) in enumerate(options.length_ranges):
        height = 100 * share * HISTOGRAM_STEP / (high - low)
        axes.plot(
            (low, high),
            (height, height),
            color="#d62728",
            lw=2.2,
            label="target, even in each range" if number == 0 else None,
        )
    if len(selection.indices):
        mean = float(tokens[selection.indices].mean())
        axes.axvline(mean, color="#08519c", lw=1, ls=":", label=f"mean of the chosen, {mean / 1024:.1f}K")
    every = -(-len(edges) // MOST_TICKS)
    axes.set_xticks(edges[::every], [f"{edge // 1024}K" for edge in edges[::every]])
    axes.set_xlim(0, edges[-1])
    axes.set_xlabel("tokens of a sample (K = 1,024)")
    axes.set_ylabel(f"% of {options.share_unit}\nfor each {HISTOGRAM_STEP // 1024}K tokens")
    axes.margins(y=0.12)
    axes.legend(fontsize=9, frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)


def _draw_tasks(axes, tasks: Mapping[str, Mapping], options: MixtureOptions) -> None:
    names = [task for task in tasks if options.shares[task] > 0]
    places = np.arange(len(names))[::-1]
    shares = [100 * tasks[task]["share"] for task in names]
    axes.barh(places, shares, 0.6, color=[COLORS[task] for task in names])
    for place, task, share in zip(places, names, shares):
        wanted = 100 * options.shares[task]
        axes.plot(
            (wanted, wanted), (place - 0.4, place + 0.4), color="black", lw=2, label="wanted" if place == 0 else None
        )
        axes.annotate(
            f"{share:.1f} % ({tasks[task]['samples']:,})",
            (max(share, wanted), place), (6, 0), textcoords="offset points", va="center", fontsize=9,
        )  # fmt: skip
    axes.set_yticks(places, names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xlim(0, 1.5 * max([*shares, *(100 * options.shares[task] for task in names)]))
    axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= 100])
    axes.set_xlabel(f"% of {options.share_unit} (and number of samples)")
    axes.legend(fontsize=9, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)


def _draw_depths(axes, depths: Mapping[str, Sequence[int]], options: MixtureOptions) -> None:
    highest = 20.0
    for task, counts in depths.items():
        if sum(counts):
            percent = 100 * np.array(counts) / sum(counts)
            highest = max(highest, percent.max())
            axes.plot(np.arange(DEPTHS), percent, "o-", ms=4, lw=1.5, color=COLORS[task], label=task)
    axes.axhline(100 / DEPTHS, color="black", lw=1, ls=":", label="even")
    axes.set_xticks(np.arange(DEPTHS), [f"{10 * k}-{10 * k + 10}" for k in range(DEPTHS)], fontsize=8.5)
    axes.set_ylim(0, 1.1 * highest)
    axes.set_xlabel("place of the first evidence in the document (%)")
    axes.set_ylabel("% of the task's samples")
    axes.legend(fontsize=9, frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)


def _percent(tokens: np.ndarray, edges: np.ndarray, options: MixtureOptions) -> np.ndarray:
    amounts, _ = np.histogram(tokens, edges, weights=tokens if options.share_unit == "tokens" else None)
    return 100 * amounts / max(amounts.sum(), 1)


def _count(number: int) -> str:
    """5368709120 as "5.37B", 1200 as "1,200"."""
    for size, letter in ((10**9, "B"), (10**6, "M")):
        if number >= size:
            return f"{number / size:.2f}{letter}"
    return f"{number:,}"
