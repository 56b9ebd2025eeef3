"""Rows of documents that models are asked about: as a teacher, as a judge, or to read scans."""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .document import Checked, Parsed, ask_rules, check_rules, with_text, write_document
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
from .outcomes import rejected_outcome, write_outcome
from .plan import BuildPlan
from .rejected import RejectedDocument
from .scans import transcribe
from .teacher.asking import gather_all
from .teacher.model import ask_model
from .verification import examine, failed, shown_pages
from .workers import Lost

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


@dataclass
class _Undone:
    """Why documents have no outcome."""

    stops: list[BudgetSpent | EndpointRefused] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    in_a_row: int = 0
    num_pending: int = 0

    @contextmanager
    def noted(self, name: str) -> Iterator[None]:
        """A document's turn."""
        try:
            yield
            self.in_a_row = 0
        except Unanswered as error:
            self.unanswered.append(f"{name}: {error}")
            self.in_a_row += 1
        except Pending:
            self.num_pending += 1
        except (BudgetSpent, EndpointRefused) as error:
            self.stops.append(error)

    @property
    def stops_the_run(self) -> bool:
        return bool(self.stops) or self.in_a_row >= UNANSWERED_IN_A_ROW

    def raise_first(self) -> None:
        if self.stops:
            raise self.stops[0]
        if self.unanswered:
            raise Unanswered(
                f"the server of a model failed for {len(self.unanswered)} documents, which are not done; the last is "
                f"{self.unanswered[-1]}"
            )
        if self.num_pending:
            raise Pending(f"{self.num_pending} documents wait for replies")


async def build_with_models(
    parsed: Generator[tuple[tuple[int, dict], Parsed | Lost], None, None],
    part: Path,
    plan: BuildPlan,
    export: str | None,
    record: Callable,
) -> None:
    """
    Ask about documents while others are being read; one that is done leaves its outcome at once.

    When the run has to stop, documents under way are finished as far as they can be: what they asked is paid for.

    Args:
        parsed (`Generator`): ((index, item), document) as documents are read; a [`Lost`] for one that cannot be. It is closed.
        part (`Path`): Folder for their files.
        plan (`BuildPlan`): Which models, and what they are asked.
        export (`str` or `None`): Folder for the models' requests, if they are exported and not sent.
        record (`Callable`): Takes the index of a document and its outcome.

    Raises:
        BudgetSpent, EndpointRefused, Unanswered: the run has to stop; what is done is kept.
        Pending: requests were exported; the documents that need them have no outcome yet.
    """
    room = asyncio.Semaphore(DOCUMENTS_AT_ONCE)
    tasks: set[asyncio.Task] = set()
    undone = _Undone()

    async def finish(index: int, document: Parsed, models: dict) -> None:
        try:
            with undone.noted(document.name):
                record(index, await _ask_about(document, plan, models, part / f"{index:05d}"))
        except RejectedDocument as rejected:
            record(index, rejected_outcome(Lost(rejected.reason, rejected.detail)))
        finally:
            room.release()

    async with _open_models(plan, export) as models:
        while not undone.stops_the_run:
            await room.acquire()
            found = await asyncio.to_thread(next, parsed, None)
            if found is None:
                break
            (index, _), document = found
            if isinstance(document, Lost):
                record(index, rejected_outcome(document))
                room.release()
            else:
                tasks.add(task := asyncio.create_task(finish(index, document, models)))
                task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
    parsed.close()
    undone.raise_first()


@asynccontextmanager
async def _open_models(plan: BuildPlan, export: str | None) -> AsyncIterator[dict[str, Endpoint | BatchExport]]:
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
                if options and export:
                    model = BatchExport(options, replies, budget, Path(export) / name)
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
        return write_outcome(write_document(document, checked, plan), stem, failures)
    except RejectedDocument as rejected:
        return rejected_outcome(Lost(rejected.reason, rejected.detail)) | {"failures": failures}


def _stop_at_first(faults: list[str], stem: Path) -> None:
    """A server that fails once may be mended; one that fails again for the same document stops no build for ever."""
    mark = stem.with_name(f"{stem.name}.unanswered")
    if faults and not mark.exists():
        mark.touch()
        raise Unanswered(faults[-1])


async def _judge(judge: Endpoint | BatchExport, checked: list, pages: tuple[Page, ...], plan: BuildPlan) -> list:
    """Adds the judge's verdicts to those questions that nothing speaks against yet: it is paid by the question."""
    examined = [
        examine(
            judge,
            candidate,
            {number: pages[number - 1].image for number in shown_pages(candidate.question, len(pages))},
            plan.verify.judge,
        )
        for candidate, verdicts in checked
        if not failed(verdicts, plan.verify.require)
    ]
    found = iter(await gather_all(examined))
    return [
        Checked(candidate, verdicts if failed(verdicts, plan.verify.require) else verdicts | next(found))
        for candidate, verdicts in checked
    ]
