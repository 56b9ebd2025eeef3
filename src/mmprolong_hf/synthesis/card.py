"""What the card of a dataset says of its build."""

from pathlib import Path

import yaml

from .plan import BuildPlan
from .report import BuildReport

PHRASES = Path(__file__).parent / "templates" / "card_phrases.yaml"


def card_facts(report: BuildReport, plan: BuildPlan) -> dict[str, str]:
    """
    What fills the card's template, by the names that it leaves open.

    Args:
        report (`BuildReport`): Of the build.
        plan (`BuildPlan`): That it followed.
    """
    phrases = yaml.safe_load(PHRASES.read_text(encoding="utf-8"))
    teacher, judge = plan.teacher, plan.verify.judge
    kind = "extractive" if teacher is None else "model"
    who = phrases["teacher"][kind]
    if teacher is not None:
        who = who.format(
            model=teacher.model, shortest=plan.asking.shortest_segment, longest=plan.asking.longest_segment
        )
    judged = (
        "" if judge is None else phrases["judged"].format(model=judge.endpoint.model, checks=", ".join(judge.checks))
    )
    return {
        "teacher": who,
        "judged": judged,
        "compact": " " + phrases["compact"] if plan.pages.store == "pdf" else "",
        "limits": phrases["limits"][kind],
        "benchmarks": _benchmarks(report, phrases["benchmarks"]),
        "documents": _table(("split", "documents"), report.rows),
        "questions": _table(("task", "questions"), report.questions),
        "languages": _table(("language", "documents in the pool"), report.pool.get("languages", {})),
        "rejected": _table(("reason", "documents"), report.rejected_by_reason),
        "dropped": _table(("reason", "questions"), report.dropped_questions),
        "left_out": _table(("reason", "questions"), report.left_out),
        "pages": f"{report.pages:,}",
        "page_tokens": f"{report.page_tokens:,}",
        "sample_tokens": f"{report.mixture.get('tokens', 0):,}",
        "engines": ", ".join(report.engines),
        "options": "\n".join(f"- `{name}`: {value}" for name, value in report.plan.items()),
    }


def _benchmarks(report: BuildReport, phrases: dict[str, str]) -> str:
    facts = report.pool.get("benchmark")
    if not facts:
        return phrases["none"]
    reasons = report.rejected_by_reason | report.left_out
    found = [f"{reason} {count}" for reason, count in reasons.items() if reason.startswith("benchmark_")]
    return phrases["compared"].format(**facts, found=", ".join(found) or "nothing")


def _table(head: tuple[str, str], counts: dict[str, int]) -> str:
    lines = [f"| {left} | {right} |" for left, right in (head, ("---", "---:"), *counts.items())]
    return "\n".join(lines) if counts else "None."
