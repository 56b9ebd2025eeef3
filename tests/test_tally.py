import time

import torch
from accelerate import Accelerator

from mmprolong_hf.tally import Tally


def add(tally, tokens, supervised, counts=True, position=0):
    tally.add(torch.tensor(tokens), torch.tensor(supervised), 3, torch.tensor(counts), torch.tensor(position))


def test_figures_are_those_since_the_last_line():
    tally, accelerator = Tally(), Accelerator(cpu=True)
    add(tally, 800, 20, position=90)
    add(tally, 400, 10, position=120)
    first = tally.take(accelerator, 1000)
    assert first.pop("tokens_per_second") > 0
    assert first.pop("questions_per_second") > 0
    assert (first.pop("data_wait"), first.pop("data_wait_mean")) == (0, 0)
    assert first == {"supervised_tokens": 30, "questions": 6, "fill": 0.6, "largest_position": 120}
    add(tally, 1000, 5, position=50)
    second = tally.take(accelerator, 1000)
    assert (second["supervised_tokens"], second["fill"], second["largest_position"]) == (5, 1.0, 50)


def test_a_filler_is_no_pack():
    tally = Tally()
    add(tally, 500, 20)
    add(tally, 0, 0, counts=False)
    figures = tally.take(Accelerator(cpu=True), 1000)
    assert (figures["fill"], figures["questions"]) == (0.5, 3)


def test_where_every_page_was_broken_nothing_is_full():
    tally = Tally()
    add(tally, 0, 0, counts=False)
    assert tally.take(Accelerator(cpu=True), 1000)["fill"] == 0


def test_the_wait_for_packs_is_among_the_figures():
    tally = Tally()
    add(tally, 500, 20)
    for _ in tally.wait.timed(iter("ab")):
        time.sleep(0.01)
    figures = tally.take(Accelerator(cpu=True), 1000)
    assert 0 < figures["data_wait"] == figures["data_wait_mean"] < 0.5
