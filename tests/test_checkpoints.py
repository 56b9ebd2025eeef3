import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from transformers.trainer_utils import get_last_checkpoint

from mmprolong_hf.checkpoints import (
    MARKER,
    check_room,
    checkpoints,
    complete,
    last_complete,
    mark_complete,
    num_bytes,
    raised_on_all_ranks,
    remove,
    rotate,
    why_incomplete,
    written_whole,
)


def checkpoint(output, step, size=10, whole=True):
    folder = output / f"checkpoint-{step}"
    (folder / "optimizer_0").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(size))
    (folder / "optimizer_0" / "part").write_bytes(bytes(2 * size))
    if whole:
        mark_complete(folder)
    return folder


def fill_up(file):
    file.write_text("half")
    raise OSError(28, "No space left on device")


def test_a_checkpoint_is_complete_when_every_file_has_its_size(tmp_path):
    folder = checkpoint(tmp_path, 3, whole=False)
    assert why_incomplete(folder) == "has no complete.json, the last file that is written"
    mark_complete(folder)
    assert why_incomplete(folder) is None
    assert num_bytes(folder) == 30
    (folder / "optimizer_0" / "part").write_bytes(bytes(5))
    assert why_incomplete(folder) == "holds 5 bytes of optimizer_0/part instead of 20"
    (folder / "optimizer_0" / "part").unlink()
    assert why_incomplete(folder) == "has no optimizer_0/part"


def test_the_last_complete_one_is_found_past_those_that_are_not(tmp_path):
    assert last_complete(tmp_path / "nowhere") == (None, [])
    two, ten = checkpoint(tmp_path, 2), checkpoint(tmp_path, 10)
    checkpoint(tmp_path, 12, whole=False)
    (tmp_path / "checkpoint-old").mkdir()
    assert [folder.name for folder in checkpoints(tmp_path)] == ["checkpoint-2", "checkpoint-10", "checkpoint-12"]
    found, passed_over = last_complete(tmp_path)
    assert found == ten
    assert passed_over == [f"{tmp_path / 'checkpoint-12'} has no complete.json, the last file that is written"]
    assert get_last_checkpoint(tmp_path).endswith("checkpoint-12")  # guard: transformers takes what was cut short
    remove(ten)
    assert last_complete(tmp_path)[0] == two


@pytest.mark.parametrize("text", ["", '{"written": 1, "fil', '{"model.safetensors": 10}'])
def test_a_marker_that_is_cut_short_marks_nothing(tmp_path, text):
    folder = checkpoint(tmp_path, 3)
    (folder / MARKER).write_text(text)
    assert why_incomplete(folder) == "has a complete.json that is empty or cut short"
    assert last_complete(tmp_path) == (None, [f"{folder} has a complete.json that is empty or cut short"])


def test_the_last_one_is_the_one_written_last_not_the_highest_step(tmp_path, monkeypatch):
    """Another run may have trained in the folder before; copies keep their order, and clocks differ between nodes."""
    checkpoint(tmp_path / "run", 9)
    monkeypatch.setattr("time.time_ns", lambda: 5)  # a clock that is behind
    checkpoint(tmp_path / "run", 4)
    shutil.copytree(tmp_path / "run" / "checkpoint-4", tmp_path / "copy" / "checkpoint-4", copy_function=shutil.copy)
    shutil.copytree(tmp_path / "run" / "checkpoint-9", tmp_path / "copy" / "checkpoint-9", copy_function=shutil.copy)
    for output in ("run", "copy"):
        assert last_complete(tmp_path / output)[0].name == "checkpoint-4"
        assert [folder.name for folder in complete(tmp_path / output)] == ["checkpoint-9", "checkpoint-4"]


def test_rotation_counts_complete_checkpoints_only(tmp_path):
    for step in (1, 2, 3, 5):
        checkpoint(tmp_path, step)
    checkpoint(tmp_path, 4, whole=False)
    rotate(tmp_path, None, None)
    assert len(checkpoints(tmp_path)) == 5
    rotate(tmp_path, 2, str(tmp_path / "checkpoint-1"))  # the best and the latest
    assert [folder.name for folder in checkpoints(tmp_path)] == ["checkpoint-1", "checkpoint-4", "checkpoint-5"]
    rotate(tmp_path, 1, None)
    assert last_complete(tmp_path)[0].name == "checkpoint-5"


def test_rotation_goes_by_when_they_were_written_not_by_step(tmp_path):
    for step in (8, 9):
        checkpoint(tmp_path, step)
    latest = checkpoint(tmp_path, 4)  # of a run that went on from an earlier step
    for folder in checkpoints(tmp_path):
        os.utime(folder / MARKER, (int(folder.name[-1]),) * 2)  # what a copy may make of it
    rotate(tmp_path, 1, None)
    assert checkpoints(tmp_path) == [latest]


@pytest.mark.parametrize("best", ["out/checkpoint-1", "/moved/since/checkpoint-1"])
def test_the_best_one_is_kept_however_it_is_called(tmp_path, monkeypatch, best):
    """A run may be resumed with output_dir spelled in another way, or moved; its state has the name of then."""
    monkeypatch.chdir(tmp_path)
    for step in (1, 2, 3):
        checkpoint(tmp_path / "out", step)
    rotate(tmp_path / "out", 1, best)
    assert [folder.name for folder in checkpoints("out")] == ["checkpoint-1", "checkpoint-3"]


def test_what_remains_of_a_removed_checkpoint_is_incomplete(tmp_path, monkeypatch):
    folder = checkpoint(tmp_path, 3)
    monkeypatch.setattr(shutil, "rmtree", lambda *args, **kwargs: None)  # killed before it
    remove(folder)
    assert why_incomplete(folder) is not None


def test_a_model_is_replaced_only_when_all_of_it_is_written(tmp_path):
    def write(folder, names, text):
        for name in names:
            (folder / name).write_text(text)

    with written_whole(tmp_path) as staged:
        write(staged, ["config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json"], "old")
    (tmp_path / "trainer_state.json").write_text("kept")
    with pytest.raises(OSError, match="No space"), written_whole(tmp_path) as staged:
        fill_up(staged / "model.safetensors")
    assert (tmp_path / "config.json").read_text() == "old"
    with written_whole(tmp_path) as staged:
        write(staged, ["config.json", "model.safetensors"], "new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "config.json": "new",
        "model.safetensors": "new",
        "trainer_state.json": "kept",
    }


def test_the_config_is_never_there_with_weights_of_another_model(tmp_path, monkeypatch):
    with written_whole(tmp_path) as staged:
        (staged / "config.json").write_text("old")
        (staged / "a.safetensors").write_text("old")
    seen = []

    def replace(source, target, move=os.replace):
        seen.append((os.path.basename(target), (tmp_path / "config.json").exists()))
        move(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with written_whole(tmp_path) as staged:
        for name in ("config.json", "a.safetensors", "tokenizer.json"):
            (staged / name).write_text("new")
    assert seen == [("a.safetensors", False), ("tokenizer.json", False), ("config.json", False)]


def test_folders_are_replaced_too(tmp_path):
    """Several chat templates and a second adapter have one of their own."""
    for text in ("old", "new"):
        with written_whole(tmp_path) as staged:
            (staged / "templates").mkdir()
            (staged / "templates" / f"{text}.jinja").write_text(text)
            (staged / ("config.json" if text == "old" else "adapter_config.json")).write_text(text)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["adapter_config.json", "new.jinja", "templates"]


def test_a_failure_before_the_first_move_leaves_the_folder_as_it_was(tmp_path, monkeypatch):
    with written_whole(tmp_path) as staged:
        (staged / "config.json").write_text("old")
    monkeypatch.setattr(os, "fsync", lambda descriptor: fill_up(Path("/dev/null")))
    with pytest.raises(OSError, match="No space"), written_whole(tmp_path) as staged:
        (staged / "config.json").write_text("new")
    assert (tmp_path / "config.json").read_text() == "old"


def test_a_folder_that_cannot_be_written_to():
    with pytest.raises(ValueError, match=r"/proc/self/out cannot be written to \(.*\); name an output_dir that can"):
        check_room("/proc/self/out", 0, "this")


def test_room_on_the_disk(tmp_path):
    check_room(tmp_path, 1000, "this")
    with pytest.raises(ValueError, match=r"has room for .* GB, but 3 checkpoints take 1,000,000,000.00 GB; free some"):
        check_room(tmp_path / "not" / "there", 10**18, "3 checkpoints")


@pytest.mark.parametrize(("raised", "expected"), [(ValueError, ValueError), (OSError, RuntimeError)])
def test_an_error_says_what_was_being_done(raised, expected):
    with pytest.raises(expected, match="saving: no luck"), raised_on_all_ranks("saving"):
        raise raised("no luck")


def test_a_run_that_is_killed_while_it_saves_goes_on_as_if_nothing_had_happened(root, environment):
    """Processes of their own, SIGKILL, `resume_from_checkpoint: last`; 20 kills are in benchmarks/RESULTS.md."""
    command = [sys.executable, "benchmarks/kills.py", "--kills", "3", "--steps", "5", "--seed", "1"]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "kills 3: " in done.stdout
    assert "5 steps: tokens, questions, losses and final weights are those of the run" in done.stdout


def test_a_marker_names_every_file(tmp_path):
    folder = checkpoint(tmp_path, 1)
    assert json.loads((folder / MARKER).read_text())["files"] == {"model.safetensors": 10, "optimizer_0/part": 20}
