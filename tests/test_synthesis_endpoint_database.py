"""SQLite files that another process is writing."""

import sqlite3
import threading
import time

import pytest

from mmprolong_hf.synthesis.endpoint import database
from mmprolong_hf.synthesis.endpoint.database import open_database

TABLES = "CREATE TABLE IF NOT EXISTS words (word TEXT)"


@pytest.fixture
def busy(tmp_path):
    """A new file in which another connection has begun to write."""
    other = sqlite3.connect(tmp_path / "new.sqlite", isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE t (x)")
    other.execute("BEGIN IMMEDIATE")
    yield tmp_path / "new.sqlite", other
    other.close()


def test_a_new_file_that_another_process_is_writing_is_waited_for(busy):
    path, other = busy
    started = time.monotonic()
    timer = threading.Timer(0.2, other.rollback)
    timer.start()
    open_database(path, TABLES).close()
    assert time.monotonic() - started >= 0.2
    timer.join()


def test_it_is_not_waited_for_without_end(busy, monkeypatch):
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.1)
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        open_database(busy[0], TABLES)


def test_what_is_in_a_file_stays(tmp_path):
    for expected in (0, 1):
        connection = open_database(tmp_path / "folder" / "words.sqlite", TABLES)
        assert connection.execute("SELECT count(*) FROM words").fetchone() == (expected,)
        connection.execute("INSERT INTO words VALUES ('a')")
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        connection.close()
