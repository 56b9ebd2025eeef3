"""A folder that cannot be written is told in a line that says what to do."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_FOLDER = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}  # a file where a folder should be, or the other way round

# How SQLite's messages begin; it names no file
SQLITE = ("attempt to write a readonly database", "database or disk is full", "unable to open database file")


@contextmanager
def told_if_unwritable(folder: str | Path) -> Iterator[None]:
    """
    What goes wrong in a `with` because its files cannot be written, as an error of the user's. Any other error stays as it is:
    of a file elsewhere, of a database that is locked.

    Args:
        folder (`str` or `Path`): Where they are written.

    Raises:
        ValueError: when the folder is none, may not be written, or its disk is full; of SQLite's files too.

    Example:

    ```python
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "pages")
    >>> file.touch()
    >>> with told_if_unwritable(file):
    ...     (file / "a").mkdir()
    Traceback (most recent call last):
        ...
    ValueError: ... cannot be written ([Errno 20] Not a directory: ...): expected a folder that ... with room on its disk; ...

    ```
    """
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        told = _is_of(Path(folder), error) if isinstance(error, OSError) else str(error).startswith(SQLITE)
        if not told:
            raise
        raise ValueError(
            f"{folder} cannot be written ({error}): expected a folder that may be written, with room on its disk; mend that "
            "or name another folder. What is done is kept; the same command goes on"
        ) from error


def _is_of(folder: Path, error: OSError) -> bool:
    """Whether an error is of a file in a folder, of the folder, or of one above it, which is made with it."""
    if error.filename is None:  # while writing into an open file; for want of room, no input is to blame
        return error.errno in FULL
    file, folder = Path(os.fsdecode(error.filename)).resolve(), folder.resolve()
    within = file.is_relative_to(folder) or folder.is_relative_to(file)
    return within and error.errno in FORBIDDEN | FULL | NO_FOLDER
