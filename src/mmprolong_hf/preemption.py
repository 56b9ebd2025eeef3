"""SIGTERM and SIGUSR1, with which schedulers announce that a job has to go: finish the step, save, end, and be resumable."""

import atexit
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

import torch
from accelerate.utils import gather
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

# SIGTERM: Kubernetes, Slurm at preemption or time limit; SIGUSR1: earlier, as recipes/accelerate/fsdp2_8gpu.yaml has Slurm send it
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
PR_SET_PDEATHSIG = 1  # of linux/prctl.h
# One of them is set by `torchrun` or `accelerate launch`
LAUNCHED = ("TORCHELASTIC_RUN_ID", "ACCELERATE_MIXED_PRECISION")


class StopOnSignal(TrainerCallback):
    """
    Ends training after the optimizer step in which any rank received one of `SIGNALS`, with a checkpoint of that step. Ranks
    agree at the end of every step, so that none saves alone. An evaluation that was due is left out: there is little time.

    As a context manager it listens; outside of it signals do what they did before. Inside another `with` of the same it goes on
    listening, and forgets nothing.

    Attributes:
        stopped_by (`signal.Signals` or `None`): The signal that ended training before its last step.
    """

    def __init__(self):
        self.received = 0
        self.stopped_by = None
        self._before = []  # of every `with` that we are in

    def __enter__(self) -> "StopOnSignal":
        if not self._before:
            self.received, self.stopped_by = 0, None
        listens = threading.current_thread() is threading.main_thread()  # Python lets no other thread listen
        self._before.append({number: signal.signal(number, self._receive) for number in SIGNALS if listens})
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.pop().items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = number

    def agreed(self, device: torch.device) -> int:
        """The number of the signal that any rank received, 0 without one; all ranks call it."""
        return int(gather(torch.tensor([self.received], device=device)).max())

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        number = self.agreed(args.device)
        if number and state.global_step < state.max_steps:  # else training ends by itself
            self.stopped_by = signal.Signals(number)
            control.should_save = control.should_training_stop = True
            control.should_evaluate = False

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        if self.stopped_by is not None:  # saved already
            control.should_save = control.should_evaluate = False


def leave_signals_to_the_trainer(worker: int) -> None:
    """
    `worker_init_fn` of a data loader: a scheduler signals every process of a job, and a worker that died of it would take the
    trainer with it in the middle of a step. Workers end when the trainer does, also one that waits for a disk for ever.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    _when_the_parent_ends(signal.SIGKILL)


def stop_with_the_launcher() -> None:
    """
    Has a training process that `accelerate launch` or `torchrun` started receive SIGTERM when its launcher is gone: with one
    process `accelerate launch` passes no signal on, and SIGKILL nobody can pass on. Linux only; elsewhere it goes on alone.

    Raises:
        SystemExit: when the launcher is gone already.
    """
    if sys.platform != "linux" or not any(name in os.environ for name in LAUNCHED):
        return
    parent = os.getppid()
    _when_the_parent_ends(signal.SIGTERM)
    # It may have ended before; a process whose parent is gone belongs to process 1, which in a container may be the launcher
    command = Path(f"/proc/{parent}/cmdline").read_bytes() if os.getppid() == parent else b""
    if os.getppid() != parent or (parent == 1 and b"accelerate" not in command and b"torch" not in command):
        raise SystemExit(128 + signal.SIGTERM)


def _when_the_parent_ends(number: int) -> None:
    """Linux: the kernel sends this signal to a process whose parent is gone, whatever the process is doing."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")


@atexit.register
def _end_workers() -> None:
    """Python asks what is left of its workers to end by SIGTERM, which they ignore, and would wait for them for ever."""
    for worker in multiprocessing.active_children():
        if worker.daemon:  # others are waited for, as ever
            worker.kill()
