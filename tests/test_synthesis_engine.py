"""Stages survive being killed, and lose and double nothing."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmprolong_hf.synthesis.engine import Stage, write_whole
from mmprolong_hf.synthesis.executors import EngineOptions

ITEMS = [{"name": f"document {k}"} for k in range(25)]


def process(items, part, settings, num_proc, record):
    """Writes a file for each item and counts how often it was worked on."""
    for index, item in items:
        if item["name"] == settings.get("fail_on"):
            raise RuntimeError("the teacher is gone")
        time.sleep(settings.get("seconds", 0))
        with (part / "worked.txt").open("a") as file:
            file.write(item["name"] + "\n")
        write_whole(part / f"{index:05d}.out", item["name"].upper().encode())
        record(index, {"length": len(item["name"]), "name": item["name"]})


def worked(folder):
    return sorted(line for path in folder.rglob("worked.txt") for line in path.read_text().splitlines())


@pytest.mark.parametrize("size", [None, 4, 1])
def test_outcomes_come_in_the_order_of_the_items(tmp_path, size, capfd):
    stage = Stage(tmp_path, process, {})
    outcomes = stage.run(ITEMS, EngineOptions(documents_per_shard=size), label="test")
    assert [o["name"] for o in outcomes] == [item["name"] for item in ITEMS]
    assert [stage.part(k).with_suffix(".out").read_text() for k in range(25)] == [i["name"].upper() for i in ITEMS]
    assert stage.progress() == (25, 25)
    assert "25/25" in capfd.readouterr().err
    assert stage.run(ITEMS, EngineOptions(), label="again") == outcomes
    assert worked(tmp_path) == sorted(item["name"] for item in ITEMS)


def test_a_stage_that_failed_goes_on_where_it_stopped(tmp_path):
    options = EngineOptions(documents_per_shard=10)
    with pytest.raises(RuntimeError, match="the teacher is gone"):
        Stage(tmp_path, process, {"fail_on": "document 17"}).run(ITEMS, options, label="test")
    done = Stage(tmp_path, process, {}).progress()[0]
    assert 0 < done < 25
    # other workers, other shard size: the shards stay as they were
    outcomes = Stage(tmp_path, process, {}).run(ITEMS, EngineOptions(workers=5, documents_per_shard=3), label="test")
    assert [o["name"] for o in outcomes] == [item["name"] for item in ITEMS]
    assert worked(tmp_path) == sorted(item["name"] for item in ITEMS)


def test_other_items_are_refused(tmp_path):
    Stage(tmp_path, process, {}).run(ITEMS, EngineOptions(), label="test")
    with pytest.raises(ValueError, match="was started with 25 other items, now there are 24"):
        Stage(tmp_path, process, {}).run(ITEMS[:-1], EngineOptions(), label="test")


def test_lost_and_doubled_outcomes_are_seen(tmp_path):
    stage = Stage(tmp_path, process, {})
    stage.run(ITEMS, EngineOptions(documents_per_shard=13), label="test")
    path = tmp_path / "outcomes" / "00001.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    for broken in (lines[:-1], [*lines, lines[0]]):
        path.write_text("".join(broken))
        with pytest.raises(RuntimeError, match=f"shard 1 of .* has {len(broken)} outcomes for 12 items"):
            stage.outcomes()


PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_synthesis_engine import ITEMS, process
from mmprolong_hf.synthesis.engine import Stage
from mmprolong_hf.synthesis.executors import EngineOptions
Stage(Path(sys.argv[1]), process, {"seconds": 0.02}).run(ITEMS, EngineOptions(documents_per_shard=7), label="killed")
"""


def test_kill_at_any_moment_costs_at_most_one_item(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command = [sys.executable, "-c", PROGRAM, str(killed), str(Path(__file__).parent)]
    rng, kills = random.Random(0), 0
    while True:
        before = len(worked(killed))
        run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while len(worked(killed)) == before and run.poll() is None:
            time.sleep(0.002)
        try:
            run.wait(timeout=rng.uniform(0.0, 0.25))
        except subprocess.TimeoutExpired:
            os.kill(run.pid, signal.SIGKILL)
            run.wait()
            kills += 1
            continue
        assert run.returncode == 0
        break
    assert kills > 0
    Stage(whole, process, {}).run(ITEMS, EngineOptions(documents_per_shard=7), label="whole")
    assert Stage(killed, process, {}).outcomes() == Stage(whole, process, {}).outcomes()
    again = worked(killed)
    assert len(again) - len(set(again)) <= kills


def test_a_file_is_whole_or_not_there(tmp_path):
    write_whole(tmp_path / "a" / "b.json", json.dumps([1]).encode())
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.json"]
