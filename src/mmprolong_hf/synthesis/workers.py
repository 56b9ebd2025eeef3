"""Runs jobs in worker processes, so that a job whose process dies or hangs costs only itself."""

import multiprocessing
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

# A process is replaced after so many jobs: what an engine leaks does not add up over a long build.
JOBS_PER_PROCESS = 64
SUSPENDED = 5.0  # seconds by which a wait can be late and nothing be wrong


@dataclass(frozen=True)
class Lost:
    """A job whose process brought no result: `reason` is `"crashed"`, `"timed_out"` or `"out_of_memory"`."""

    reason: str
    detail: str


@dataclass
class _Worker:
    process: multiprocessing.Process
    connection: Connection
    num_jobs: int = 0
    index: int = -1
    deadline: float = 0.0

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def run_isolated(
    function: Callable, jobs: list[tuple], *, num_proc: int, time_limit: float, memory_limit: int, preload: str
) -> Iterator[tuple[int, object]]:
    """
    Call a function once for each job, in at most `num_proc` processes at a time.

    The processes are forked from one small server that has imported the calling script and `preload` and holds no thread,
    so a new one costs milliseconds, and no PDF engine ever meets a thread or a fork of a running program.

    Args:
        function (`Callable`): Importable by name; takes the elements of a job, returns something small.
        jobs (`list[tuple]`): Arguments of each call.
        num_proc (`int`): Processes at a time.
        time_limit (`float`): Seconds that one job may take; then its process is killed and replaced.
        memory_limit (`int`): Bytes of address space that a process may take besides what it has before its first job.
        preload (`str`): Module that the server imports once.

    Yields:
        `tuple[int, object]`: Index of the job, and what the function returned or a [`Lost`], as they finish.

    Raises:
        OSError: that a job raised: the machine cannot go on, and no job is lost for it.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", preload])
    waiting = list(enumerate(jobs))[::-1]
    idle: list[_Worker] = []
    busy: dict[Connection, _Worker] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < num_proc:
                worker = idle.pop() if idle else _start(context, function, memory_limit)
                worker.index, job = waiting.pop()
                worker.deadline = time.monotonic() + time_limit
                worker.num_jobs += 1
                worker.connection.send(job)
                busy[worker.connection] = worker
            began = time.monotonic()
            patience = max(0.0, min(worker.deadline for worker in busy.values()) - began)
            ready = wait(list(busy), timeout=patience)
            if time.monotonic() - began - patience > SUSPENDED:  # this process was stopped, and its workers with it
                for worker in busy.values():
                    worker.deadline = time.monotonic() + time_limit
            for connection in ready:
                worker = busy.pop(connection)
                result = _receive(worker)
                if isinstance(result, OSError):
                    raise result
                if isinstance(result, Lost) or worker.num_jobs >= JOBS_PER_PROCESS:
                    worker.stop()
                else:
                    idle.append(worker)
                yield worker.index, result
            for worker in [worker for worker in busy.values() if worker.deadline <= time.monotonic()]:
                del busy[worker.connection]
                worker.stop()
                yield worker.index, Lost("timed_out", f"it was not done after {time_limit:g} s")
    finally:
        for worker in [*idle, *busy.values()]:
            worker.stop()


def _start(context, function: Callable, memory_limit: int) -> _Worker:
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, function, memory_limit), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _work(connection: Connection, function: Callable, memory_limit: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + memory_limit,) * 2)
    while True:
        try:
            job = connection.recv()
        except EOFError:  # whoever gave the jobs is gone
            return
        try:
            result = function(*job)
        except OSError as error:  # a full disk, too many open files: no fault of this job
            result = error
        except MemoryError:
            result = Lost("out_of_memory", f"it needs more than {memory_limit / 2**30:g} GiB of memory")
        connection.send(result)


def _address_space() -> int:
    """Bytes of address space that this process has."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _receive(worker: _Worker) -> object:
    try:
        return worker.connection.recv()
    except EOFError:
        worker.process.join()
        return Lost("crashed", f"its process ended with exit code {worker.process.exitcode}")
