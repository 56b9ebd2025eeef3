"""How far a build is, and what came back from a batch."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from .endpoint import Budget, ReplyCache, import_batch, read_bills
from .engine import Stage
from .pipeline import build_name, identified_pdfs, stages_of
from .plan import BuildPlan
from .stages import build_shard


def show_status(plan: BuildPlan) -> str:
    """
    The stages of a build with what failed in them so far; it may be running, stopped or not begun.

    Args:
        plan (`BuildPlan`): The build.
    """
    lines = []
    builds = sorted(plan.work_folder.glob(f"{build_name(plan)}-*"), key=lambda folder: folder.stat().st_mtime)
    stages = stages_of(plan, identified_pdfs(plan.pdfs))
    stages["build"] = Stage(builds[-1] if builds else plan.work_folder / "build", build_shard, None)
    for name, stage in stages.items():
        done, total = stage.progress()
        if total == 0:
            lines.append(f"{name}: not begun")
            continue
        lines.append(f"{name}: {done} of {total} PDFs, {done / total:.1%} ({stage.folder})")
        reasons = Counter(o["reason"] for o in stage.found() if o["status"] == "rejected")
        lines += [f"  rejected: {reason} {count}" for reason, count in reasons.most_common()]
    if plan.endpoints and plan.replies_file.exists():
        lines += [
            f"{model}: {bill['calls']} calls, {bill['usd']:.4f} USD"
            for model, bill in read_bills(plan.replies_file).items()
        ]
    report = Path(plan.output, "build_report.json")
    lines.append(f"{plan.output}: {'a finished build is there' if report.exists() else 'not there yet'}")
    return "\n".join(lines)


def import_results(plan: BuildPlan, paths: Iterable[Path]) -> str:
    """
    Read the result files of a batch into the file of replies, and say what they held.

    Args:
        plan (`BuildPlan`): Whose requests they answer.
        paths (`Iterable[Path]`): Each of one model; which one, the ledger of exported requests knows.

    Raises:
        ValueError: if the plan asks no model, or a file answers none of its requests.
    """
    if not plan.endpoints:
        raise ValueError(
            "the plan names no model, so there is no batch to import; expected a teacher, a judge or scans"
        )
    options = {endpoint.served_model: endpoint for endpoint in plan.endpoints}
    replies, budget = ReplyCache(plan.replies_file), Budget(None, plan.replies_file)
    lines = []
    try:
        for path in paths:
            model = next((m for key in _keys(path) if (m := budget.model_of(key)) in options), None)
            if model is None:
                raise ValueError(
                    f"{path} answers no request of this plan ({', '.join(options)}); expected the results of its batch"
                )
            report = import_batch([path], options[model], replies, budget)
            failed = ", ".join(f"{reason} {count}" for reason, count in report.failed.items())
            lines.append(
                f"{path}: {model}, {report.answered} new replies, {report.known} known, {report.broken_lines} broken lines, {report.foreign} foreign, "
                f"{sum(report.failed.values())} failed{f' ({failed})' if failed else ''}, {report.usd:.4f} USD"
            )
    finally:
        replies.close()
        budget.close()
    return "\n".join(lines)


def _keys(path: Path) -> Iterator[str]:
    """The requests that a file of results answers; broken lines are counted when it is imported."""
    with open(path, "rb") as file:
        for line in file:
            try:
                yield str(json.loads(line)["custom_id"])
            except (ValueError, TypeError, KeyError):
                continue
