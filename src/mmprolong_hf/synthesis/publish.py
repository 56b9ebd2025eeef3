"""The last stage of a build: chooses the samples over all documents and writes the dataset."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from .card import card_facts
from .charts import draw_mixture
from .mixture import depth_of
from .output import ROW, VIEWER_BYTES, ShardWriter, write_card, write_documents
from .plan import BuildPlan
from .pool.contamination import Benchmark
from .report import BuildReport
from .sample_lengths import SampleLengths
from .schema import DOCUMENT_FEATURES, ELEMENT_FEATURES, REJECTED_FEATURES
from .selection import COLUMNS, select_samples
from .short_context import open_short, take_short

CHART = "mixture.png"
ASKED_BEFORE = "benchmark_question"


@dataclass(frozen=True)
class BuiltDocument:
    """
    A document that has its row, before the mixture.

    Args:
        source (`str`): Its name.
        doc_id (`str`): sha256 of the file.
        num_pages (`int`): Its pages.
        stem (`Path`): Of its files, without their endings.
        url, license (`str`, *optional*): What the list of PDFs tells of it.
    """

    source: str
    doc_id: str
    num_pages: int
    stem: Path
    url: str = ""
    license: str = ""

    def file(self, ending: str) -> Path:
        """One of its files, which need not be there."""
        return self.stem.with_name(self.stem.name + ending)

    def read(self, *columns: str) -> dict:
        """Columns of its row."""
        return pq.read_table(self.file(ROW), columns=list(columns)).to_pylist()[0]


def publish(
    documents: list[BuiltDocument], folder: Path, plan: BuildPlan, benchmark: Benchmark | None, report: BuildReport
) -> None:
    """
    Write the dataset.

    Rows are ordered by pages, then name; short samples come last, and are all there is where `short_share` is 1. The test
    documents are those with the smallest hashes.

    Args:
        documents (`list[BuiltDocument]`): Everything that may be chosen from.
        folder (`Path`): Empty; gets the dataset.
        plan (`BuildPlan`): What is wanted.
        benchmark (`Benchmark`, *optional*): Whose questions must not be in the set.
        report (`BuildReport`): Gets what was chosen.

    Raises:
        ValueError: if nothing is left to publish.
    """
    documents = sorted(documents, key=lambda d: (d.num_pages, d.source))
    lengths = SampleLengths(family=plan.mixture.processor, tokenizer=plan.mixture.tokenizer)
    table, rows, known = _table(documents, lengths, plan, benchmark)
    selection = select_samples(table, plan.mixture, plan.seed)
    chosen = defaultdict(list)
    for index in selection.indices.tolist():
        chosen[rows[index][0]].append(rows[index][1])
    if not chosen and plan.mixture.short_share < 1:
        raise ValueError(
            f"the mixture takes none of {len(rows)} questions ({dict(selection.left_out)}); change its limits"
        )
    report.mixture = selection.achieved
    report.left_out = dict(sorted((selection.left_out + known).items()))
    report.accepted = [documents[k].source for k in sorted(chosen)]
    for document in (d for k, d in enumerate(documents) if k not in chosen):
        report.rejected[document.source] = ("not_in_mixture", "the mixture took none of its questions")
    test = _test_documents(documents, sorted(chosen), plan)
    short, refused = Counter(), Counter()
    for split in ("train", "test"):
        keys = [k for k in sorted(chosen) if (k in test) == (split == "test")]
        tables = _long_rows([(documents[k], chosen[k]) for k in keys], report)
        if split == "train":
            tables = _with_short(tables, plan, lengths, short, refused, report)
        if number := write_documents(tables, folder, split):
            report.rows[split] = number
    if not report.rows:
        raise ValueError(f"the short datasets have no sample that can be taken ({dict(refused)}); expected some")
    report.short = {**short, **refused}
    _write_parts(documents, set(chosen), folder)
    draw_mixture(table, selection, plan.mixture, folder / CHART, title=Path(plan.output).name)
    write_card(folder, card_facts(report, plan))


def _table(documents: list[BuiltDocument], lengths: SampleLengths, plan: BuildPlan, benchmark: Benchmark | None):
    """The table of all samples, the (document, question) of each of its rows, and what a benchmark asks already."""
    table, rows, known = {name: [] for name in COLUMNS}, [], Counter()
    limit = plan.pool.question_overlap if benchmark and benchmark.questions else None
    for number, document in enumerate(documents):
        row = document.read("page_sizes", "questions")
        for index, item in enumerate(row["questions"]):
            if limit is not None and benchmark.question_overlap(item["question"])[0] >= limit:
                known[ASKED_BEFORE] += 1
                continue
            sample = {
                "document": document.doc_id,
                "question": item["question"],
                "task": item["task"],
                "template": item["template"],
                "depth": depth_of(item["evidence_pages"][0], document.num_pages),
                "tokens": lengths(row["page_sizes"], item["question"], item["answer"]),
                "pages": document.num_pages,
            }
            for name in COLUMNS:
                table[name].append(sample[name])
            rows.append((number, index))
    return table, rows, known


def _test_documents(documents: list[BuiltDocument], chosen: list[int], plan: BuildPlan) -> set[int]:
    def place(k: int) -> bytes:
        return hashlib.sha256(f"{plan.seed} {documents[k].doc_id}".encode()).digest()

    return set(sorted(chosen, key=place)[: round(plan.test_fraction * len(chosen))])


def _long_rows(chosen: list[tuple[BuiltDocument, list[int]]], report: BuildReport) -> Iterator[pa.Table]:
    """Rows with the questions that were chosen, one document in memory at a time."""
    engines, tasks = set(report.engines), Counter(report.questions)
    licenses, languages = Counter(report.licenses), Counter(report.languages)
    for document, indices in chosen:
        row = pq.read_table(document.file(ROW)).to_pylist()[0]
        row |= {"url": document.url, "license": document.license}
        row["questions"] = [row["questions"][index] for index in indices]
        tasks.update(question["task"] for question in row["questions"])
        engines.add(row["engine"])
        licenses[row["license"]] += 1
        languages[row["language"]] += 1
        report.pages += row["num_pages"]
        report.page_tokens += sum(row["page_tokens"])
        table = pa.Table.from_pylist([row], schema=DOCUMENT_FEATURES.arrow_schema)
        if table.nbytes > VIEWER_BYTES:
            report.beyond_viewer.append(document.source)
        yield table
    report.engines, report.questions = sorted(engines), dict(sorted(tasks.items()))
    report.licenses, report.languages = dict(sorted(licenses.items())), dict(sorted(languages.items()))


def _with_short(tables, plan: BuildPlan, lengths, short: Counter, refused: Counter, report) -> Iterator:
    """The long rows, and after them the short ones; what there is too little of is among the report's shortfall."""
    yield from tables
    if not plan.mixture.short_share:
        return
    left = plan.mixture.short_budget(report.mixture["tokens"])
    largest = 1  # less than another sample is no shortfall
    rows = take_short(
        open_short(plan.mixture.short_datasets, plan.seed),
        left,
        lengths=lengths,
        rejected=refused,
        every_turn=plan.mixture.short_every_turn,
    )
    for row, tokens in rows:
        left, largest = left - tokens, max(largest, tokens)
        tasks = Counter(question["task"] for question in row["questions"])
        short.update(tasks)
        report.questions = dict(sorted((Counter(report.questions) + tasks).items()))
        yield pa.Table.from_pylist([row], schema=DOCUMENT_FEATURES.arrow_schema)
    if left >= largest:
        report.mixture["shortfall"]["short_share"] = left


def _write_parts(documents: list[BuiltDocument], chosen: set[int], folder: Path) -> None:
    """Rejected questions of all documents, and the elements of those in the set."""
    for name, features, wanted in (
        ("rejected", REJECTED_FEATURES, range(len(documents))),
        ("elements", ELEMENT_FEATURES, sorted(chosen)),
    ):
        with ShardWriter(folder / name, "train", features.arrow_schema) as writer:
            for k in wanted:
                path = documents[k].file(f".{name}.parquet")
                if path.exists():
                    writer.write(pq.read_table(path))
