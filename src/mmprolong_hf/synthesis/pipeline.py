"""A folder of PDFs in, a dataset folder out."""

import hashlib
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from tqdm.auto import tqdm

from .document import BuildOptions, build_document
from .output import write_card, write_row, write_split
from .rejected import RejectedDocument
from .report import BuildReport, Built, card_facts
from .workers import Lost, run_isolated

REPORT = "build_report.json"
WRITTEN = {"README.md", REPORT, "data", "questions"}  # all that a build leaves, and so all that a rebuild may replace


def build_dataset(
    pdf_folder: str | Path,
    output_folder: str | Path,
    *,
    dpi: int = 144,
    questions_per_document: int = 16,
    seed: int = 0,
    test_fraction: float = 0.0,
    min_pages: int = 1,
    max_pages: int = 200,
    max_pixels: int = 40_000_000,
    min_characters: int = 50,
    kinds: Iterable[str] | None = None,
    num_proc: int = 2,
    time_limit: float = 300.0,
) -> BuildReport:
    """
    Build a question-answer dataset from every PDF under a folder.

    The same files and options give the same rows, whatever `num_proc`. A document that is rejected, or whose process
    dies or hangs, is reported by name and reason and stops nothing else. The folder appears under its name only when
    it is complete; an earlier build there is replaced, any other folder is not touched. Workers are processes that
    import the calling script: call this under `if __name__ == "__main__":`.

    Args:
        pdf_folder (`str` or `Path`): Searched with its sub-folders.
        output_folder (`str` or `Path`): Gets README.md, build_report.json, data/ and questions/.
        dpi (`int`, *optional*, defaults to `144`): Pixels per inch of the page images.
        questions_per_document (`int`, *optional*, defaults to `16`): At most so many are kept.
        seed (`int`, *optional*, defaults to `0`): Of everything that is chosen.
        test_fraction (`float`, *optional*, defaults to `0.0`): Part of the documents that goes to the test split.
        min_pages (`int`, *optional*, defaults to `1`): Shorter documents are rejected.
        max_pages (`int`, *optional*, defaults to `200`): Longer documents are rejected.
        max_pixels (`int`, *optional*, defaults to `40_000_000`): Documents with a larger page image are rejected.
        min_characters (`int`, *optional*, defaults to `50`): Mean characters on a page below which a document is rejected.
        kinds (`Iterable[str]`, *optional*): Only these kinds of question, see `questions.known_kinds`.
        num_proc (`int`, *optional*, defaults to `2`): Documents at a time.
        time_limit (`float`, *optional*, defaults to `300.0`): Seconds for one document.

    Returns:
        `BuildReport`: Counts, rejections by name, speed; `print` it.

    Raises:
        ValueError: if there is no PDF, if all are rejected, if `output_folder` holds something else, or for a bad option.
    """
    started = time.perf_counter()
    options = BuildOptions(
        dpi, questions_per_document, seed, min_pages, max_pages, max_pixels, min_characters,
        None if kinds is None else tuple(kinds),
    )  # fmt: skip
    if not 0.0 <= test_fraction < 1.0:
        raise ValueError(f"test_fraction is {test_fraction}, expected at least 0 and less than 1")
    names = find_pdfs(pdf_folder)
    output, partial = _prepare(Path(pdf_folder), Path(output_folder))
    report = BuildReport(str(output), options=asdict(options))
    built = _build_all(Path(pdf_folder), names, partial / "work", options, num_proc, time_limit, report)
    _write(built, partial, seed, test_fraction, report)
    report.seconds = round(time.perf_counter() - started, 3)
    (partial / REPORT).write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")
    if output.exists():
        shutil.rmtree(output)
    partial.rename(output)
    return report


def find_pdfs(folder: str | Path) -> list[str]:
    """
    Names of all PDFs under a folder, relative to it, sorted.

    Args:
        folder (`str` or `Path`): Searched with its sub-folders.

    Raises:
        ValueError: if it is no folder or holds no PDF.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder, expected one that holds PDF files")
    names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.suffix.lower() == ".pdf" and p.is_file()]
    if not names:
        raise ValueError(f"no PDF found in {folder}, expected at least one file whose name ends in .pdf")
    return sorted(names)


def _prepare(pdfs: Path, output: Path) -> tuple[Path, Path]:
    output, pdfs = output.resolve(), pdfs.resolve()
    if output == pdfs or output in pdfs.parents:
        raise ValueError(f"{output} holds the PDFs themselves ({pdfs}); name an output folder apart from them")
    if output.exists() and not output.is_dir():
        raise ValueError(f"{output} is a file, expected a folder to write")
    names = {path.name for path in output.iterdir()} if output.exists() else set()
    if names and (REPORT not in names or names - WRITTEN):
        raise ValueError(
            f"{output} holds something that is not of an earlier build ({', '.join(sorted(names - WRITTEN)[:3])}); name a new or "
            "empty folder"
        )
    partial = output.with_name(f".{output.name}.partial")
    if partial.exists():
        shutil.rmtree(partial)
    (partial / "work").mkdir(parents=True)
    return output, partial


def _build_all(folder: Path, names: list[str], work: Path, options, num_proc, time_limit, report) -> dict[str, Built]:
    jobs = [(folder / name, name, work / f"{k:08d}.parquet", options) for k, name in enumerate(names)]
    built = {}
    results = run_isolated(
        _build_one, jobs, num_proc=num_proc, time_limit=time_limit, preload="mmprolong_hf.synthesis.pipeline"
    )
    with tqdm(total=len(jobs), unit="PDF", desc="building") as bar:
        for index, result in results:
            if isinstance(result, Built):
                built[names[index]] = result
                report.pages += result.num_pages
            else:
                report.rejected[names[index]] = (result.reason, result.detail)
                tqdm.write(
                    f"rejected {names[index]}: {result.reason}: {result.detail}", file=sys.stderr
                )  # writes any name
            bar.update()
            bar.set_postfix_str(f"{report.pages} pages, {len(report.rejected)} rejected")
    first = {}
    for name in sorted(built):
        twin = first.setdefault(built[name].doc_id, name)
        if twin != name:
            report.rejected[name] = ("duplicate", f"it is the same file as {twin}")
            report.pages -= built.pop(name).num_pages
    report.rejected = dict(sorted(report.rejected.items()))
    if not built:
        reasons = "\n".join(f"  {name}: {reason}: {detail}" for name, (reason, detail) in report.rejected.items())
        shutil.rmtree(work.parent)
        raise ValueError(f"all {len(names)} PDFs in {folder} were rejected:\n{reasons}")
    return {name: built[name] for name in names if name in built}


def _build_one(path: Path, name: str, target: Path, options: BuildOptions) -> Built | Lost:
    try:
        row, dropped = build_document(path, name, options)
    except RejectedDocument as rejected:
        return Lost(rejected.reason, rejected.detail)
    write_row(row, target)
    tasks = Counter(q["task"] for q in row["questions"])
    return Built(
        file=str(target),
        doc_id=row["doc_id"],
        num_pages=row["num_pages"],
        num_tokens=sum(row["page_tokens"]),
        tasks=dict(tasks),
        dropped=dict(dropped),
        engine=row["engine"],
    )


def _write(built: dict[str, Built], partial: Path, seed: int, test_fraction: float, report: BuildReport) -> None:
    """Rows are ordered by pages, then name; the test documents are those with the smallest hashes."""
    order = sorted(built, key=lambda name: (built[name].num_pages, name))
    by_hash = sorted(built, key=lambda name: hashlib.sha256(f"{seed} {built[name].doc_id}".encode()).digest())
    test = set(by_hash[: round(test_fraction * len(built))])
    for split, names in (("train", [n for n in order if n not in test]), ("test", [n for n in order if n in test])):
        if names:
            write_split([Path(built[name].file) for name in names], partial, split)
            report.rows[split] = len(names)
    shutil.rmtree(partial / "work")
    report.accepted = order
    report.questions = dict(sorted(sum((Counter(b.tasks) for b in built.values()), Counter()).items()))
    report.dropped_questions = dict(sorted(sum((Counter(b.dropped) for b in built.values()), Counter()).items()))
    report.page_tokens = sum(b.num_tokens for b in built.values())
    report.engines = sorted({b.engine for b in built.values()})
    write_card(partial, list(report.rows), card_facts(report))
