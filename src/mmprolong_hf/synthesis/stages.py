"""What the stages of a build do with a shard: scan its PDFs, or make rows of them."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .build_with_models import build_with_models
from .document import Parsed, build_document, parse_document
from .outcomes import rejected_outcome, write_outcome
from .output import ROW, write_table
from .plan import BuildPlan
from .pool.manifest import POOL_SCHEMA
from .pool.options import PoolOptions
from .pool.scan import scan_pdf
from .rejected import RejectedDocument
from .workers import Lost, run_isolated

GIBIBYTE = 2**30


@dataclass(frozen=True)
class ScanSettings:
    """What `scan_shard` needs: the limits of the pool, and those of one process."""

    pool: PoolOptions
    dpi: int
    time_limit: float
    memory_gb: float


@dataclass(frozen=True)
class BuildSettings:
    """What `build_shard` needs: the plan, and the folder for requests if they are exported and not sent."""

    plan: BuildPlan
    export: str | None = None


def scan_shard(items: list, part: Path, settings: ScanSettings, num_proc: int, record: Callable) -> None:
    """The manifest's row of every PDF of a shard, as `engine.Process` wants it."""
    jobs = [(item["path"], item["source"], settings) for _, item in items]
    for (index, _), result in _isolated(_scan, jobs, items, settings, num_proc):
        if isinstance(result, Lost):
            record(index, rejected_outcome(result))
        else:
            write_table([result], POOL_SCHEMA, part / f"{index:05d}{ROW}")
            record(index, {"status": "scanned"})


def build_shard(items: list, part: Path, settings: BuildSettings, num_proc: int, record: Callable) -> None:
    """
    The row of every document of a shard, as `engine.Process` wants it.

    Raises:
        BudgetSpent, EndpointRefused, Unanswered: the run has to stop; what is done is kept.
        Pending: requests were exported; the documents that need them have no outcome yet.
    """
    plan = settings.plan
    if plan.endpoints:
        parsed = _isolated(_parse, [(item, plan) for _, item in items], items, plan.pages, num_proc)
        asyncio.run(build_with_models(parsed, part, plan, settings.export, record))
        return
    jobs = [(item, plan, str(part / f"{index:05d}")) for index, item in items]
    for (index, _), result in _isolated(_build, jobs, items, plan.pages, num_proc):
        record(index, rejected_outcome(result) if isinstance(result, Lost) else result)


def _isolated(function: Callable, jobs: list[tuple], items: list, limits, num_proc: int) -> Iterator[tuple]:
    results = run_isolated(
        function,
        jobs,
        num_proc=num_proc,
        time_limit=limits.time_limit,
        memory_limit=round(limits.memory_gb * GIBIBYTE),
        preload="mmprolong_hf.synthesis.preloaded",
    )
    for job, result in results:
        yield items[job], result


def _scan(path: str, source: str, settings: ScanSettings) -> dict | Lost:
    try:
        return scan_pdf(path, source, dpi=settings.dpi, options=settings.pool)
    except RejectedDocument as rejected:
        return Lost(rejected.reason, rejected.detail)


def _build(item: dict, plan: BuildPlan, stem: str) -> dict | Lost:
    try:
        written = build_document(item["path"], item, plan)
    except RejectedDocument as rejected:
        return Lost(rejected.reason, rejected.detail)
    return write_outcome(written, Path(stem), [])


def _parse(item: dict, plan: BuildPlan) -> Parsed | Lost:
    try:
        return parse_document(item["path"], item, plan)
    except RejectedDocument as rejected:
        return Lost(rejected.reason, rejected.detail)
