"""Runs each job in a process of its own, so that one that dies or hangs costs only itself."""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait


@dataclass(frozen=True)
class Lost:
    """A job whose process brought no result: `reason` is `"crashed"` or `"timed_out"`."""

    reason: str
    detail: str


@dataclass
class _Running:
    index: int
    process: multiprocessing.Process
    deadline: float


def run_isolated(
    function: Callable, jobs: list[tuple], *, num_proc: int, time_limit: float, preload: str
) -> Iterator[tuple[int, object]]:
    """
    Call a function once for each job, at most `num_proc` at a time, each in a fresh process.

    The processes are forked from one small server that has imported `preload` and holds no thread, so a new one costs
    milliseconds, and no PDF engine ever meets a thread or a fork of a running program.

    Args:
        function (`Callable`): Importable by name; takes the elements of a job, returns something small.
        jobs (`list[tuple]`): Arguments of each call.
        num_proc (`int`): Processes at a time.
        time_limit (`float`): Seconds after which a process is killed.
        preload (`str`): Module that the server imports once.

    Yields:
        `tuple[int, object]`: Index of the job, and what the function returned or a [`Lost`], as they finish.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([preload])
    waiting = list(enumerate(jobs))[::-1]
    running: dict = {}
    try:
        while waiting or running:
            while waiting and len(running) < num_proc:
                index, job = waiting.pop()
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=_call, args=(sender, function, job), daemon=True)
                process.start()
                sender.close()
                running[receiver] = _Running(index, process, time.monotonic() + time_limit)
            until = min(r.deadline for r in running.values()) - time.monotonic()
            for receiver in wait(list(running), timeout=max(0.0, until)):
                done = running.pop(receiver)
                yield done.index, _result(receiver, done.process)
            for receiver in [r for r, job in running.items() if job.deadline <= time.monotonic()]:
                done = running.pop(receiver)
                _kill(done.process)
                receiver.close()
                yield done.index, Lost("timed_out", f"it was not done after {time_limit:g} s")
    finally:
        for job in running.values():
            _kill(job.process)


def _call(sender, function: Callable, job: tuple) -> None:
    sender.send(function(*job))
    sender.close()


def _result(receiver, process) -> object:
    try:
        result = receiver.recv()
    except EOFError:
        process.join()
        result = Lost("crashed", f"its process ended with exit code {process.exitcode}")
    process.join()
    receiver.close()
    return result


def _kill(process) -> None:
    process.kill()
    process.join()
