"""A plan in, a dataset folder out, through stages that can be killed and run again."""

import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import pyarrow.parquet as pq

from .endpoint import read_bills
from .engine import Stage
from .output import ROW
from .output_folder import REPORT, check_output, one_build, partial_folder, replace_earlier
from .plan import LIBRARIES, BuildPlan, fingerprint, shown_name
from .pool.benchmark_input import benchmark_files, read_questions
from .pool.contamination import Benchmark
from .pool.options import PoolOptions
from .pool.select import Rejection, select, summarise
from .publish import BuiltDocument, publish
from .report import BuildReport
from .sources import TOLD, find_pdfs
from .stages import BuildSettings, ScanSettings, build_shard, scan_shard

# Of what reads, renders and writes
VERSIONS = ("mmprolong_hf", *LIBRARIES, "pillow", "datatrove", "datasets", "pyarrow")


def build_dataset(plan: BuildPlan, *, export: str | Path | None = None) -> BuildReport:
    """
    Build a question-answer dataset from PDFs.

    The same files and plan give the same rows, wherever and with how many processes it runs, and however often it was killed
    and started again. A document that is rejected, or whose process dies or hangs, is reported by name and reason and stops
    nothing else. The folder appears under its name only when it is complete; an earlier build there is replaced, any other
    folder is not touched. Workers are processes that import the calling script: call this under `if __name__ == "__main__":`.

    Args:
        plan (`BuildPlan`): What to build from what.
        export (`str` or `Path`, *optional*): Folder for batch files: what the models would be asked is written there, not sent.

    Returns:
        `BuildReport`: Counts, rejections by name, speed; `print` it.

    Raises:
        ValueError: if there is no PDF, if all are rejected, if the output folder holds something else, or another build is at
            work there.
        BudgetSpent, EndpointRefused, Unanswered: the models' part stopped; what is answered is kept, and the same call goes on.
        Pending: requests were exported; import their replies and call again.
    """
    started = time.perf_counter()
    output = check_output(Path(plan.pdfs), Path(plan.output))
    found = find_pdfs(plan.pdfs)
    items = _identified(found)
    report = BuildReport(output.name, plan=_plain(plan), versions={name: version(name) for name in VERSIONS})
    with one_build(plan.work_folder):
        kept, rejected, benchmark = _select(plan, items)
        report.pool = summarise(kept, rejected, benchmark)
        report.rejected = {r.source: (r.reason, r.detail) for r in rejected}
        told = {item["source"]: {name: pdf[name] for name in TOLD} for item, pdf in zip(items, found)}
        built = _build(plan, items, kept, export, report) if kept else []
        documents = [replace(document, **told[document.source]) for document in built]
        report.rejected = dict(sorted(report.rejected.items()))
        if documents:
            partial = partial_folder(output)
            publish(documents, partial, plan, benchmark, report)
            report.models = read_bills(plan.replies_file) if plan.endpoints else {}
            report.seconds = round(time.perf_counter() - started, 3)
            (partial / REPORT).write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")
            replace_earlier(output, partial)
        if plan.work is None:
            shutil.rmtree(plan.work_folder)
    if not documents:
        reasons = "\n".join(f"  {name}: {reason}: {detail}" for name, (reason, detail) in report.rejected.items())
        raise ValueError(f"all {len(items)} PDFs of {plan.pdfs} were rejected:\n{reasons}")
    return report


def stages_of(plan: BuildPlan, items: list[dict]) -> dict[str, Stage]:
    """
    The first stages of a plan by what they do, whether they have begun or not.

    What decides a stage is in the name of its folder, the files themselves included: what has changed begins a new one, and never
    goes on with an old one.

    Args:
        plan (`BuildPlan`): Not yet started, under way or finished.
        items (`list[dict]`): Its PDFs, as [`identified_pdfs`] names them.
    """
    limits = (plan.pages.time_limit, plan.pages.memory_gb)
    unscanned = replace(plan.pool, languages=(), benchmarks=(), benchmark_questions=())
    settings = ScanSettings(plan.pool, plan.pages.dpi, *limits)
    stages = {
        "scan": Stage(
            plan.work_folder / f"scan-{fingerprint(items, unscanned, plan.pages.dpi, *limits)}", scan_shard, settings
        )
    }
    if plan.pool.benchmarks:
        files = _benchmark_items(plan)
        folder = plan.work_folder / f"benchmarks-{fingerprint(files, *limits)}"
        stages = {
            "benchmarks": Stage(folder, scan_shard, replace(settings, pool=PoolOptions().for_benchmarks())),
            **stages,
        }
    return stages


def identified_pdfs(pdfs: str | Path) -> list[dict]:
    """
    The PDFs of a plan, each with what tells that it is still the same file.

    Args:
        pdfs (`str` or `Path`): As `sources.find_pdfs` takes it.

    Raises:
        ValueError: as `sources.find_pdfs`.
    """
    return _identified(find_pdfs(pdfs))


def build_name(plan: BuildPlan) -> str:
    """How the folder of a plan's build stage begins; what follows tells the documents of its pool apart."""
    exemplars = Path(plan.asking.exemplars).read_text(encoding="utf-8") if plan.asking.exemplars else ""
    options = (plan.pages, plan.questions, plan.teacher, plan.asking, plan.scans, plan.verify, plan.seed, plan.pool)
    return f"build-{fingerprint(*options, exemplars)}"


def _identified(items: list[dict]) -> list[dict]:
    found = []
    for item in items:
        path = Path(item["path"]).resolve()
        stat = path.stat() if path.exists() else None  # what is missing is rejected by name when it is read
        same = [stat.st_size, stat.st_mtime_ns] if stat else None
        # a file's name need not be text
        source = item["source"].encode("utf-8", "backslashreplace").decode()
        found.append({"source": source, "path": str(path), "file": same})
    return found


def _benchmark_items(plan: BuildPlan) -> list[dict]:
    return _identified([{"path": str(path), "source": path.name} for path in benchmark_files(plan.pool.benchmarks)])


def _select(plan: BuildPlan, items: list[dict]) -> tuple[list[dict], list[Rejection], Benchmark | None]:
    """The pool: what was scanned, less what must not be in it."""
    stages, benchmark = stages_of(plan, items), None
    if plan.pool.benchmarks or plan.pool.benchmark_questions:
        rows, unread = [], []
        if plan.pool.benchmarks:
            rows, unread = _scan(stages["benchmarks"], _benchmark_items(plan), plan, "benchmarks")
        questions = [q for path in plan.pool.benchmark_questions for q in read_questions(path)]
        benchmark = Benchmark(rows, questions, unread={r.source: (r.reason, r.detail) for r in unread})
    rows, rejected = _scan(stages["scan"], items, plan, "scan")
    kept, left_out = select(rows, plan.pool, benchmark)
    return kept, sorted([*rejected, *left_out], key=lambda r: r.source), benchmark


def _scan(stage: Stage, items: list[dict], plan: BuildPlan, label: str) -> tuple[Iterator[dict], list[Rejection]]:
    outcomes = stage.run(items, plan.engine, label=label)
    rejected = [
        Rejection(item["source"], outcome["reason"], outcome["detail"])
        for item, outcome in zip(items, outcomes)
        if outcome["status"] == "rejected"
    ]
    files = (_file(stage, k, ROW) for k, outcome in enumerate(outcomes) if outcome["status"] == "scanned")
    return (row for file in files for row in pq.read_table(file).to_pylist()), rejected


def _build(plan: BuildPlan, items: list[dict], kept: list[dict], export, report: BuildReport) -> list[BuiltDocument]:
    """The rows of the pool's documents."""
    paths = {item["source"]: item["path"] for item in items}
    wanted = [
        {"source": r["source"], "path": paths[r["source"]], "doc_id": r["doc_id"], "language": r["language"]}
        for r in kept
    ]
    folder = plan.work_folder / f"{build_name(plan)}-{fingerprint(wanted)}"
    stage = Stage(folder, build_shard, BuildSettings(plan, None if export is None else str(export)))
    outcomes = stage.run(wanted, plan.engine, label="build")
    documents, dropped, failures = [], Counter(), Counter()
    for k, (item, outcome) in enumerate(zip(wanted, outcomes)):
        failures.update(failure["reason"] for failure in outcome.get("failures", ()))
        if outcome["status"] == "rejected":
            report.rejected[item["source"]] = (outcome["reason"], outcome["detail"])
            continue
        stem = stage.part(k)
        documents.append(BuiltDocument(item["source"], item["doc_id"], outcome["num_pages"], stem))
        dropped.update(outcome["dropped"])
    report.dropped_questions, report.failures = dict(sorted(dropped.items())), dict(sorted(failures.items()))
    return documents


def _file(stage: Stage, index: int, ending: str) -> Path:
    stem = stage.part(index)
    return stem.with_name(stem.name + ending)


def _plain(plan: BuildPlan) -> dict:
    """The plan for the report and the card, without what says where it was built and who was asked where."""
    kept = asdict(plan)
    for name in ("pdfs", "output", "work", "replies", "engine"):
        del kept[name]
    judge = kept["verify"]["judge"]
    for endpoint in (kept["teacher"], kept["scans"], judge and judge["endpoint"]):
        if endpoint:
            del endpoint["base_url"], endpoint["api_key_env"]
    for name in ("benchmarks", "benchmark_questions"):
        kept["pool"][name] = [Path(path).name for path in kept["pool"][name]]
    asking, mixture = kept["asking"], kept["mixture"]
    asking["exemplars"] = asking["exemplars"] and shown_name(asking["exemplars"])
    mixture["tokenizer"] = mixture["tokenizer"] and shown_name(mixture["tokenizer"])
    mixture["short_datasets"] = {shown_name(name): parts for name, parts in mixture["short_datasets"].items()}
    return kept
