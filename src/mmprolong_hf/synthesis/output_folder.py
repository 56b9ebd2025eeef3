"""The folder that a build writes: one build at a time, whole or not there, and never over something else."""

import fcntl
import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .output import CONFIGS
from .publish import CHART

REPORT = "build_report.json"
# all that a build leaves, and so all that a rebuild may replace
FILES = {"README.md", REPORT, CHART}
PARTS = set(CONFIGS)


def check_output(pdfs: Path, output: Path, marker: str = REPORT) -> Path:
    """
    Refuse to write where something else is.

    Args:
        pdfs (`Path`): The PDFs' folder.
        output (`Path`): The folder to write.
        marker (`str`, *optional*): The file that tells the folders of a command from those of others; a build's if not given.

    Returns:
        `Path`: That folder, resolved. An earlier one that a killed process left under another name has its name again.

    Raises:
        ValueError: if it holds the PDFs, is a file, or holds anything that the command does not write.
    """
    output, pdfs = output.resolve(), pdfs.resolve()
    if output == pdfs or output in pdfs.parents:
        raise ValueError(f"{output} holds the PDFs themselves ({pdfs}); name an output folder apart from them")
    if output.exists() and not output.is_dir():
        raise ValueError(f"{output} is a file, expected a folder to write")
    earlier = _earlier(output)
    if earlier.exists() and not output.exists():  # killed between two names
        earlier.rename(output)
    found = [p.relative_to(output).as_posix() for p in output.rglob("*") if not p.is_dir()] if output.exists() else []
    foreign = sorted(
        name for name in found if name not in FILES | {marker} and name.split("/")[0] not in PARTS | {REPORT}
    )
    foreign += sorted(name for name in found if name.split("/")[0] in PARTS and not name.endswith(".parquet"))
    if found and (foreign or marker not in found):
        raise ValueError(
            f"{output} holds something that this command has not written ({', '.join((foreign or sorted(found))[:3])}); name a new or "
            "empty folder"
        )
    return output


def partial_folder(output: Path) -> Path:
    """
    An empty folder for the new build beside its place; what killed processes left of theirs is removed.

    Args:
        output (`Path`): Its place.
    """
    partial = output.with_name(f".{output.name}.{os.getpid()}.partial")
    for path in output.parent.glob(f".{glob.escape(output.name)}.*.partial"):
        process = path.name.removeprefix(f".{output.name}.").removesuffix(".partial")
        if path == partial or (process.isdigit() and not Path("/proc", process).exists()):
            shutil.rmtree(path)
    partial.mkdir(parents=True)
    return partial


def _earlier(output: Path) -> Path:
    return output.with_name(f".{output.name}.earlier")


def replace_earlier(output: Path, complete: Path) -> None:
    """
    Put a new build in its place; the earlier one is removed when it is there, and not before.

    Args:
        output (`Path`): Its place.
        complete (`Path`): The new build, in a folder beside it.
    """
    shutil.rmtree(_earlier(output), ignore_errors=True)
    if output.exists():
        output.rename(_earlier(output))
    complete.rename(output)
    shutil.rmtree(_earlier(output), ignore_errors=True)


@contextmanager
def one_build(work: Path) -> Iterator[None]:
    """
    One build at a time in a work folder; the lock goes with the process, however that ends.

    Args:
        work (`Path`): The folder, made if missing.

    Raises:
        ValueError: if another build is at work there.
    """
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not flock: a forked child would keep that
        except BlockingIOError as error:
            raise ValueError(
                f"another build is at work in {work}; wait for it, or name another work folder"
            ) from error
        yield
