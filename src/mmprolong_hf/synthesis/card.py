"""What the card of a dataset says of its build."""

import json
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

import yaml

from .achieved import HISTOGRAM_STEP
from .card_metadata import set_metadata
from .output import VIEWER_BYTES
from .plan import BuildPlan, shown_name
from .prompt_files import prompt_files
from .report import BuildReport
from .schema import VERDICTS
from .short_context import SHORT_TASK

PHRASES = Path(__file__).parent / "templates" / "card_phrases.yaml"
LONGEST = 128 * 1024  # tokens; samples of more are counted together
NAMED = 5  # documents that the card names; build_report.json names all


def card_facts(report: BuildReport, plan: BuildPlan) -> dict[str, str]:
    """
    What fills the card's template, by the names that it leaves open.

    Args:
        report (`BuildReport`): Of the build.
        plan (`BuildPlan`): That it followed.
    """
    phrases = yaml.safe_load(PHRASES.read_text(encoding="utf-8"))
    licenses = {_cell(name) or phrases["license_not_told"]: count for name, count in report.licenses.items()}
    return {
        "metadata": set_metadata(report),
        "statistics": _table(("in the set", "number"), _statistics(report)),
        "histogram": _table(("tokens of a sample", "samples"), _histogram(report.mixture.get("histogram", {}))),
        "questions": _table(("task", "questions"), report.questions),
        "languages": _table(("language of the document", "documents"), report.languages),
        "licenses": _table(("licence", "documents"), licenses),
        "rejected": _table(("reason", "documents"), report.rejected_by_reason),
        "dropped": _table(("reason", "questions"), report.dropped_questions),
        "left_out": _table(("reason", "questions"), report.left_out),
        "prompts": _table(("file", "sha256"), prompt_files(plan)),
        "benchmarks": _benchmarks(report, phrases["benchmarks"]),
        "engines": ", ".join(report.engines) or "no engine",
        "versions": ", ".join(f"{name} {version}" for name, version in report.versions.items()),
        "seed": str(plan.seed),
        "options": _yaml(report.plan),
        "beyond_viewer": _beyond_viewer(report, phrases["beyond_viewer"]),
        "short": _short(report, plan, phrases["short"]),
        **_sentences(report, plan, phrases),
    }


def _sentences(report: BuildReport, plan: BuildPlan, phrases: dict) -> dict[str, str]:
    """What depends on the plan alone, and what models did not give."""
    teacher, judge, scans, tokenizer = plan.teacher, plan.verify.judge, plan.scans, plan.mixture.tokenizer
    kind = "extractive" if teacher is None else "model"
    who = phrases["teacher"][kind]
    if teacher is not None:
        shortest, longest = plan.asking.shortest_segment, plan.asking.longest_segment
        who = who.format(model=teacher.model, shortest=shortest, longest=longest)
    free = [name for name in VERDICTS if name not in plan.verify.require]
    compact, failures = plan.pages.store == "pdf", _table(("reason", "questions"), report.failures)
    checks = ", ".join(judge.checks) if judge else ""
    counted = f"the tokenizer {shown_name(tokenizer)}" if tokenizer else "an upper estimate"
    return {
        "teacher": who,
        "judged": phrases["judged"].format(model=judge.endpoint.model, checks=checks) if judge else "",
        "scans": phrases["scans"]["none"] if scans is None else phrases["scans"]["read"].format(model=scans.model),
        "required": phrases["required"].format(checks=", ".join(f"`{name}`" for name in free)) if free else "",
        "pages": phrases["pages"]["pdf" if compact else "images"],
        "no_images": f"{phrases['no_images']}\n\n" if compact else "",
        "limits": phrases["limits"][kind],
        "same": phrases["same"]["model" if plan.endpoints else "extractive"],
        "counted": phrases["counted"].format(family=plan.mixture.processor, text=counted),
        "failures": f"\n{phrases['failures']}\n\n{failures}\n" if plan.endpoints else "",
    }


def _statistics(report: BuildReport) -> dict[str, str]:
    mixture = report.mixture
    return {
        "documents": f"{sum(report.languages.values()):,}",
        "pages": f"{report.pages:,}",
        "page tokens": f"{report.page_tokens:,}",
        "samples (a question behind its whole document)": f"{mixture.get('samples', 0):,}",
        "tokens of all samples": f"{mixture.get('tokens', 0):,}",
    }


def _histogram(steps: Mapping[int, int]) -> dict[str, int]:
    """Ranges of tokens as the picture has them, from 0 to the longest; everything from 128K on is one."""
    last = min(max(steps, default=-HISTOGRAM_STEP), LONGEST)
    found = {}
    for low in range(0, last + 1, HISTOGRAM_STEP):
        if low == LONGEST:
            found[f"{low // 1024}K and more"] = sum(count for start, count in steps.items() if start >= low)
        else:
            found[f"{low // 1024}K to {(low + HISTOGRAM_STEP) // 1024}K"] = steps.get(low, 0)
    return found


def _benchmarks(report: BuildReport, phrases: dict[str, str]) -> str:
    facts = report.pool.get("benchmark")
    if not facts:
        return phrases["none"]
    reasons = report.rejected_by_reason | report.left_out
    found = [f"{reason} {count:,}" for reason, count in reasons.items() if reason.startswith("benchmark_")]
    unread, short = len(facts["unread"]), facts["questions_too_short"]
    missed = phrases["unread"].format(file=_count(unread, "benchmark file"), question=_count(short, "question"))
    return phrases["compared"].format(
        file=_count(facts["files"], "benchmark file"),
        page=_count(facts["pages"], "page"),
        question=_count(facts["questions"], "question"),
        found=", ".join(found) or "nothing",
        unread=missed if unread or short else "",
    )


def _short(report: BuildReport, plan: BuildPlan, phrase: str) -> str:
    if SHORT_TASK not in report.short:
        return ""
    names = ", ".join(map(shown_name, plan.mixture.short_datasets))
    return "\n" + phrase.format(questions=_count(report.short[SHORT_TASK], "question"), names=names) + "\n"


def _beyond_viewer(report: BuildReport, phrase: str) -> str:
    if not report.beyond_viewer:
        return ""
    names = ", ".join(f"`{name}`" for name in report.beyond_viewer[:NAMED])
    rest = len(report.beyond_viewer) - NAMED
    documents = _count(len(report.beyond_viewer), "document")
    limit = f"{VIEWER_BYTES / 2**20:.1f} MiB"
    return (
        "\n" + phrase.format(documents=documents, limit=limit, names=names + f" and {rest} more" * (rest > 0)) + "\n"
    )


def _yaml(plan: Mapping) -> str:
    plain = json.loads(json.dumps(plan))  # tuples are lists
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120).rstrip()


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _cell(text: str) -> str:
    """A text that a user wrote, as it stands in one cell of a table."""
    return escape(text, quote=False).replace("|", "\\|")


def _table(head: tuple[str, str], cells: Mapping[str, int | str]) -> str:
    rows: Iterable = ((name, f"{value:,}" if isinstance(value, int) else value) for name, value in cells.items())
    lines = [f"| {left} | {right} |" for left, right in (head, ("---", "---:"), *rows)]
    return "\n".join(lines) if cells else "None."
