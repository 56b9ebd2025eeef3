import itertools
from types import SimpleNamespace

import pytest
from accelerate import Accelerator

from mmprolong_hf.data_wait import DataWait


class Clock:
    """Seconds that pass where a test says so: a busy machine changes no share."""

    def __init__(self):
        self.now = 0.0

    def wait(self, seconds):
        self.now += seconds

    def slow(self, packs, seconds):
        for pack in packs:
            self.wait(seconds)
            yield pack

    def taken(self, wait, packs, work):
        for _ in wait.timed(packs):
            self.wait(work)
        return wait.take(Accelerator(cpu=True))


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("mmprolong_hf.data_wait.time", SimpleNamespace(perf_counter=lambda: clock.now))
    return clock


def test_the_share_is_of_waiting_alone(clock):
    wait = DataWait()
    for waiting, work, share in ((3, 1, 0.75), (1, 3, 0.25), (0, 1, 0)):
        figures = clock.taken(wait, clock.slow(range(5), waiting), work)
        assert figures == pytest.approx({"data_wait": share, "data_wait_mean": share})


def test_packs_go_on_where_a_step_left_them(clock):
    """A step takes its packs and drops what timed them; the loader must not be closed with it."""
    wait, packs = DataWait(), clock.slow(range(5), 0)
    steps = [list(itertools.islice(wait.timed(packs), 2)) for _ in range(3)]
    assert steps == [[0, 1], [2, 3], [4]]


def test_waiting_is_told_once_and_not_of_the_start(clock, caplog):
    wait = DataWait()
    clock.taken(wait, clock.slow(range(2), 5), work=1)
    assert not caplog.messages
    clock.taken(wait, clock.slow(range(2), 0.02), work=1)  # less than 2 %
    assert not caplog.messages
    for _ in range(2):
        clock.taken(wait, clock.slow(range(2), 0.03), work=1)
    assert len(caplog.messages) == 1
    assert "data_wait, expected at most 2%" in caplog.messages[0]
    assert "raise dataloader_num_workers" in caplog.messages[0]
