"""SQLite files that several processes write: the replies, and the ledger of calls."""

import sqlite3
import time
from pathlib import Path

# Seconds that a process waits for another one that writes; a write takes milliseconds.
BUSY_TIMEOUT = 60.0


def open_database(path: str | Path, tables: str) -> sqlite3.Connection:
    """
    An SQLite file that several processes of one machine may write at once.

    Args:
        path (`str` or `Path`): Of the file, or `":memory:"`. A shared file system across machines is not enough:
            SQLite's write-ahead log needs one machine's memory.
        tables (`str`): `CREATE TABLE IF NOT EXISTS` statements.
    """
    if path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            # SQLite does not wait by itself where two processes set the mode of a new file
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    connection.executescript(tables)
    return connection
