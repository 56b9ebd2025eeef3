"""What a build would take, from a few of its documents: pages, tokens, core-hours, calls and dollars."""

import time
from collections import Counter
from dataclasses import dataclass, field
from statistics import mean, stdev

from tqdm.auto import tqdm

from ..lengths import page_tokens
from .document import Parsed, ask_rules, check_rules, parse_document, write_document
from .endpoint import EndpointOptions
from .plan import BuildPlan
from .pool.language import UNKNOWN
from .pool.scan import scan_pdf
from .questions import choose
from .rejected import RejectedDocument
from .segments import sample_segments
from .sources import find_pdfs
from .teacher.calls import plan_calls
from .workers import Lost, run_isolated

PILOT = 32  # documents that are scanned
PILOT_BUILT = 8  # of those that are fit, how many are read whole
# What a model reads besides pages, and writes; about, since only its own tokenizer knows
INSTRUCTION_TOKENS = 1500
QUESTION_TOKENS = 250
ANSWER_TOKENS = 40
# "A dense page takes 2,000 to 4,000 tokens to write down" (`scans.transcribe`)
TRANSCRIPT_TOKENS = 3000
# Pages that the judge sees for each question: the evidence, the rest of the segment, none, each page of a pair
EVIDENCE_PAGES = {"extract-single": 1, "extract-multi": 2, "reasoning": 1}


@dataclass(frozen=True)
class Amount:
    """
    A total, reckoned from a sample.

    Args:
        value (`float`): For all documents.
        spread (`float`): Half the width of its 95 % interval; 0 where all were looked at.
    """

    value: float
    spread: float = 0.0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.value + other.value, self.spread + other.spread)

    def __str__(self) -> str:
        if not self.spread:
            return f"{self.value:,.2f}" if self.value < 100 else f"{self.value:,.0f}"
        low, high = max(0.0, self.value - self.spread), self.value + self.spread
        form = ",.2f" if self.value < 100 else ",.0f"
        return f"{self.value:{form}} ({low:{form}} to {high:{form}})"


@dataclass
class BuildEstimate:
    """
    What a build would take; `print` it.

    Args:
        num_files (`int`): PDFs that were found.
        num_scanned (`int`): Of them looked at.
        num_built (`int`): Of them read whole.
        rejected (`Counter`): Reason -> documents of those looked at.
        amounts (`dict[str, Amount]`): What is needed, by name.
        models (`dict[str, dict[str, Amount]]`): Model -> calls, tokens and USD, of all that it is asked for.
    """

    num_files: int
    num_scanned: int = 0
    num_built: int = 0
    rejected: Counter = field(default_factory=Counter)
    amounts: dict[str, Amount] = field(default_factory=dict)
    models: dict[str, dict[str, Amount]] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [
            f"{self.num_files} PDFs; looked at {self.num_scanned}, read {self.num_built} of them whole. Nothing was written."
        ]
        if self.rejected:
            lines.append("rejected of these: " + ", ".join(f"{k} {v}" for k, v in self.rejected.most_common()))
        lines += [f"{name}: {amount}" for name, amount in self.amounts.items()]
        for model, amounts in self.models.items():
            lines.append(f"{model}: " + ", ".join(f"{name} {amount}" for name, amount in amounts.items()))
        return "\n".join(lines)


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
    _add_models(estimate, plan, built)
    if plan.scans is not None:
        _add_scans(estimate, plan.scans, [row for row in scanned if row["is_scan"]])
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
    try:
        parsed = parse_document(item["path"], item, plan)
        facts = {"questions": None}
        if plan.teacher is None and not (plan.scans and parsed.is_scanned(plan.pool.min_characters)):
            row = write_document(parsed, check_rules(parsed, ask_rules(parsed, plan)), plan).row
            facts = {"questions": Counter(question["task"] for question in row["questions"])}
    except RejectedDocument as rejected:
        return Lost(rejected.reason, rejected.detail)
    pages = parsed.source.pages
    stored = len(parsed.pdf) if plan.pages.store == "pdf" else sum(len(page.image) for page in pages)
    facts |= {"pages": len(pages), "bytes": stored, "seconds": time.process_time() - began}
    return facts | {"calls": _calls(parsed, plan) if plan.teacher else []}


def _calls(parsed: Parsed, plan: BuildPlan) -> list[tuple[str, int, int, int]]:
    """(task, questions, pages shown, their tokens) of each of the teacher's calls."""
    segments = sample_segments(
        parsed.structure.sections,
        parsed.structure.num_pages,
        seed=parsed.seed(plan),
        shortest=plan.asking.shortest_segment,
        longest=plan.asking.longest_segment,
    )
    found = []
    for call in plan_calls(
        segments, plan.asking.tasks, questions_per_call=plan.asking.questions_per_call, seed=parsed.seed(plan)
    ):
        shown = parsed.source.pages[call.segment[0] - 1 : call.segment[1]]
        tokens = sum(page_tokens(page.width, page.height) for page in shown)
        found.append((call.task, call.num_questions, len(shown), tokens))
    return found


def _total(values: list[float], estimate: BuildEstimate) -> Amount:
    """The sum over all files of what was seen in a sample, in which a rejected document counts as 0."""
    size = estimate.num_scanned
    values = [*values, *[0.0] * (size - len(values))]
    if not values:
        return Amount(0.0)
    spread = 0.0
    if size < estimate.num_files and size > 1:
        spread = 1.96 * stdev(values) / size**0.5 * estimate.num_files
    return Amount(mean(values) * estimate.num_files, spread)


def _add_amounts(estimate: BuildEstimate, plan: BuildPlan, scanned: list[dict], built: list[dict]) -> None:
    estimate.amounts["documents"] = _total([1.0] * len(scanned), estimate)
    estimate.amounts["pages"] = pages = _total([row["pages"] for row in scanned], estimate)
    estimate.amounts["page tokens"] = _total([row["tokens"] for row in scanned], estimate)
    read = sum(facts["pages"] for facts in built)
    if not read:
        return
    per_page = sum(facts["seconds"] for facts in built) / read
    scan_hours = _total([row["seconds"] / 3600 for row in scanned], estimate)
    build_hours = Amount(pages.value * per_page / 3600, pages.spread * per_page / 3600)
    hours = Amount(scan_hours.value + build_hours.value, scan_hours.spread + build_hours.spread)
    estimate.amounts["core-hours"] = hours
    estimate.amounts[f"hours with {plan.engine.workers} workers"] = Amount(
        hours.value / plan.engine.workers, hours.spread / plan.engine.workers
    )
    size = sum(facts["bytes"] for facts in built) / read / 2**30
    estimate.amounts["GiB of pages"] = Amount(pages.value * size, pages.spread * size)
    asked = [facts["questions"] for facts in built if facts["questions"] is not None]  # what a scan holds is not known
    if asked:
        questions = [min(plan.mixture.questions_per_document, tasks.total()) for tasks in asked]
        share = mean(questions)
        samples = Amount(estimate.amounts["documents"].value * share, estimate.amounts["documents"].spread * share)
        estimate.amounts["questions"] = samples


def _add_models(estimate: BuildEstimate, plan: BuildPlan, built: list[dict]) -> None:
    """Calls and prices for each document that was read, then for all."""
    if plan.teacher is None or not built:
        return
    scale = estimate.amounts["documents"].value / len(built)
    asked = [call for facts in built for call in facts["calls"]]
    prompt = [tokens + INSTRUCTION_TOKENS for _, _, _, tokens in asked]
    written = [questions * QUESTION_TOKENS for _, questions, _, _ in asked]
    _add_bill(estimate, plan.teacher, prompt, written, scale)
    estimate.amounts["questions"] = Amount(scale * sum(questions for _, questions, _, _ in asked))
    judge = plan.verify.judge
    if judge is None:
        return
    prompt = []
    for task, questions, pages, tokens in asked:
        one, evidence = tokens / pages, EVIDENCE_PAGES[task]
        shown = {
            "evidence_only": [evidence],
            "without_evidence": [pages - evidence],
            "closed_book": [0],
            "single_page": [1] * evidence if task == "extract-multi" else [],
        }
        views = [view for check in judge.checks for view in shown[check]]
        prompt += [view * one + INSTRUCTION_TOKENS / 5 for view in views] * questions
    _add_bill(estimate, judge.endpoint, prompt, [ANSWER_TOKENS] * len(prompt), scale)


def _add_scans(estimate: BuildEstimate, reader: EndpointOptions, scans: list[dict]) -> None:
    """A call for every page; a page of a scan that has text needs none, so it is at most that."""
    pages = sum(row["pages"] for row in scans)
    words = INSTRUCTION_TOKENS / 2
    prompt = [row["tokens"] / row["pages"] + words for row in scans for _ in range(row["pages"])]
    written = [min(TRANSCRIPT_TOKENS, reader.max_tokens)] * pages
    _add_bill(estimate, reader, prompt, written, estimate.num_files / estimate.num_scanned)


def _add_bill(
    estimate: BuildEstimate, options: EndpointOptions, prompt: list[float], written: list[float], scale: float
) -> None:
    """What one role costs; roles may share a model."""
    bill = {
        "calls": Amount(scale * len(prompt)),
        "prompt tokens": Amount(scale * sum(prompt)),
        "written tokens": Amount(scale * sum(written)),
        "USD": Amount(scale * options.cost(sum(prompt), sum(written))),
    }
    earlier = estimate.models.get(options.model, {})
    estimate.models[options.model] = {name: amount + earlier.get(name, Amount(0.0)) for name, amount in bill.items()}
