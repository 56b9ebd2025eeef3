"""A Markdown table and a figure of what levers.py has written."""

import json
import statistics
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from training import OUT_OF_MEMORY

COLORS = {"ours": "#12507f", "stock": "#b5562c"}
LINES = {"lora": "-", "full": "--"}
FIGURES = {"tokens_per_second": "tokens a second", "peak_gib": "peak memory, GiB"}
COLUMNS = (
    "trained", "tokens", "by", "first step, s", "s a step: least, median, most", "tokens/s", "MFU", "HFU", "peak, GiB", "estimated", "loss", "gradient apart",
)  # fmt: skip


def read(folders: list[Path]) -> list[dict[str, Any]]:
    """The records of several folders; of one run several times, the last that was measured."""
    found: dict[tuple, dict[str, Any]] = {}
    for folder in folders:
        for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            key = tuple(
                record[name] for name in ("lever", "training", "length", "trainer", "name", "layers", "device")
            )
            if key not in found or "not_measured" not in record:
                found[key] = record
    return list(found.values())


def write_report(folders: list[Path]) -> str:
    """
    Writes report.md and report.png into the first folder.

    Args:
        folders (`list[Path]`): With a results.jsonl each.

    Returns:
        `str`: What report.md holds.
    """
    records = read(folders)
    if not records:
        return ""
    lengths = sorted(
        (r for r in records if not r["lever"]), key=lambda r: (r["training"] != "lora", r["length"], r["trainer"])
    )
    levers = sorted((r for r in records if r["lever"]), key=lambda r: r["length"])
    last, most_layers = records[-1], max(r["layers"] for r in records)
    lines = [f"{last['device']}, torch {last['torch']}, {most_layers} language layers", ""]
    lines += _table(lengths, "stock", _fastest(records, "stock"))
    lines += ["", *_longest([r for r in records if r["layers"] == most_layers])]
    if levers:
        lines += ["", "Each lever alone:", "", *_table(levers, "ours", _fastest(records, "ours"))]
    lines += ["", *_active(records)]
    text = "\n".join(lines) + "\n"
    (folders[0] / "report.md").write_text(text, encoding="utf-8")
    draw([r for r in lengths if r["layers"] == most_layers], folders[0] / "report.png")
    return text


def _table(records: list[dict[str, Any]], other: str, beside: dict[tuple, dict[str, Any]]) -> list[str]:
    columns = [*COLUMNS, f"tokens/s beside {other}"]
    rows = [f"| {' | '.join(columns)} |", f"|---|---:|---|{'---:|' * (len(columns) - 3)}"]
    most_layers = max(r["layers"] for r in records)
    for r in records:
        layers = "" if r["layers"] == most_layers else f", {r['layers']} layers"
        begin = f"| {r['training']} | {r['tokens']:,} | {r['trainer']}, {r['name']}{layers} |"
        estimated = f"{r['estimated_gib']:.1f}" if "estimated_gib" in r else ""
        if "not_measured" in r:
            rows.append(f"{begin} {_short(r['not_measured'])} | | | | | | {estimated} | | | |")
            continue
        place = _place(r)
        ratio = f"{r['tokens_per_second'] / beside[place]['tokens_per_second']:.2f}x" if place in beside else ""
        rows.append(
            f"{begin} {r['first_seconds']:.2f} | {_spread(r['seconds'])} | {r['tokens_per_second']:,.0f} | {r['mfu']:.1%} | {r['hfu']:.1%} "
            f"| {r['peak_gib']:.1f} | {estimated} | {r['loss']:.4f} "
            f"| {r['gradient_apart']:.0e}{'' if r['equal'] else ' DIFFERENT'} | {ratio} |"
        )
    return rows


def _spread(seconds: list[float]) -> str:
    return ", ".join(f"{figure(seconds):.2f}" for figure in (min, statistics.median, max))


def _short(reason: str) -> str:
    return reason if len(reason) <= 160 else f"{reason[:157]}..."


def _longest(records: list[dict[str, Any]]) -> list[str]:
    """The longest document of each, and how ours compares at the longest of stock."""
    ours, stock = (_fastest(records, trainer) for trainer in ("ours", "stock"))
    lines = []
    for training in sorted({place[0] for place in ours}, reverse=True):
        longest = max((place for place in ours if place[0] == training), key=lambda place: place[1])
        line = f"- {training}: the longest document measured of ours has {ours[longest]['tokens']:,} tokens"
        places = [place for place in stock if place[0] == training]
        if places:
            place = max(places, key=lambda place: place[1])
            line += f", of stock {stock[place]['tokens']:,}"
            if place in ours:
                ratio = ours[place]["tokens_per_second"] / stock[place]["tokens_per_second"]
                line += f", where ours is {ratio:.2f} times as fast"
        lines.append(line)
    return lines


def _place(record: dict[str, Any]) -> tuple:
    return record["training"], record["length"], record["layers"], record["device"]


def _fastest(records: list[dict[str, Any]], trainer: str) -> dict[tuple, dict[str, Any]]:
    """The fastest of a trainer by place, levers left out."""
    own = [r for r in records if r["trainer"] == trainer and not r["lever"] and "not_measured" not in r]
    return {_place(r): r for r in sorted(own, key=lambda r: r["tokens_per_second"])}


def _active(records: list[dict[str, Any]]) -> list[str]:
    """What was on in the first measurement of ours."""
    first = next((r for r in records if r["trainer"] == "ours" and "active" in r), {"active": {}})
    return [f"- {part}: {state}" for part, state in first["active"].items()]


def draw(records: list[dict[str, Any]], path: Path) -> None:
    """Tokens a second and peak memory over length; where memory ended, a cross."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    lengths = sorted({r["length"] for r in records})
    labels = list(dict.fromkeys(_label(r) for r in records))
    for axes, (name, title) in zip(figure.subplots(1, 2), FIGURES.items(), strict=True):
        for label in labels:
            _draw_line(axes, [r for r in records if _label(r) == label], name)
        axes.plot([], [], "x", color="#555555", markersize=10, label="out of memory")
        axes.set_xscale("log", base=2)
        axes.set_xticks(lengths, [_in_words(length) for length in lengths])
        axes.set_ylim(bottom=0)
        axes.set(title=title, xlabel="tokens of the document")
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=150)


def _draw_line(axes: Axes, records: list[dict[str, Any]], name: str) -> None:
    first, measured = records[0], [r for r in records if "not_measured" not in r]
    color, faint = COLORS[first["trainer"]], 0.5 if first["name"] == "sdpa" else 1.0
    points = [r["length"] for r in measured], [r[name] for r in measured]
    axes.plot(*points, LINES[first["training"]], marker="o", color=color, alpha=faint, label=_label(first))
    not_begun = {r["length"] for r in records if "memory" not in r.get("not_measured", "")}
    ended = [r["length"] for r in records if r.get("not_measured") == OUT_OF_MEMORY and r["length"] not in not_begun]
    if ended:
        axes.plot(min(ended), 0, "x", color=color, markersize=10, clip_on=False)


def _in_words(length: int) -> str:
    return str(length) if length < 1024 else f"{length // 2**10}K" if length < 2**20 else f"{length // 2**20}M"


def _label(record: dict[str, Any]) -> str:
    training = {"lora": "LoRA", "full": "full"}[record["training"]]
    return f"ours, {training}" if record["trainer"] == "ours" else f"TRL's SFTTrainer, {record['name']}, {training}"
