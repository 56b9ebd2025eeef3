import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import tiny
from test_trainer import largest_difference, losses, make_trainer, weights
from transformers import TrainerCallback

from mmprolong_hf.checkpoints import checkpoints, why_incomplete
from mmprolong_hf.preemption import SIGNALS, StopOnSignal, leave_signals_to_the_trainer
from mmprolong_hf.resume import write_plan
from mmprolong_hf.train import train


class Signal(TrainerCallback):
    """Sends this process and its workers a signal in the middle of a step, as a scheduler does."""

    def __init__(self, step, number):
        self.step, self.number = step, number

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        if state.global_step + 1 == self.step:
            pids = [os.getpid(), *(worker.pid for worker in multiprocessing.active_children())]
            # torch's workers look at who sent it
            subprocess.run(["kill", f"-{int(self.number)}", *map(str, pids)], check=True)
            time.sleep(0.2)  # for a worker to end, if it does


@pytest.mark.parametrize(("number", "step"), [(signal.SIGTERM, 2), (signal.SIGUSR1, 5)])
def test_a_signal_ends_training_after_the_step_and_it_goes_on_exactly(tmp_path, number, step):
    """Also where nothing is saved otherwise, and in the step that ends an epoch (the fifth)."""
    options = {"save_strategy": "no", "max_steps": 6, "dataloader_num_workers": 1}
    whole = make_trainer(tmp_path / "whole", **options)
    whole.train()
    stopped = make_trainer(tmp_path / "stopped", **options)
    stopped.add_callback(Signal(step, number))
    before = [signal.getsignal(number) for number in SIGNALS]
    stopped.train()
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert (stopped.stop.stopped_by, stopped.state.global_step) == (number, step)
    assert why_incomplete(tmp_path / "stopped" / f"checkpoint-{step}") is None
    resumed = make_trainer(tmp_path / "stopped", **options)
    resumed.train(resume_from_checkpoint=True)
    assert losses(resumed) == losses(whole)
    assert largest_difference(weights(resumed.model), weights(whole.model)) == 0


def test_training_says_how_to_go_on_and_ends_with_the_signals_status(tmp_path, capsys):
    trainer = make_trainer(
        tmp_path, max_steps=4, eval_strategy="epoch", eval_dataset=tiny.documents(2), packs_per_step=9
    )
    trainer.add_callback(Signal(2, signal.SIGTERM))
    with pytest.raises(SystemExit) as ended:
        train(trainer)
    assert ended.value.code == 128 + 15
    line = f"SIGTERM: saved checkpoint-2 of 4 steps in {tmp_path}; go on with --resume_from_checkpoint last"
    assert line in capsys.readouterr().out
    evaluated = [entry["step"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert evaluated == [1]  # an epoch is a step; the one that was due after the signal is left out
    assert not (tmp_path / "model.safetensors").exists()  # it is not trained yet


def test_the_signals_checkpoint_stays_where_only_the_best_would(tmp_path):
    every = {
        "save_strategy": "steps",
        "save_steps": 1,
        "eval_strategy": "steps",
        "eval_steps": 1,
        "save_total_limit": 1,
    }
    best = {
        "load_best_model_at_end": True,
        "metric_for_best_model": "loss",
        "greater_is_better": True,
    }  # the first one
    trainer = make_trainer(tmp_path, max_steps=5, eval_dataset=tiny.documents(2), **every, **best)
    trainer.add_callback(Signal(3, signal.SIGTERM))
    trainer.train()
    assert trainer.state.best_model_checkpoint.endswith("checkpoint-1")
    assert [folder.name for folder in checkpoints(tmp_path)] == ["checkpoint-1", "checkpoint-3"]
    saved = type(trainer.model).from_pretrained(tmp_path / "checkpoint-3")
    assert largest_difference(weights(trainer.model), weights(saved)) == 0  # the best one is not loaded
    assert (trainer.args.save_total_limit, trainer.args.load_best_model_at_end) == (1, True)


@pytest.mark.parametrize("push", [False, True])
def test_a_signal_while_the_final_model_is_saved_lets_it_be_saved(tmp_path, monkeypatch, capsys, push):
    def write(*args):
        os.kill(os.getpid(), signal.SIGTERM)
        write_plan(*args)

    monkeypatch.setattr("mmprolong_hf.resumable.write_plan", write)
    trainer = make_trainer(tmp_path, max_steps=1)
    # Only then: with it Trainer pushes what it saves at once, and there is no Hub here
    monkeypatch.setattr(trainer, "save_state", lambda: setattr(trainer.args, "push_to_hub", push))
    if push:  # all is done but the push, which would take long
        with pytest.raises(SystemExit) as ended:
            train(trainer)
        assert ended.value.code == 143
    else:  # nothing is left to do: a scheduler that began it again would do so for nothing
        train(trainer)
    told = f"SIGTERM: training was over, the trained model is saved in {tmp_path} but not pushed"
    assert (told in capsys.readouterr().out) == push
    assert largest_difference(weights(trainer.model), weights(type(trainer.model).from_pretrained(tmp_path))) == 0
    assert (tmp_path / "README.md").exists()


class SignalInEvaluation(TrainerCallback):
    def on_prediction_step(self, args, state, control, **kwargs):
        if state.global_step == 2:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("during", ["saving", "evaluation"])
def test_a_signal_between_two_steps_lets_saving_and_evaluation_end(tmp_path, monkeypatch, during):
    every = {"save_strategy": "steps", "save_steps": 2, "eval_strategy": "steps", "eval_steps": 2}
    trainer = make_trainer(tmp_path, max_steps=5, eval_dataset=tiny.documents(2), **every)
    if during == "evaluation":
        trainer.add_callback(SignalInEvaluation())
    else:

        def write(folder, plan, about):  # in the middle of a checkpoint
            os.kill(os.getpid(), signal.SIGTERM)
            write_plan(folder, plan, about)

        monkeypatch.setattr("mmprolong_hf.resumable.write_plan", write)
    trainer.train()
    assert (trainer.stop.stopped_by, trainer.state.global_step) == (signal.SIGTERM, 3)
    assert [folder.name for folder in checkpoints(tmp_path)] == ["checkpoint-2", "checkpoint-3"]
    assert [why_incomplete(folder) for folder in checkpoints(tmp_path)] == [None, None]
    assert [entry["step"] for entry in trainer.state.log_history if "eval_loss" in entry] == [2]


def test_a_signal_in_the_last_step_does_not_keep_the_model_from_being_saved(tmp_path):
    trainer = make_trainer(tmp_path, max_steps=2)
    trainer.add_callback(Signal(2, signal.SIGTERM))
    trainer.train()
    assert trainer.stop.stopped_by is None


def test_without_it_a_signal_is_what_it_was():
    """Guard: the process under test would end."""
    heard = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
    with StopOnSignal() as stop:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert (heard, stop.received) == ([], signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert heard == [signal.SIGUSR1]
    signal.signal(signal.SIGUSR1, before)


def test_training_in_a_thread_listens_to_nothing():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def listen():
        with StopOnSignal():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert seen == [before]


def test_workers_leave_signals_to_the_trainer():
    """A scheduler signals them too; by torch's own handler they end, and the trainer with them in the middle of a step."""
    before = [signal.getsignal(number) for number in SIGNALS]
    leave_signals_to_the_trainer(0)
    assert [signal.getsignal(number) for number in SIGNALS] == [signal.SIG_IGN] * 2
    for number, handler in zip(SIGNALS, before):
        signal.signal(number, handler)


# A loader whose worker reads what never comes, in a process that then ends: by itself, or killed
STUCK = """
import os, sys, torch
from torch.utils.data import DataLoader, _utils
from mmprolong_hf.preemption import leave_signals_to_the_trainer

class Fifo(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, index):
        print(os.getpid(), flush=True)
        return open("fifo", "rb").read()

_utils.MP_STATUS_CHECK_INTERVAL = 0.5  # seconds that torch gives a worker to end
packs = iter(DataLoader(Fifo(), num_workers=1, worker_init_fn=leave_signals_to_the_trainer))
sys.stdin.read(1)
"""


def alive(process, seconds):
    """Whether a process that is no child still runs after so long."""
    ends = time.monotonic() + seconds
    while (stat := Path(f"/proc/{process}/stat")).exists() and stat.read_text().split()[2] != "Z":
        if time.monotonic() > ends:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("killed", [False, True])
def test_a_worker_that_is_stuck_in_a_read_ends_with_its_trainer(tmp_path, environment, killed):
    os.mkfifo(tmp_path / "fifo")
    command = [sys.executable, "-c", STUCK]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, **pipes) as trainer:
        worker = int(trainer.stdout.readline())
        time.sleep(0.2)  # for it to come to the read
        if killed:
            trainer.kill()
        try:
            trainer.communicate("x", timeout=20)
        finally:
            trainer.kill()
            stuck = alive(worker, seconds=10)
            if stuck:
                os.kill(worker, signal.SIGKILL)
    assert not stuck
    assert trainer.returncode == (-signal.SIGKILL if killed else 0)


def test_transformers_own_way_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match="enable_jit_checkpoint is on, with which a rank saves in the middle of a step"
    ):
        make_trainer(tmp_path, enable_jit_checkpoint=True)
