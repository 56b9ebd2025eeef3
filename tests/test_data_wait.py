import itertools
import time

import pytest
from accelerate import Accelerator

from mmprolong_hf.data_wait import DataWait


def slow(packs, seconds):
    for pack in packs:
        time.sleep(seconds)
        yield pack


def taken(wait, packs, work):
    for _ in wait.timed(packs):
        time.sleep(work)
    return wait.take(Accelerator(cpu=True))


def test_the_share_is_of_waiting_alone():
    wait = DataWait()
    assert taken(wait, slow(range(5), 0.03), work=0.01)["data_wait"] == pytest.approx(0.75, abs=0.15)
    assert taken(wait, slow(range(5), 0.01), work=0.03)["data_wait"] == pytest.approx(0.25, abs=0.15)
    figures = taken(wait, iter(range(5)), work=0.01)
    assert figures["data_wait"] == figures["data_wait_mean"] < 0.02


def test_packs_go_on_where_a_step_left_them():
    """A step takes its packs and drops what timed them; the loader must not be closed with it."""
    wait, packs = DataWait(), slow(range(5), 0)
    steps = [list(itertools.islice(wait.timed(packs), 2)) for _ in range(3)]
    assert steps == [[0, 1], [2, 3], [4]]


def test_waiting_is_told_once_and_not_of_the_start(caplog):
    wait = DataWait()
    taken(wait, slow(range(2), 0.02), work=0)
    assert not caplog.messages
    taken(wait, iter(range(2)), work=0.02)
    assert not caplog.messages
    for _ in range(2):
        taken(wait, slow(range(2), 0.02), work=0)
    assert len(caplog.messages) == 1
    assert "raise dataloader_num_workers" in caplog.messages[0]
