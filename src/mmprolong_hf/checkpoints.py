"""A checkpoint is whole or it is none: a marker written last, files moved when they are done, room on the disk, one mind of all ranks."""

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from accelerate.utils import gather_object
from torch.distributed.checkpoint.api import CheckpointException

# The last file of a checkpoint: when it was written, in ns since 1970, and every other file and its size in bytes
MARKER = "complete.json"
# What a reader of a checkpoint looks for first, and so what comes last
CONFIGS = ("config.json", "adapter_config.json")


def mark_complete(folder: str | Path) -> None:
    """
    Puts every file of a checkpoint on the disk, and then the marker that says so. One rank calls it when all have written, and
    marks what it sees: several nodes need one file system.

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
    # Later than the ones before it, also by the clock of another node
    written = max([time.time_ns(), *(_written(other) + 1 for other in complete(folder.parent))])
    partial = folder / f"{MARKER}.partial"
    partial.write_text(json.dumps({"written": written, "files": sizes}, indent=1) + "\n", encoding="utf-8")
    _sync(partial)
    os.replace(partial, folder / MARKER)
    _sync_names(folder)
    _sync_names(folder.parent)


def why_incomplete(folder: str | Path) -> str | None:
    """What a checkpoint lacks, in words; `None` for a complete one."""
    folder = Path(folder)
    if not (folder / MARKER).is_file():
        return f"has no {MARKER}, the last file that is written"
    try:
        sizes = _read(folder)["files"]
    except (ValueError, KeyError):
        return f"has a {MARKER} that is empty or cut short"
    for name, size in sizes.items():
        if not (folder / name).is_file():
            return f"has no {name}"
        if (found := (folder / name).stat().st_size) != size:
            return f"holds {found} bytes of {name} instead of {size}"
    return None


def checkpoints(output_dir: str | Path) -> list[Path]:
    """The folders `checkpoint-N` in a folder, complete or not, by step."""
    found = [path for path in Path(output_dir).glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]
    return sorted(found, key=lambda path: int(path.name.split("-")[1]))


def complete(output_dir: str | Path) -> list[Path]:
    """The complete checkpoints in a folder, the one that was written last at the end; a run before may have come to higher steps."""
    return sorted((path for path in checkpoints(output_dir) if why_incomplete(path) is None), key=_written)


def last_complete(output_dir: str | Path) -> tuple[Path | None, list[str]]:
    """
    Returns:
        `tuple[Path | None, list[str]]`: The complete checkpoint that was written last, and what is wrong with those that are
        not complete.
    """
    reasons = {folder: why_incomplete(folder) for folder in checkpoints(output_dir)}
    passed_over = [f"{folder} {reason}" for folder, reason in reasons.items() if reason is not None]
    return next(reversed(complete(output_dir)), None), passed_over


def num_bytes(folder: str | Path) -> int:
    """Bytes of a complete checkpoint's files, from its marker."""
    return sum(_read(Path(folder))["files"].values())


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
        best (`str` or `None`): The best one so far. Its name alone counts: a run that is resumed may name the folder in another
            way, or have been moved.
    """
    found = complete(output_dir)
    kept = {found[-1]} | {folder for folder in found if best is not None and folder.name == Path(best).name}
    surplus = len(found) - max(limit, len(kept)) if limit else 0
    for folder in [folder for folder in found if folder not in kept][: max(surplus, 0)]:
        remove(folder)


def check_room(folder: str | Path, needed: int, purpose: str) -> None:
    """
    Args:
        folder (`str` or `Path`): Where something is about to be written; it need not exist yet.
        needed (`int`): Bytes.
        purpose (`str`): What they are for, as the error says it.

    Raises:
        ValueError: when nothing can be written there, or its disk has less room.

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
    try:
        with tempfile.TemporaryFile(dir=existing) as probe:
            probe.write(b"1")
    except OSError as error:
        raise ValueError(f"{folder} cannot be written to ({error}); name an output_dir that can") from error
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise ValueError(
            f"{folder} has room for {free / 1e9:,.2f} GB, but {purpose} take {needed / 1e9:,.2f} GB; free some, name an "
            "output_dir on a larger disk, or keep fewer checkpoints (save_total_limit, save_steps)"
        )


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """
    A folder to write a model's files and folders into. Those of the checkpoint that `folder` was before go, and the new ones
    come, only when all of them are on the disk; the config comes last, without which nothing loads.
    """
    staged, replaced = folder / "incomplete", folder / "replaced"
    for temporary in (staged, replaced):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    yield staged
    _sync(staged)
    new = sorted(staged.iterdir(), key=lambda path: (path.name in CONFIGS, path.name))
    weights = [path.name for path in folder.glob("*.safetensors*")]
    # Moved, not deleted: that cannot fail half-way, and a folder takes the place of no other that holds something
    for name in dict.fromkeys([*CONFIGS, *weights, *(path.name for path in new)]):
        if (folder / name).exists():
            (folder / name).rename(replaced / name)
    _sync_names(folder)
    for path in new:
        os.replace(path, folder / path.name)
    staged.rmdir()
    _sync_names(folder)
    shutil.rmtree(replaced)


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


def _read(folder: Path) -> dict:
    return json.loads((folder / MARKER).read_text(encoding="utf-8"))


def _written(folder: Path) -> int:
    return _read(folder)["written"]


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
