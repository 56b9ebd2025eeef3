"""What a build would take, from a few of its documents: pages, tokens, core-hours, calls and dollars."""

import time
from statistics import mean

from tqdm.auto import tqdm

from .build_estimate import BuildEstimate
from .document import ask_rules, check_rules, parse_document, write_document
from .model_calls import judge_calls, reading_calls, teacher_calls
from .plan import BuildPlan
from .pool.language import UNKNOWN
from .pool.scan import scan_pdf
from .questions import choose
from .rejected import RejectedDocument
from .sources import find_pdfs
from .workers import Lost, run_isolated

PILOT = 32  # documents that are scanned
PILOT_BUILT = 8  # of those that are fit, how many are read whole


def estimate_build(plan: BuildPlan) -> BuildEstimate:
    """
    Look at some of a build's documents, and reckon what all of them take.

    The documents are drawn by a hash of their names, so that asking again gives the same ones. Duplicates and what a benchmark
    holds are not looked for: they only make the build smaller.

    Args:
        plan (`BuildPlan`): The build.

    Returns:
        `BuildEstimate`: With 95 % intervals where it is a sample.

    Raises:
        ValueError: if there is no PDF.
    """
    items = find_pdfs(plan.pdfs)
    pilot = sorted(items, key=lambda item: choose(range(2**32), plan.seed, "pilot", item["source"]))[:PILOT]
    estimate = BuildEstimate(len(items), num_scanned=len(pilot))
    scanned = []
    for row in _isolated(_scan, pilot, plan, "scan"):
        if isinstance(row, Lost):
            estimate.rejected[row.reason] += 1
        else:
            scanned.append(row)
    built = []
    for facts in _isolated(_build, [row["item"] for row in scanned[:PILOT_BUILT]], plan, "build"):
        if isinstance(facts, Lost):
            estimate.rejected[facts.reason] += 1
        else:
            built.append(facts)
    estimate.num_built = len(built)
    _add_amounts(estimate, plan, scanned, built)
    _add_models(estimate, plan, scanned, built)
    return estimate


def _isolated(function, items: list[dict], plan: BuildPlan, label: str):
    jobs = [(item, plan) for item in items]
    results = run_isolated(
        function,
        jobs,
        num_proc=1,  # its seconds are measured
        time_limit=plan.pages.time_limit,
        memory_limit=round(plan.pages.memory_gb * 2**30),
        preload="mmprolong_hf.synthesis.preloaded",
    )
    for _, result in tqdm(results, total=len(jobs), desc=label, unit="PDF"):
        yield result


def _scan(item: dict, plan: BuildPlan) -> dict | Lost:
    began = time.process_time()
    try:
        row = scan_pdf(item["path"], item["source"], dpi=plan.pages.dpi, options=plan.pool)
    except RejectedDocument as rejected:
        return Lost(rejected.reason, rejected.detail)
    # A scan's language is known when a model has read it
    is_scan = row["characters"] < plan.pool.min_characters * row["num_pages"]
    if (
        plan.pool.languages
        and row["language"] not in plan.pool.languages
        and not (is_scan and row["language"] == UNKNOWN)
    ):
        return Lost("wrong_language", row["language"])
    return {
        "item": {**item, "doc_id": row["doc_id"], "language": row["language"]},
        "pages": row["num_pages"],
        "tokens": row["page_tokens"],
        "is_scan": is_scan,
        "seconds": time.process_time() - began,
    }


def _build(item: dict, plan: BuildPlan) -> dict | Lost:
    """A document's own part of the build: everything but the models' answers."""
    began = time.process_time()
    facts = {"questions": None, "calls": None}  # what a scan holds is not known before it is read
    try:
        parsed = parse_document(item["path"], item, plan)
        pages = parsed.source.pages
        if plan.teacher is not None:
            questions, asked, judged = teacher_calls(parsed, plan)
            facts = {"questions": questions, "calls": {"teacher": asked, "judge": judged}}
        elif not (plan.scans and parsed.is_scanned(plan.pool.min_characters)):
            checked = check_rules(parsed, ask_rules(parsed, plan))
            found = len(write_document(parsed, checked, plan).row["questions"])
            calls = {"judge": judge_calls(checked, pages, plan)}
            facts = {"questions": min(plan.mixture.questions_per_document, found), "calls": calls}
    except RejectedDocument as rejected:
        return Lost(rejected.reason, rejected.detail)
    stored = len(parsed.pdf) if plan.pages.store == "pdf" else sum(len(page.image) for page in pages)
    return facts | {"pages": len(pages), "bytes": stored, "seconds": time.process_time() - began}


def _add_amounts(estimate: BuildEstimate, plan: BuildPlan, scanned: list[dict], built: list[dict]) -> None:
    estimate.amounts["documents"] = estimate.total([1.0] * len(scanned))
    estimate.amounts["pages"] = pages = estimate.total([row["pages"] for row in scanned])
    estimate.amounts["page tokens"] = estimate.total([row["tokens"] for row in scanned])
    read = sum(facts["pages"] for facts in built)
    if not read:
        return
    per_page = sum(facts["seconds"] for facts in built) / read
    scan_hours = estimate.total([row["seconds"] / 3600 for row in scanned])
    estimate.amounts["core-hours"] = hours = scan_hours + pages * (per_page / 3600)
    estimate.amounts[f"hours with {plan.engine.workers} workers"] = hours * (1 / plan.engine.workers)
    estimate.amounts["GiB of pages"] = pages * (sum(facts["bytes"] for facts in built) / read / 2**30)
    asked = [facts["questions"] for facts in built if facts["questions"] is not None]
    if asked:
        estimate.amounts["questions"] = estimate.amounts["documents"] * mean(asked)


def _add_models(estimate: BuildEstimate, plan: BuildPlan, scanned: list[dict], built: list[dict]) -> None:
    known = [facts["calls"] for facts in built if facts["calls"] is not None]
    judge = plan.verify.judge
    for role, options in {"teacher": plan.teacher, "judge": judge and judge.endpoint}.items():
        if options and known:
            calls = [call for of_document in known for call in of_document[role]]
            estimate.add_bill(options, calls, estimate.amounts["documents"].value / len(known))
    if plan.scans is not None:
        scans = [row for row in scanned if row["is_scan"]]
        calls = [call for row in scans for call in reading_calls(plan.scans, row["pages"], row["tokens"])]
        estimate.add_bill(plan.scans, calls, estimate.num_files / estimate.num_scanned)
