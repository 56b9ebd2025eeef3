"""Which PDFs a build starts from, and what is told of them: where they are from and under which licence."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

TOLD = ("url", "license")  # what a list may tell of a PDF beside its path


def find_pdfs(pdfs: str | Path) -> list[dict]:
    """
    The PDFs under a folder, or of a list.

    Args:
        pdfs (`str` or `Path`): A folder, searched with its sub-folders; or a list of paths: .txt (one a line), .jsonl or .parquet
            (field `path`, and `url` and `license` where they are known). Relative paths are relative to the list.

    Returns:
        `list[dict]`: `source` (its name: relative to the folder; or as listed, but without the folders that lead to all of them where
        a path is absolute), `path`, `url` and `license` ("" where not told) of each, sorted by name.

    Raises:
        ValueError: if it is neither, holds no PDF, names one twice, or has a line that names none, tells what is no text or a url with
            a password.
    """
    pdfs = Path(pdfs)
    if pdfs.is_dir():
        found = [p for p in pdfs.rglob("*") if p.suffix.lower() == ".pdf" and p.is_file()]
        if not found:
            raise ValueError(f"no PDF found in {pdfs}, expected at least one file whose name ends in .pdf")
        listed = [{"source": p.relative_to(pdfs).as_posix(), "path": str(p)} | dict.fromkeys(TOLD, "") for p in found]
    else:
        listed = _read_list(pdfs)
        if twice := len(listed) - len({item["source"] for item in listed}):
            raise ValueError(f"{pdfs} names {twice} paths twice, expected each once")
    return sorted(listed, key=lambda item: item["source"])


def _read_list(path: Path) -> list[dict]:
    if not path.is_file():
        raise ValueError(f"{path} is not a folder, nor a list of paths in .txt, .jsonl or .parquet; expected one")
    readers = {".txt": _read_text, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise ValueError(f"{path} ends in {path.suffix!r}, expected .txt, .jsonl or .parquet")
    listed = []
    for number, row in readers[path.suffix](path):
        name = row["path"]
        if not isinstance(name, str) or not name:
            raise ValueError(f"{path}, line {number}: the path is {name!r}, expected the path of a PDF as text")
        listed.append({"source": name, "path": str(path.parent / name)} | _told(row, f"{path}, line {number}"))
    if not listed:
        raise ValueError(f"{path} names no PDF, expected at least one path")
    return _without_home(listed)


def _without_home(listed: list[dict]) -> list[dict]:
    """Names are published, and an absolute path tells of this machine and its users."""
    if not any(os.path.isabs(item["source"]) for item in listed):
        return listed
    paths = [os.path.abspath(item["path"]) for item in listed]
    top = os.path.commonpath([os.path.dirname(path) for path in paths])
    return [item | {"source": os.path.relpath(path, top)} for item, path in zip(listed, paths)]


def _told(row: dict, where: str) -> dict[str, str]:
    """What a line tells of its PDF, in one line of text; null is as good as nothing."""
    told = {field: "" if row.get(field) is None else row[field] for field in TOLD}
    for field, value in told.items():
        if not isinstance(value, str):
            raise ValueError(f"{where}: the {field} is {value!r}, expected text, or no {field} where it is unknown")
    if re.match(r"\w+://[^/?#]*@", told["url"]):
        raise ValueError(
            f"{where}: the url holds an @ before its path, expected one without a user name or password: it is published"
        )
    return {field: " ".join(value.split()) for field, value in told.items()}


def _read_text(path: Path) -> Iterator[tuple[int, dict]]:
    yield from ((number, {"path": line}) for number, line in _read_lines(path))


def _read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number, line) of those that are not empty. Only "\\n" ends one: JSON and names of files may hold other ends of line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not in UTF-8 ({error}); expected a list of paths") from error
    yield from ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())


def _read_jsonl(path: Path) -> Iterator[tuple[int, dict]]:
    for number, line in _read_lines(path):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}, line {number} is no JSON ({error}); expected an object with a path") from error
        if not isinstance(row, dict) or "path" not in row:
            raise ValueError(f'{path}, line {number} has no path; expected an object such as {{"path": "a.pdf"}}')
        yield number, row


def _read_parquet(path: Path) -> Iterator[tuple[int, dict]]:
    try:
        table = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is no Parquet file ({error}); expected one with the column path") from error
    if "path" not in (names := table.schema_arrow.names):
        raise ValueError(f"{path} has the columns {', '.join(names)}; expected a column path")
    columns = [name for name in ("path", *TOLD) if name in names]
    yield from enumerate(table.read(columns=columns).to_pylist(), start=1)
