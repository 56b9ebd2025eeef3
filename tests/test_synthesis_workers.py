"""Processes that die or hang."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmprolong_hf.synthesis.workers import Lost, run_isolated


def work(how):
    if how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "hang":
        time.sleep(60)
    if how == "raise":
        raise RuntimeError("a bug")
    if how == "full":
        raise OSError(errno.ENOSPC, "no space left")
    if how == "eat":
        return len(bytearray(2**31))
    return f"done {how}"


@pytest.mark.parametrize("num_proc", [1, 2])
def test_a_lost_process_costs_only_its_own_job(num_proc):
    jobs = [("one",), ("die",), ("two",), ("hang",), ("raise",), ("three",), ("eat",)]
    started = time.monotonic()
    limits = {"time_limit": 4.0, "memory_limit": 2**30}
    results = dict(run_isolated(work, jobs, num_proc=num_proc, **limits, preload="test_synthesis_workers"))
    assert time.monotonic() - started < 30
    assert [results[k] for k in (0, 2, 5)] == ["done one", "done two", "done three"]
    assert results[1] == Lost("crashed", "its process ended with exit code -9")
    assert results[3] == Lost("timed_out", "it was not done after 4 s")
    assert results[4] == Lost("crashed", "its process ended with exit code 1")
    assert results[6] == Lost("out_of_memory", "it needs more than 1 GiB of memory")


def test_enough_memory_is_enough():
    jobs = [("eat",)]
    results = list(run_isolated(work, jobs, num_proc=1, time_limit=20.0, memory_limit=2**32, preload="os"))
    assert results == [(0, 2**31)]


def test_a_machine_that_cannot_go_on_is_no_fault_of_the_job():
    jobs = [("one",), ("full",), ("two",)]
    with pytest.raises(OSError, match="no space left"):
        list(run_isolated(work, jobs, num_proc=1, time_limit=20.0, memory_limit=2**32, preload="os"))


SUSPENDED = """
import os, signal, sys, threading, time
sys.path.insert(0, sys.argv[1])
from test_synthesis_workers import nap
from mmprolong_hf.synthesis.workers import run_isolated
if __name__ == "__main__":
    print(list(run_isolated(nap, [(3.0,)], num_proc=1, time_limit=6.0, memory_limit=2**32, preload="os")), flush=True)
"""


def nap(seconds):
    time.sleep(seconds)
    return "woken"


def test_a_build_that_is_suspended_has_not_timed_out(tmp_path):
    (tmp_path / "program.py").write_text(SUSPENDED)
    command = [sys.executable, str(tmp_path / "program.py"), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as run:
        time.sleep(2.5)
        os.killpg(run.pid, signal.SIGSTOP)
        time.sleep(12.0)
        os.killpg(run.pid, signal.SIGCONT)
        assert run.communicate(timeout=60)[0].strip() == "[(0, 'woken')]"
