"""What the stages of a build do with a shard: scan its PDFs, or make rows of them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from .document import (
    Checked,
    Parsed,
    Written,
    ask_rules,
    build_document,
    check_rules,
    parse_document,
    with_text,
    write_document,
)
from .elements import Page
from .endpoint import (
    BatchExport,
    Budget,
    BudgetSpent,
    Endpoint,
    EndpointOptions,
    EndpointRefused,
    Pending,
    ReplyCache,
)
from .output import ROW, write_table
from .plan import BuildPlan
from .pool.manifest import POOL_SCHEMA
from .pool.options import PoolOptions
from .pool.scan import scan_pdf
from .questions import Candidate
from .rejected import RejectedDocument
from .scans import transcribe
from .schema import DOCUMENT_FEATURES, ELEMENT_FEATURES, REJECTED_FEATURES
from .teacher.asking import gather_all
from .teacher.model import ask_model
from .verification import examine, failed
from .workers import Lost, run_isolated

GIBIBYTE = 2**30
# A request that failed so was not answered because of the server; any other, because of what was asked
SERVER_FAULTS = (
    "unreachable",
    "timed_out",
    "cut",
    "unreadable",
    "http_404",
    "http_408",
    "http_409",
    "http_429",
    "http_5",
)
UNANSWERED_IN_A_ROW = 3  # documents after which the server is taken to be gone
DOCUMENTS_AT_ONCE = 4  # in memory with all their page images, while models answer


class Unanswered(Exception):
    """The models' servers failed for some documents, which have no outcome; the same build asks again, only what is missing."""


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
            record(index, _rejected(result))
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
        asyncio.run(_ask_models(items, part, settings, num_proc, record))
        return
    jobs = [(item, plan, str(part / f"{index:05d}")) for index, item in items]
    for (index, _), result in _isolated(_build, jobs, items, plan.pages, num_proc):
        record(index, _rejected(result) if isinstance(result, Lost) else result)


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
    return _write(written, Path(stem), [])


def _parse(item: dict, plan: BuildPlan) -> Parsed | Lost:
    try:
        return parse_document(item["path"], item, plan)
    except RejectedDocument as rejected:
        return Lost(rejected.reason, rejected.detail)


def _rejected(lost: Lost) -> dict:
    return {"status": "rejected", "reason": lost.reason, "detail": lost.detail}


def _write(written: Written, stem: Path, failures: list[dict]) -> dict:
    """The files of a document, and the outcome that stands for them."""
    write_table([written.row], DOCUMENT_FEATURES.arrow_schema, stem.with_name(f"{stem.name}{ROW}"))
    for rows, features, name in (
        (written.rejected, REJECTED_FEATURES, "rejected"),
        (written.elements, ELEMENT_FEATURES, "elements"),
    ):
        if rows:
            write_table(rows, features.arrow_schema, stem.with_name(f"{stem.name}.{name}.parquet"))
    row = written.row
    return {
        "status": "built",
        "num_pages": row["num_pages"],
        "num_tokens": sum(row["page_tokens"]),
        "engine": row["engine"],
        "dropped": dict(sorted(written.dropped.items())),
        "failures": failures,
    }


async def _ask_models(items: list, part: Path, settings: BuildSettings, num_proc: int, record: Callable) -> None:
    """
    Documents are read in processes while models answer about others; one that is done leaves its outcome at once.

    When the run has to stop, documents under way are finished as far as they can be: what they asked is paid for.
    """
    plan = settings.plan
    parsed = _isolated(_parse, [(item, plan) for _, item in items], items, plan.pages, num_proc)
    room = asyncio.Semaphore(DOCUMENTS_AT_ONCE)
    tasks: set[asyncio.Task] = set()
    pending: list[Pending] = []
    stops: list[BudgetSpent | EndpointRefused] = []
    unanswered: list[str] = []
    in_a_row = 0

    async def finish(index: int, document: Parsed, models: dict) -> None:
        nonlocal in_a_row
        try:
            record(index, await _ask_about(document, plan, models, part / f"{index:05d}"))
            in_a_row = 0
        except RejectedDocument as rejected:
            record(index, _rejected(Lost(rejected.reason, rejected.detail)))
        except Unanswered as error:
            unanswered.append(f"{document.name}: {error}")
            in_a_row += 1
        except Pending as request:
            pending.append(request)
        except (BudgetSpent, EndpointRefused) as error:
            stops.append(error)
        finally:
            room.release()

    async with _open_models(settings) as models:
        while not stops and in_a_row < UNANSWERED_IN_A_ROW:
            await room.acquire()
            found = await asyncio.to_thread(next, parsed, None)
            if found is None:
                break
            (index, _), document = found
            if isinstance(document, Lost):
                record(index, _rejected(document))
                room.release()
            else:
                tasks.add(task := asyncio.create_task(finish(index, document, models)))
                task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
    parsed.close()
    if stops:
        raise stops[0]
    if unanswered:
        raise Unanswered(
            f"the server of a model failed for {len(unanswered)} documents, which are not done; the last is {unanswered[-1]}"
        )
    if pending:
        raise Pending(f"{len(pending)} documents wait for replies")


@asynccontextmanager
async def _open_models(settings: BuildSettings) -> AsyncIterator[dict[str, Endpoint | BatchExport]]:
    plan = settings.plan
    replies, budget = ReplyCache(plan.replies_file), Budget(plan.max_usd, plan.replies_file)
    asked: dict[str, EndpointOptions | None] = {
        "teacher": plan.teacher,
        "judge": plan.verify.judge and plan.verify.judge.endpoint,
        "scans": plan.scans,
    }
    try:
        async with AsyncExitStack() as stack:
            models = {}
            for name, options in asked.items():
                if options and settings.export:
                    model = BatchExport(options, replies, budget, Path(settings.export) / name)
                    models[name] = await stack.enter_async_context(model)
                elif options:
                    models[name] = await stack.enter_async_context(Endpoint(options, replies, budget))
            yield models
    finally:
        budget.close()
        replies.close()


async def _ask_about(document: Parsed, plan: BuildPlan, models: dict, stem: Path) -> dict:
    """
    Everything about one document: its text if it is a scan, its questions, their verdicts, its files.

    Raises:
        Unanswered: if a server failed for it the first time; the second time its failures are counted, and what came is used.
    """
    unread: dict[int, str] = {}
    if "scans" in models and document.is_scanned(plan.pool.min_characters):
        transcript = await transcribe(models["scans"], document.source, min_characters=plan.pool.min_characters)
        document, unread = with_text(document, transcript.source), dict(transcript.failed)
    candidates = ask_rules(document, plan)
    failures = [{"reason": "page_not_transcribed", "detail": f"page {k}: {v}"} for k, v in unread.items()]
    faults = [problem for problem in unread.values() if problem.startswith(SERVER_FAULTS)]
    if "teacher" in models:
        asked, missing = await ask_model(
            models["teacher"],
            document.source,
            document.structure,
            doc_seed=document.seed(plan),
            tasks=plan.asking.tasks,
            options=plan.asking,
        )
        candidates += asked
        failures += [{"reason": f.reason, "detail": f"{f.task}, pages {f.segment}: {f.detail}"} for f in missing]
        faults += [f"{f.reason}: {f.detail}" for f in missing if f.reason.startswith(SERVER_FAULTS)]
    _stop_at_first(faults, stem)
    checked = check_rules(document, candidates)
    if "judge" in models:
        checked = await _judge(models["judge"], checked, document.source.pages, plan)
        unsure = [v for _, verdicts in checked for v in verdicts.values() if v.value == "unchecked"]
        _stop_at_first([str(v) for v in unsure if v.reason.startswith(SERVER_FAULTS)], stem)
    try:
        return _write(write_document(document, checked, plan), stem, failures)
    except RejectedDocument as rejected:
        return _rejected(Lost(rejected.reason, rejected.detail)) | {"failures": failures}


def _stop_at_first(faults: list[str], stem: Path) -> None:
    """A server that fails once may be mended; one that fails again for the same document stops no build for ever."""
    mark = stem.with_name(f"{stem.name}.unanswered")
    if faults and not mark.exists():
        mark.touch()
        raise Unanswered(faults[-1])


async def _judge(judge: Endpoint | BatchExport, checked: list, pages: tuple[Page, ...], plan: BuildPlan) -> list:
    """Adds the judge's verdicts to those questions that nothing speaks against yet: it is paid by the question."""
    examined = [
        examine(judge, candidate, _shown(candidate, pages), plan.verify.judge)
        for candidate, verdicts in checked
        if not failed(verdicts, plan.verify.require)
    ]
    found = iter(await gather_all(examined))
    return [
        Checked(candidate, verdicts if failed(verdicts, plan.verify.require) else verdicts | next(found))
        for candidate, verdicts in checked
    ]


def _shown(candidate: Candidate, pages: tuple[Page, ...]) -> dict[int, bytes]:
    """The images of a question's segment."""
    first, last = candidate.question.segment or (1, len(pages))
    return {page.number: page.image for page in pages[first - 1 : last]}
