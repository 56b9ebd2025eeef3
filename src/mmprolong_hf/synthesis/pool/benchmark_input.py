"""What a benchmark consists of: its PDFs and its questions."""

import json
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq


def benchmark_files(paths: Iterable[str | Path]) -> list[Path]:
    """
    The PDFs that `PoolOptions.benchmarks` names, to be scanned with `PoolOptions.for_benchmarks`.

    Args:
        paths (`Iterable[str | Path]`): PDFs, and folders that are searched with their sub-folders.

    Raises:
        ValueError: for a path that does not exist, or a folder without a PDF.
    """
    files = []
    for path in map(Path, paths):
        found = (
            [path] if path.is_file() else [p for p in path.rglob("*") if p.suffix.lower() == ".pdf" and p.is_file()]
        )
        if not found:
            raise ValueError(f"benchmarks names {path}, expected a PDF or a folder that holds some")
        files += found
    return sorted(set(files))


def read_questions(path: str | Path) -> list[str]:
    """
    The questions of a benchmark.

    Args:
        path (`str` or `Path`): .txt (one question a line), .jsonl or .parquet (field `question`).

    Raises:
        ValueError: for another kind of file, or one without the field.
    """
    path = Path(path)
    if path.suffix == ".txt":
        rows = [{"question": line} for line in path.read_text(encoding="utf-8").splitlines()]
    elif path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    elif path.suffix == ".parquet":
        rows = pq.read_table(path).to_pylist()
    else:
        raise ValueError(f"benchmark_questions names {path}, expected a name ending in .txt, .jsonl or .parquet")
    for number, row in enumerate(rows, 1):
        if "question" not in row:
            raise ValueError(f"row {number} of {path} has the fields {', '.join(row)}; expected a field 'question'")
    return [row["question"].strip() for row in rows if row["question"].strip()]
