"""The folder of a build: whole or not there. What build_dataset makes of it is in test_synthesis_pipeline.py."""

import os
import subprocess
import sys

import pytest

from mmprolong_hf.synthesis.output_folder import REPORT, check_output, one_build, partial_folder, replace_earlier


@pytest.fixture
def place(tmp_path):
    """An earlier build, beside its PDFs."""
    (tmp_path / "pdfs").mkdir()
    (tmp_path / "set" / "data").mkdir(parents=True)
    for name in (REPORT, "README.md", "mixture.png", "data/train-00001.parquet"):
        (tmp_path / "set" / name).write_text("earlier")
    return tmp_path


def test_an_earlier_build_may_be_replaced(place):
    assert check_output(place / "pdfs", place / "set") == place / "set"
    assert check_output(place / "pdfs", place / "new") == place / "new"
    assert not (place / "new").exists()


@pytest.mark.parametrize("name", ["notes.txt", "data/notes.txt", "more/train-00001.parquet"])
def test_one_file_too_many_and_it_may_not(place, name):
    (place / "set" / name).parent.mkdir(exist_ok=True)
    (place / "set" / name).write_text("mine")
    with pytest.raises(ValueError, match=rf"this command has not written \({name}\); name a new or empty folder"):
        check_output(place / "pdfs", place / "set")


def test_a_build_without_its_report_is_something_else(place):
    (place / "set" / REPORT).unlink()
    with pytest.raises(ValueError, match="this command has not written"):
        check_output(place / "pdfs", place / "set")


def test_what_was_killed_between_two_names_has_its_name_again(place):
    (place / "set").rename(place / ".set.earlier")
    check_output(place / "pdfs", place / "set")
    assert (place / "set" / REPORT).read_text() == "earlier"


def test_the_new_build_is_in_place_of_the_earlier_one(place):
    partial = partial_folder(place / "set")
    (partial / REPORT).write_text("new")
    assert (place / "set" / REPORT).read_text() == "earlier"
    replace_earlier(place / "set", partial)
    assert [path.name for path in (place / "set").iterdir()] == [REPORT]
    assert {path.name for path in place.iterdir()} == {"pdfs", "set"}


def test_only_folders_of_dead_processes_are_removed(place):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for process in (ended.pid, os.getppid(), os.getpid()):
        (place / f".set.{process}.partial" / "left").mkdir(parents=True)
    partial = partial_folder(place / "set")
    assert list(partial.iterdir()) == []
    assert {path.name for path in place.glob(".set.*")} == {partial.name, f".set.{os.getppid()}.partial"}


def test_what_is_removed_is_of_this_folder_alone(place):
    mine, others = place / ".set[1].999999999.partial", place / ".set[1].more.999999999.partial"
    for folder in (mine, others):
        folder.mkdir(parents=True)
    partial_folder(place / "set[1]")
    assert not mine.exists()
    assert others.exists()


def test_a_lock_is_held_until_the_end_of_the_block(place):
    code = "import sys; from pathlib import Path; from mmprolong_hf.synthesis.output_folder import one_build\n"
    code += "with one_build(Path(sys.argv[1])): pass"
    other = [sys.executable, "-c", code, str(place / "work")]
    with one_build(place / "work"):
        refused = subprocess.run(other, capture_output=True, text=True)
    assert f"another build is at work in {place / 'work'}; wait for it" in refused.stderr
    subprocess.run(other, check=True)
