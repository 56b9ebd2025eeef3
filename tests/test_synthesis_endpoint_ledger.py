"""The rows of calls, and what they add up to. The limit and waiting are in test_synthesis_endpoint_budget.py."""

import pytest

from mmprolong_hf.synthesis.endpoint import read_bills
from mmprolong_hf.synthesis.endpoint.ledger import Charge, Ledger


@pytest.fixture
def path(tmp_path):
    return tmp_path / "calls.sqlite"


@pytest.fixture
def ledger(path):
    opened = Ledger(path)
    yield opened
    opened.close()


def billed(usd, *tokens):
    charge = Charge(usd)
    charge.settle(*tokens, usd)
    return charge


def test_a_call_that_would_exceed_the_limit_is_not_entered(ledger):
    assert ledger.enter("a", "m", 0.75, "open", limit=1.0)
    assert ledger.enter("b", "m", 0.5, "open", limit=1.0) is None
    assert ledger.enter("c", "m", 0.25, "open", limit=1.0)
    assert (ledger.spent, ledger.unsettled) == (0.0, 1.0)
    assert ledger.model_of("b") is None


def test_what_a_call_cost_less_is_free_for_others(ledger):
    number = ledger.enter("a", "m", 1.0, "open", limit=1.0)
    ledger.correct(number, 1.0, billed(0.25, 10, 1))
    assert ledger.enter("b", "m", 0.75, "open", limit=1.0)


def test_a_call_that_never_happened_is_struck_out_and_an_export_stays(ledger):
    free = Charge(0.5)
    free.release()
    for state in ("open", "exported"):
        ledger.correct(ledger.enter(state, "m", 0.5, state), 0.5, free)
    assert (ledger.model_of("open"), ledger.model_of("exported")) == (None, "m")
    assert ledger.unsettled == 0.0


def test_an_export_is_found_by_its_request(ledger):
    number = ledger.enter("a", "m", 0.5, "exported")
    ledger.enter("b", "m", 0.5, "open")
    assert ledger.find_export("a") == (number, 0.5)
    assert ledger.find_export("b") is None


def test_bills_are_summed_by_model(ledger, path):
    for model, usd in (("large", 0.5), ("large", 0.25), ("small", 0.125)):
        ledger.correct(ledger.enter("k", model, 1.0, "open"), 1.0, billed(usd, 100, 10))
    ledger.correct(ledger.enter("k", "small", 2.0, "open"), 2.0, Charge(2.0))  # no bill came
    large = {"calls": 2, "prompt_tokens": 200, "completion_tokens": 20, "usd": 0.75, "unsettled_usd": 0.0}
    small = {"calls": 1, "prompt_tokens": 100, "completion_tokens": 10, "usd": 0.125, "unsettled_usd": 2.0}
    assert read_bills(path) == {"large": large, "small": small}
