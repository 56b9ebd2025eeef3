"""
Kills training with SIGKILL again and again, most often while it writes a checkpoint, resumes it with `last` each time, and
compares what it did in the end with a run that nobody disturbed: the same tokens, losses equal to the last bit, equal weights.

    python benchmarks/kills.py [--kills 20] [--seed 0]
"""

import argparse
import collections
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

import tiny

from mmprolong_hf.checkpoints import checkpoints, last_complete, why_incomplete
from mmprolong_hf.train import main as train

KEYS = ("step", "loss", "grad_norm", "learning_rate", "num_tokens", "supervised_tokens", "questions")


def make_recipe(folder: Path, steps: int) -> dict[str, object]:
    """A run whose checkpoints (78 MB) take longer to write than its steps; one is kept, one written at each step."""
    tiny.save_checkpoint(folder / "model", intermediate_size=8192, num_hidden_layers=4)
    tiny.save_dataset(folder / "dataset", train=tiny.documents(6))
    return {
        "model_name_or_path": folder / "model", "dataset_name": folder / "dataset", "max_length": 128, "packs_per_step": 2,
        "max_steps": steps, "learning_rate": 1e-3, "save_steps": 1, "save_total_limit": 1, "logging_steps": 1, "bf16": "false",
        "use_cpu": "true", "report_to": "none", "dataloader_num_workers": 1, "disable_tqdm": "true",
    }  # fmt: skip


def start(recipe: dict[str, object], output: Path) -> int:
    """Trains in a process of its own, which shares what this one has imported; returns its id."""
    argv = [text for name, value in recipe.items() for text in (f"--{name}", str(value))] + [
        "--output_dir",
        str(output),
    ]
    if last_complete(output)[0] is not None:
        argv += ["--resume_from_checkpoint", "last"]
    if (pid := os.fork()) != 0:
        return pid
    log = os.open(output.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        train(argv)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        os._exit(1)
    os._exit(0)


def kill(pid: int, output: Path, moment: str, delay: float) -> bool:
    """
    Kills a run `delay` seconds after it began to write something.

    Args:
        pid (`int`): Its process.
        output (`Path`): Where it writes.
        moment (`str`): `"checkpoint"` or `"final model"`: what it writes then.
        delay (`float`): In seconds.

    Returns:
        `bool`: `False` when it ended before.
    """
    began = time.time()
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if is_writing(output, moment, began):
            time.sleep(delay)
            os.kill(pid, signal.SIGKILL)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        time.sleep(0.001)
    return False


def is_writing(output: Path, moment: str, since: float) -> bool:
    folders = checkpoints(output) if moment == "checkpoint" else [output / "incomplete"]
    try:
        return any(folder.stat().st_mtime > since for folder in folders)
    except FileNotFoundError:  # not there yet, or just gone
        return False


def facts(output: Path) -> tuple[list[list[float]], str]:
    """What each step trained and lost, and a digest of the final weights."""
    history = json.loads((output / "trainer_state.json").read_text())["log_history"]
    steps = [[entry[key] for key in KEYS] for entry in history if "loss" in entry]
    return steps, hashlib.sha256((output / "model.safetensors").read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument(
        "--longest_delay", type=float, default=0.6, help="seconds; a checkpoint takes about half of it"
    )
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["HF_DATASETS_CACHE"] = str(folder / "cache")
        recipe = make_recipe(folder, args.steps)
        whole, killed = folder / "whole", folder / "killed"
        assert os.waitpid(start(recipe, whole), 0)[1] == 0, whole.with_suffix(".log").read_text()[-3000:]
        left = collections.Counter()
        for attempt in range(args.kills):
            moment = "final model" if attempt == args.kills - 1 else "checkpoint"
            pid = start(recipe, killed)
            if not kill(pid, killed, moment, rng.uniform(0, args.longest_delay if moment == "checkpoint" else 0.05)):
                break
            half_written = any(why_incomplete(path) is not None for path in checkpoints(killed))
            half_written |= (killed / "incomplete").exists()
            left["half-written" if half_written else "whole"] += 1
        assert os.waitpid(start(recipe, killed), 0)[1] == 0, killed.with_suffix(".log").read_text()[-3000:]
        print(f"kills {left.total()}: {left['half-written']} left something half-written, {left['whole']} did not")
        ours, theirs = facts(killed), facts(whole)
        other = [pair for pair in zip(ours[0], theirs[0]) if pair[0] != pair[1]]
        assert ours == theirs, f"the run that was killed went another way, in {len(other)} steps: {KEYS}: {other[:2]}"
        print(
            f"{args.steps} steps: tokens, questions, losses and final weights are those of the run that nobody disturbed"
        )


if __name__ == "__main__":
    main()
