import errno
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mmprolong_hf.evaluation.disk import told_if_unwritable


def write_to_a_full_disk(folder):
    Path("/dev/full").write_bytes(b"page")


def make_a_folder_in_a_file(folder):
    (folder / "file").touch()
    (folder / "file/pages").mkdir()


def write_over_a_folder(folder):
    (folder / "answers.jsonl").mkdir()
    (folder / "answers.jsonl").write_text("")


def change_a_read_only_database(folder):
    sqlite3.connect(folder / "replies.sqlite").close()
    sqlite3.connect(f"file:{folder}/replies.sqlite?mode=ro", uri=True).execute("CREATE TABLE t (c)")


@pytest.mark.filterwarnings("ignore:unclosed database")
@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (write_to_a_full_disk, "No space left on device"),
        (make_a_folder_in_a_file, "Not a directory"),
        (write_over_a_folder, "Is a directory"),
        (change_a_read_only_database, "attempt to write a readonly database|unable to open database file"),
    ],
)
def test_what_cannot_be_written_is_told_in_a_line(tmp_path, write, reason):
    message = rf"^{tmp_path} cannot be written \(.*({reason}).*\): expected a folder .* the same command goes on$"
    with pytest.raises(ValueError, match=message), told_if_unwritable(tmp_path):
        write(tmp_path)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_what_the_system_forbids_is_told(tmp_path, code):
    with pytest.raises(ValueError, match=f"{tmp_path} cannot be written"), told_if_unwritable(tmp_path):
        raise OSError(code, "no", str(tmp_path / "pages/1.jpg"))  # a test that runs as root may write everywhere


def test_a_folder_that_cannot_be_made_is_told(tmp_path, monkeypatch):
    """Named relatively, below a file: the system names the folder above it that could not be made."""
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"^file/out/pages cannot be written"), told_if_unwritable("file/out/pages"):
        Path("file/out").mkdir()


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(errno.ECONNREFUSED, "no"),
        KeyError("x"),
        OSError("no image"),
        PermissionError(errno.EACCES, "no", "documents/report.pdf"),  # an input
        FileExistsError(errno.EEXIST, "no", "hub/models--a--b"),  # a cache
        OSError(errno.EMFILE, "no"),
    ],
)
def test_another_error_stays_as_it_is(tmp_path, error):
    with pytest.raises(type(error)) as raised, told_if_unwritable(tmp_path):
        raise error
    assert raised.value is error


def test_a_database_that_another_run_holds_stays_as_it_is(tmp_path):
    with closing(sqlite3.connect(tmp_path / "replies.sqlite", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with (
            closing(sqlite3.connect(tmp_path / "replies.sqlite", timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError, match="database is locked"),
            told_if_unwritable(tmp_path),
        ):
            other.execute("CREATE TABLE t (c)")
