"""Which PDFs a build starts from."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def find_pdfs(pdfs: str | Path) -> list[dict]:
    """
    The PDFs under a folder, or of a list.

    Args:
        pdfs (`str` or `Path`): A folder, searched with its sub-folders; or a list of paths: .txt (one a line), .jsonl or .parquet
            (field `path`). Relative paths are relative to the list.

    Returns:
        `list[dict]`: `source` (its name: relative to the folder, or as listed) and `path` of each, sorted by name.

    Raises:
        ValueError: if it is neither, holds no PDF, names one twice, or has a line that names none.
    """
    pdfs = Path(pdfs)
    if pdfs.is_dir():
        found = [p for p in pdfs.rglob("*") if p.suffix.lower() == ".pdf" and p.is_file()]
        if not found:
            raise ValueError(f"no PDF found in {pdfs}, expected at least one file whose name ends in .pdf")
        names = {path.relative_to(pdfs).as_posix(): path for path in found}
    else:
        listed = _read_list(pdfs)
        names = {name: pdfs.parent / name for name in listed}
        if len(names) < len(listed):
            raise ValueError(f"{pdfs} names {len(listed) - len(names)} paths twice, expected each once")
    return [{"source": name, "path": str(names[name])} for name in sorted(names)]


def _read_list(path: Path) -> list[str]:
    if not path.is_file():
        raise ValueError(f"{path} is not a folder, nor a list of paths in .txt, .jsonl or .parquet; expected one")
    readers = {".txt": _read_lines, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise ValueError(f"{path} ends in {path.suffix!r}, expected .txt, .jsonl or .parquet")
    names = []
    for number, name in readers[path.suffix](path):
        if not isinstance(name, str) or not name:
            raise ValueError(f"{path}, line {number}: the path is {name!r}, expected the path of a PDF as text")
        names.append(name)
    if not names:
        raise ValueError(f"{path} names no PDF, expected at least one path")
    return names


def _read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number, line) of those that are not empty. Only "\\n" ends one: JSON and names of files may hold other ends of line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not in UTF-8 ({error}); expected a list of paths") from error
    yield from ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())


def _read_jsonl(path: Path) -> Iterator[tuple[int, object]]:
    for number, line in _read_lines(path):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}, line {number} is no JSON ({error}); expected an object with a path") from error
        if not isinstance(row, dict) or "path" not in row:
            raise ValueError(f'{path}, line {number} has no path; expected an object such as {{"path": "a.pdf"}}')
        yield number, row["path"]


def _read_parquet(path: Path) -> Iterator[tuple[int, object]]:
    try:
        table = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is no Parquet file ({error}); expected one with the column path") from error
    if "path" not in (names := table.schema_arrow.names):
        raise ValueError(f"{path} has the columns {', '.join(names)}; expected a column path")
    yield from enumerate(table.read(columns=["path"])["path"].to_pylist(), start=1)
