"""Processes that die or hang."""

import os
import signal
import time

import pytest

from mmprolong_hf.synthesis.workers import Lost, run_isolated


def work(how):
    if how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "hang":
        time.sleep(60)
    if how == "raise":
        raise RuntimeError("a bug")
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
