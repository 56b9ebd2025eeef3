"""
Training in several processes on the CPU, as an accelerate config starts them: runs one after the other, each rank a fork of one
process, which imports only once.

    python tests/ranks.py < RUNS > RESULTS

RUNS is a list in JSON of `{"argv": [...], "ranks": 2, "config": "recipes/accelerate/fsdp2_8gpu.yaml", "fault": {...},
"without": "hook of mmprolong_hf.fsdp", "counted": ["module:function"]}`, all but the first optional; RESULTS are the ranks' exit
statuses (a signal's number below 0), what they printed, and the seconds.
"""

import importlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import reduce
from pathlib import Path

import yaml

LIMIT = 100  # seconds; a run that takes longer hangs


def options(folder: Path, **extra: object) -> list[str]:
    """A recipe on the command line, for the model and the dataset in a folder."""
    named = {
        "model_name_or_path": folder / "model", "dataset_name": folder / "dataset", "max_length": 128, "packs_per_step": 2,
        "learning_rate": 1e-3, "logging_steps": 1, "bf16": "false", "use_cpu": "true", "report_to": "none", "disable_tqdm": "true",
    } | extra  # fmt: skip
    return [text for name, value in named.items() for text in (f"--{name}", str(value))]


def history(folder: Path) -> list[list[float]]:
    """What each step of a run trained and lost."""
    entries = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    names = ("step", "loss", "grad_norm", "num_tokens", "supervised_tokens", "questions")
    return [[entry[name] for name in names] for entry in entries if "loss" in entry]


def run_all(runs: list[dict], folder: Path, environment: dict[str, str], prefix: tuple[str, ...] = ()) -> list[dict]:
    """Runs in a process of their own, started in a folder (by the command `prefix`); what a test calls."""
    command = [*prefix, sys.executable, "-W", "ignore", __file__]
    done = subprocess.run(
        command, input=json.dumps(runs), env=environment, cwd=folder, text=True, stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)


def run_one(run: dict) -> dict:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        pids = [start(run, rank, port, output.fileno()) for rank in range(run.get("ranks", 2))]
        codes = wait(pids, began + LIMIT)
        output.seek(0)
        return {"codes": codes, "output": output.read().decode(), "seconds": time.monotonic() - began}


def wait(pids: list[int], deadline: float) -> list[int]:
    codes = dict.fromkeys(pids)
    while None in codes.values():
        for pid in [pid for pid, code in codes.items() if code is None]:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                codes[pid] = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    return list(codes.values())


def start(run: dict, rank: int, port: int, output: int) -> int:
    if (pid := os.fork()) != 0:
        return pid
    code = 1
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        size = run.get("ranks", 2)
        ranks = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size} if size > 1 else {}
        os.environ |= {name: str(value) for name, value in ranks.items()}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
        train_rank(run, rank)
        code = 0
    except SystemExit as ended:
        code = ended.code
    except Exception as error:
        print(f"rank {rank}: {type(error).__name__}: {error}", flush=True)
    finally:
        os._exit(code)
    return pid


def train_rank(run: dict, rank: int) -> None:
    from accelerate import PartialState
    from accelerate.utils import DistributedType

    import mmprolong_hf.fsdp
    from mmprolong_hf.recipe import parse_recipe
    from mmprolong_hf.train import make_trainer, train

    if run.get("config") is not None:
        os.environ |= fsdp_environment(run["config"])
    if "without" in run:
        setattr(mmprolong_hf.fsdp, run["without"], lambda *args: None)
    data, args, model = parse_recipe(run["argv"])
    if run.get("config") is not None:
        # accelerate 1.15 looks for FSDP among kinds of GPUs only; all that follows runs on the CPU as well
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    trainer, calls = make_trainer(data, args, model), Counter()
    for name in run.get("counted", []):
        count_calls(name, calls)
    fault = run.get("fault")
    if fault is not None and fault["rank"] in (rank, "all"):
        trainer.add_callback(make_fault(**fault))
    train(trainer)
    print("".join(f"rank {rank}: {count} calls of {name}\n" for name, count in calls.items()), end="", flush=True)


def count_calls(name: str, calls: Counter) -> None:
    """Counts from now on how often a function or a method `mmprolong_hf.module:Class.method` is called."""
    module, _, path = name.partition(":")
    *owners, last = path.split(".")
    owner = reduce(getattr, owners, importlib.import_module(module))
    called = getattr(owner, last)

    def counted(*args, **kwargs):
        calls[name] += 1
        return called(*args, **kwargs)

    setattr(owner, last, counted)


def fsdp_environment(config: str) -> dict[str, str]:
    """The variables that `accelerate launch --config_file` sets for these options."""
    options = yaml.safe_load(Path(config).read_text(encoding="utf-8"))["fsdp_config"]
    return {"ACCELERATE_USE_FSDP": "true"} | {name.upper(): str(value) for name, value in options.items()}


def make_fault(rank: int | str, step: int, kind: str, number: int):
    """
    What goes wrong in the middle of a step: a signal; files that cannot grow beyond some bytes any more; or a disk that is full
    but for some bytes as long as the process lives.
    """
    from transformers import TrainerCallback

    class Fault(TrainerCallback):
        def on_pre_optimizer_step(self, args, state, control, **kwargs):
            if state.global_step + 1 != step:
                return
            if kind == "signal":
                os.kill(os.getpid(), number)
            elif kind == "largest file":
                resource.setrlimit(resource.RLIMIT_FSIZE, (number, resource.RLIM_INFINITY))
            elif kind == "full disk":
                file = os.open(args.output_dir, os.O_TMPFILE | os.O_RDWR)
                os.posix_fallocate(file, 0, shutil.disk_usage(args.output_dir).free - number)

    return Fault()


if __name__ == "__main__":
    import mmprolong_hf.train  # noqa: F401, for every fork

    print(json.dumps([run_one(run) for run in json.load(sys.stdin)]))
