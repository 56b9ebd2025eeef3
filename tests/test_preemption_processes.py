"""Signals to one of several training processes, and to the launcher that they are the children of."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import ranks
import tiny
from test_preemption import alive

from mmprolong_hf.checkpoints import checkpoints, why_incomplete

RECIPE = """if __name__ == "__main__": from mmprolong_hf.train import main; main(); r\"\"\"
model_name_or_path: model
dataset_name: dataset
output_dir: out
max_length: 128
packs_per_step: 2
max_steps: 100000
save_strategy: "no"
logging_steps: 1
bf16: false
use_cpu: true
report_to: none
# \"\"\"
"""


@pytest.fixture
def world(tmp_path):
    tiny.save_checkpoint(tmp_path / "model")
    tiny.save_dataset(tmp_path / "dataset", train=tiny.documents())
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


def children(process):
    """Those that run the recipe, not the processes that serve a launcher."""
    listed = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(child) for child in listed if b"recipe.yaml" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells of a parent's end on Linux alone")
@pytest.mark.parametrize("options", [[], ["--multi_gpu", "--num_processes", "2", "--main_process_port", "0"]])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_training_saves_and_ends_when_its_launcher_does(world, environment, number, options):
    log = world / "log"
    with log.open("w") as opened:
        command = ["accelerate", "launch", *options, "recipe.yaml"]
        launcher = subprocess.Popen(command, cwd=world, env=environment, stdout=opened, stderr=subprocess.STDOUT)
    trainers = []
    try:
        ends = time.monotonic() + 90
        while "'loss'" not in log.read_text() and time.monotonic() < ends and launcher.poll() is None:
            time.sleep(0.1)
        trainers = children(launcher.pid)
        assert len(trainers) == (2 if options else 1), log.read_text()[-3000:]
        launcher.send_signal(number)
        launcher.wait(timeout=60)
        left = [trainer for trainer in trainers if alive(trainer, seconds=30)]
        assert left == [], log.read_text()[-3000:]
    finally:
        launcher.kill()
        for trainer in trainers:
            if alive(trainer, seconds=0):
                os.kill(trainer, signal.SIGKILL)
    (saved,) = checkpoints(world / "out")
    assert why_incomplete(saved) is None
    assert f"SIGTERM: saved {saved.name} of 100000 steps" in log.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells of a parent's end on Linux alone")
def test_a_launcher_that_ended_before_training_began(tmp_path, environment):
    """Its process waits for another parent, and then does what training begins with."""
    code = (
        "import os, sys, time\n"
        "from mmprolong_hf.preemption import stop_with_the_launcher\n"
        "if os.fork():\n"
        "    os._exit(0)\n"
        "while os.getppid() != 1:\n"
        "    time.sleep(0.05)\n"
        "try:\n"
        "    stop_with_the_launcher()\n"
        "    print('trains')\n"
        "except SystemExit as ended:\n"
        "    print(ended.code)\n"
    )
    for launched, said in ({"ACCELERATE_MIXED_PRECISION": "no"}, "143\n"), ({}, "trains\n"):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment | launched, capture_output=True, text=True, timeout=60
        )
        assert done.stdout == said


def test_two_ranks_stop_at_one_step_when_one_of_them_gets_the_signal(tmp_path, environment):
    tiny.save_checkpoint(tmp_path / "model")
    tiny.save_dataset(tmp_path / "dataset", train=tiny.documents())
    options = ranks.options(tmp_path, max_steps=3, save_strategy="no")
    fault = {"rank": 1, "step": 2, "kind": "signal", "number": signal.SIGTERM}
    runs = [
        {"argv": [*options, "--output_dir", "whole"]},
        {"argv": [*options, "--output_dir", "stopped"], "fault": fault},
        {"argv": [*options, "--output_dir", "stopped", "--resume_from_checkpoint", "last"]},
        {"argv": [*options, "--output_dir", "both"], "fault": fault | {"rank": "all"}},  # as a scheduler does
    ]
    whole, stopped, resumed, both = ranks.run_all(runs, tmp_path, environment)
    assert both["codes"] == [143, 143], both["output"]
    assert [folder.name for folder in checkpoints(tmp_path / "both")] == ["checkpoint-2"]
    assert why_incomplete(tmp_path / "both" / "checkpoint-2") is None
    assert (whole["codes"], stopped["codes"], resumed["codes"]) == ([0, 0], [143, 143], [0, 0]), stopped["output"]
    assert "SIGTERM: saved checkpoint-2 of 3 steps" in stopped["output"]
    assert ranks.history(tmp_path / "stopped") == ranks.history(tmp_path / "whole")
    assert (tmp_path / "stopped" / "model.safetensors").read_bytes() == (
        tmp_path / "whole" / "model.safetensors"
    ).read_bytes()
