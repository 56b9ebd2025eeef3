"""What a needle run comes to, as files: JSON with every record, CSV, a table of the lengths and a heat map."""

import csv
import json
import os
from collections import Counter
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from mmprolong_hf.evaluation.answers import write_whole
from mmprolong_hf.evaluation.heatmap import draw_heatmap
from mmprolong_hf.evaluation.metrics.grid import summarize_grid
from mmprolong_hf.evaluation.metrics.statistics import wilson_interval

COLUMNS = (
    *(
        "id",
        "kind",
        "length",
        "depth",
        "trial",
        "num_tokens",
        "mrope_span",
        "num_pages",
        "page",
        "page_depth",
        "doc_id",
    ),
    *("document_page", "question", "answer", "output", "score", "error"),
)


def summarize_needles(
    records: Sequence[dict], lengths: Sequence[int], depths: Sequence[float], trials: int, threshold: float = 0.85
) -> dict:
    """
    [`~mmprolong_hf.evaluation.metrics.grid.summarize_grid`] with a row for each depth, 95 % intervals and failures.

    Args:
        records (`Sequence[dict]`): From [`~mmprolong_hf.evaluation.needle.measure_needle`].
        lengths, depths, trials: As there.
        threshold (`float`): Share of needles found at which a length counts as mastered.

    Returns:
        `dict`: Also `per_length_interval` and `per_length_failed` (answers that the engine could not give, which count as
        wrong), and `num_missing`, the needles that were not hidden.

    Example:

    ```python
    >>> record = {"length": 8192, "depth": 0.5, "score": 1, "error": None}
    >>> summary = summarize_needles([record], [8192], [0.5], trials=2)
    >>> summary["mean"], summary["per_length_failed"], summary["num_missing"]
    (1.0, {8192: 0}, 1)

    ```
    """
    summary = summarize_grid(records, lengths, len(depths), list(depths).index, threshold)
    by_length = {length: [record for record in records if record["length"] == length] for length in lengths}
    summary["per_length_interval"] = {
        length: list(wilson_interval(sum(record["score"] for record in group), len(group)))
        for length, group in by_length.items()
    }
    summary["per_length_failed"] = {
        length: sum(record["error"] is not None for record in group) for length, group in by_length.items()
    }
    summary["num_missing"] = len(lengths) * len(depths) * trials - len(records)
    return summary


def write_needle_report(report: dict, folder: str | Path, *, title: str) -> None:
    """
    Write `needle.csv`, `per_length.md`, `heatmap.png` and, last, `needle.json`: where that is, all four are whole and of one run.

    Args:
        report (`dict`): From [`~mmprolong_hf.evaluation.needle.measure_needle`].
        folder (`str` or `Path`): Made if it does not exist.
        title (`str`): Names the checkpoint in the figure.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table = StringIO(newline="")
    writer = csv.DictWriter(table, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_row, report["records"]))
    lengths = per_length_table(report)
    partial = folder / f"heatmap.{os.getpid()}.partial.png"
    draw_heatmap(report["summary"], report["depths"], partial, title=_writable(title))
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    # One of an earlier run goes first: from here on the other files are no longer that run's.
    (folder / "needle.json").unlink(missing_ok=True)
    write_whole(folder / "needle.csv", _writable(table.getvalue()))
    write_whole(folder / "per_length.md", _writable(lengths))
    partial.replace(folder / "heatmap.png")
    write_whole(folder / "needle.json", json.dumps(report, indent=1) + "\n")


def per_length_table(report: dict) -> str:
    """
    Markdown: a row for each context length, and under it what they come to.

    Args:
        report (`dict`): As in [`write_needle_report`].
    """
    summary, lines = report["summary"], []
    lines += ["| context length | needles | found | 95 % interval | failed | tokens, mean | M-RoPE span, mean |"]
    lines += ["|---:|---:|---:|---:|---:|---:|---:|"]
    for length in report["lengths"]:
        group = [record for record in report["records"] if record["length"] == length]
        if not group:
            lines.append(f"| {length:,} | 0 | – | – | – | – | – |")
            continue
        low, high = summary["per_length_interval"][length]
        tokens, span = (sum(record[name] for record in group) / len(group) for name in ("num_tokens", "mrope_span"))
        lines.append(
            f"| {length:,} | {len(group)} | {summary['per_length'][length]:.2f} | {low:.2f} to {high:.2f} | "
            f"{summary['per_length_failed'][length]} | {tokens:,.0f} | {span:,.0f} |"
        )
    lines += [
        "",
        f"- Needle: {report['needle']['kind']}, {'each alone in its context' if report['isolated'] else 'all depths in one context'}",
        f"- Effective context length, {report['threshold']:.0%} found: {_tokens(summary['effective_length_prefix'])} if every "
        f"shorter length must reach that too, {_tokens(summary['effective_length_max'])} if not",
        f"- Lost in the middle (edges less middle): {_number(summary['lost_in_the_middle'])}",
        f"- Mean over lengths: {_number(summary['mean'])}; weighted towards long ones {_number(summary['wavg_inc'])}, "
        f"towards short ones {_number(summary['wavg_dec'])}",
    ]
    for reason, num in Counter(needle["reason"] for needle in report["missing"]).items():
        lines.append(f"- Not measured, {reason}: {num} needles")
    if report["skipped"]:
        names = ", ".join(f"{pdf['source']} ({pdf['reason']})" for pdf in report["skipped"])
        lines.append(f"- PDFs left out: {len(report['skipped'])}: {names}")
    return "\n".join(lines) + "\n"


def _writable(text: str) -> str:
    """The name of a file need not be UTF-8: what of it cannot be written so is escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _row(record: dict) -> dict:
    first = record["hidden"][0]
    answer = record["answer"] if isinstance(record["answer"], str) else "; ".join(record["answer"])
    place = {"page": first["page"], "page_depth": first["page_depth"]}
    source = {"doc_id": first["source"]["doc_id"], "document_page": first["source"]["page"]}
    return record | place | source | {"answer": answer}


def _tokens(length: int | None) -> str:
    return "none" if length is None else f"{length:,} tokens"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
