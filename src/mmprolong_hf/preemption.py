"""SIGTERM and SIGUSR1, with which schedulers announce that a job has to go: finish the step, save, end, and be resumable."""

import signal
import threading
from types import FrameType

import torch
from accelerate.utils import gather
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

# SIGTERM: Kubernetes, Slurm at preemption or time limit; SIGUSR1: what `sbatch --signal=USR1@600` sends ten minutes before
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StopOnSignal(TrainerCallback):
    """
    Ends training after the optimizer step in which any rank received one of `SIGNALS`, with a checkpoint of that step. Ranks
    agree at the end of every step, so that none saves alone. An evaluation that was due is left out: there is little time.

    As a context manager it listens; outside of it signals do what they did before.

    Attributes:
        stopped_by (`signal.Signals` or `None`): The signal that ended training before its last step.
    """

    def __init__(self):
        self.received = 0
        self.stopped_by = None
        self._before = {}

    def __enter__(self) -> "StopOnSignal":
        self.received, self.stopped_by = 0, None
        if threading.current_thread() is threading.main_thread():  # Python lets no other thread listen
            self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = number

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        number = int(gather(torch.tensor([self.received], device=args.device)).max())
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
    trainer with it in the middle of a step. Workers end when the trainer does.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
