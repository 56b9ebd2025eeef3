"""A checkpoint is whole or it is none: a marker written last, files moved when they are done, room on the disk, one mind of all ranks."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from accelerate.utils import gather_object
from torch.distributed.checkpoint.api import CheckpointException

MARKER = "complete.json"  # the last file of a checkpoint: every other one and its size in bytes
# What a reader of a checkpoint looks for first, and so what comes last
CONFIGS = ("config.json", "adapter_config.json")


def mark_complete(folder: str | Path) -> None:
    """
    Puts every file of a checkpoint on the disk, and then the marker that says so.

    Example:

    ```python
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "model.safetensors").write_bytes(b"weights")
    >>> why_incomplete(folder)
    'has no complete.json, the last file that is written'
    >>> mark_complete(folder)
    >>> why_incomplete(folder) is None
    True
    >>> _ = (folder / "model.safetensors").write_bytes(b"we")
    >>> why_incomplete(folder)
    'holds 2 bytes of model.safetensors instead of 7'

    ```
    """
    folder = Path(folder)
    _sync(folder)
    sizes = {str(file.relative_to(folder)): file.stat().st_size for file in _files(folder)}
    partial = folder / f"{MARKER}.partial"
    partial.write_text(json.dumps(sizes, indent=1) + "\n", encoding="utf-8")
    _sync(partial)
    os.replace(partial, folder / MARKER)
    _sync_names(folder)
    _sync_names(folder.parent)


def why_incomplete(folder: str | Path) -> str | None:
    """What a checkpoint lacks, in words; `None` for a complete one."""
    folder = Path(folder)
    if not (folder / MARKER).is_file():
        return f"has no {MARKER}, the last file that is written"
    for name, size in _sizes(folder).items():
        if not (folder / name).is_file():
            return f"has no {name}"
        if (found := (folder / name).stat().st_size) != size:
            return f"holds {found} bytes of {name} instead of {size}"
    return None


def checkpoints(output_dir: str | Path) -> list[Path]:
    """The folders `checkpoint-N` in a folder, complete or not, by step."""
    found = [path for path in Path(output_dir).glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]
    return sorted(found, key=lambda path: int(path.name.split("-")[1]))


def last_complete(output_dir: str | Path) -> tuple[Path | None, list[str]]:
    """
    Returns:
        `tuple[Path | None, list[str]]`: The complete checkpoint of the highest step, and what is wrong with those after it.
    """
    passed_over = []
    for folder in reversed(checkpoints(output_dir)):
        reason = why_incomplete(folder)
        if reason is None:
            return folder, passed_over
        passed_over.append(f"{folder} {reason}")
    return None, passed_over


def num_bytes(folder: str | Path) -> int:
    """Bytes of a complete checkpoint's files, from its marker."""
    return sum(_sizes(Path(folder)).values())


def remove(folder: str | Path) -> None:
    """Deletes a checkpoint, its marker first: what is left of it when this is cut short is not complete."""
    Path(folder, MARKER).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def rotate(output_dir: str | Path, limit: int | None, best: str | None) -> None:
    """
    Deletes the complete checkpoints that were written longest ago until `limit` are left, never the latest nor the best one.

    Args:
        output_dir (`str` or `Path`): Where the checkpoints are.
        limit (`int` or `None`): Most that are kept; all of them if `None` or 0.
        best (`str` or `None`): The best one so far.
    """
    complete = [folder for folder in checkpoints(output_dir) if why_incomplete(folder) is None]
    complete.sort(key=lambda folder: (folder / MARKER).stat().st_mtime_ns)
    kept = {complete[-1]} | ({Path(best)} if best is not None else set())
    surplus = len(complete) - max(limit, len(kept)) if limit else 0
    for folder in [folder for folder in complete if folder not in kept][: max(surplus, 0)]:
        remove(folder)


def check_room(folder: str | Path, needed: int, purpose: str) -> None:
    """
    Args:
        folder (`str` or `Path`): Where something is about to be written; it need not exist yet.
        needed (`int`): Bytes.
        purpose (`str`): What they are for, as the error says it.

    Raises:
        ValueError: when its disk has less room.

    Example:

    ```python
    >>> check_room("no/such/folder/yet", 10**18, "3 checkpoints")
    Traceback (most recent call last):
    ...
    ValueError: no/such/folder/yet has room for ... GB, but 3 checkpoints take 1,000,000,000.00 GB; ...

    ```
    """
    folder = Path(folder)
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise ValueError(
            f"{folder} has room for {free / 1e9:,.2f} GB, but {purpose} take {needed / 1e9:,.2f} GB; free some, name an "
            "output_dir on a larger disk, or keep fewer checkpoints (save_total_limit, save_steps)"
        )


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """
    A folder to write a model's files into. Those of the checkpoint that `folder` was before go, and the new ones come, only
    when all of them are on the disk; the config comes last, without which nothing loads.
    """
    staged = folder / "incomplete"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    yield staged
    _sync(staged)
    for old in (*(folder / name for name in CONFIGS), *folder.glob("*.safetensors*")):
        old.unlink(missing_ok=True)
    _sync_names(folder)
    for file in sorted(staged.iterdir(), key=lambda file: (file.name in CONFIGS, file.name)):
        os.replace(file, folder / file.name)
    staged.rmdir()
    _sync_names(folder)


@contextmanager
def raised_on_all_ranks(doing: str) -> Iterator[None]:
    """
    Ranks go on together or end together: an error on one is raised on all, where the others would wait for it.

    Args:
        doing (`str`): What was being done, with which the message begins.

    Raises:
        ValueError: on every rank, when one raised a `ValueError`.
        RuntimeError: on every rank, when one raised another exception.
    """
    error, text = None, None
    try:
        yield
    except CheckpointException as caught:  # torch's ranks have told each other already, with tracebacks
        error, text = caught, "; ".join(f"rank {rank}: {cause}" for rank, (cause, _) in caught.failures.items())
    except Exception as caught:  # whatever it is, the others have to hear of it
        error, text = caught, str(caught)
    mine = None if error is None else (isinstance(error, ValueError), f"{doing}: {text}")
    failed = [message for message in gather_object([mine]) if message is not None]
    if failed:
        is_value_error, text = failed[0]
        raise (ValueError if is_value_error else RuntimeError)(text) from error


def _sizes(folder: Path) -> dict[str, int]:
    return json.loads((folder / MARKER).read_text(encoding="utf-8"))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MARKER)


def _sync(path: Path) -> None:
    """Has the system put a file, or all files in a folder, on the disk; until then a crash of the node loses them."""
    for file in _files(path) if path.is_dir() else [path]:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())


def _sync_names(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
