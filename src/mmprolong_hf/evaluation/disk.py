"""A folder that cannot be written is told in a line that says what to do."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_FOLDER = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}  # a file where a folder should be, or the other way round


@contextmanager
def told_if_unwritable(folder: str | Path) -> Iterator[None]:
    """
    What goes wrong in a `with` because its files cannot be written, as an error of the user's. Any other error stays as it is.

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
        if isinstance(error, OSError) and error.errno not in FORBIDDEN | FULL | NO_FOLDER:
            raise
        raise ValueError(
            f"{folder} cannot be written ({error}): expected a folder that may be written, with room on its disk; mend that "
            "or name another folder. What is done is kept; the same command goes on"
        ) from error
