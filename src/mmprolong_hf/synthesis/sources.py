"""Which PDFs a build starts from."""

import json
from pathlib import Path

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
        ValueError: if it is neither, holds no PDF, or names one twice.
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
    if path.suffix == ".parquet":
        names = pq.read_table(path, columns=["path"])["path"].to_pylist()
    elif path.suffix in (".txt", ".jsonl"):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        names = [json.loads(line)["path"] for line in lines] if path.suffix == ".jsonl" else lines
    else:
        raise ValueError(f"{path} ends in {path.suffix!r}, expected .txt, .jsonl or .parquet")
    if not names:
        raise ValueError(f"{path} names no PDF, expected at least one path")
    return names
