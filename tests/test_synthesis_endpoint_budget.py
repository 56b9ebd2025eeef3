"""Money: the limit, unknown bills, and ledgers that processes share."""

import asyncio
import subprocess
import sys

import pytest

from mmprolong_hf.synthesis.endpoint import Budget, BudgetSpent
from mmprolong_hf.synthesis.endpoint.ledger import Charge


@pytest.fixture
def ledger(tmp_path):
    budgets = []

    def open_ledger(max_usd=None):
        budgets.append(Budget(max_usd, tmp_path / "calls.sqlite"))
        return budgets[-1]

    yield open_ledger
    for budget in budgets:
        budget.close()


async def call(budget, most, bill=None, *, event=None):
    async with budget.charge("k", "m", most) as charge:
        if event is not None:
            await event.wait()
        if bill == 0.0:
            charge.release()
        elif bill is not None:
            charge.settle(10, 1, bill)


def test_a_negative_limit_is_named():
    with pytest.raises(ValueError, match=r"max_usd is -1.0, expected at least 0"):
        Budget(-1.0)


def test_bills_count_released_calls_do_not_and_lost_ones_count_at_their_most(ledger):
    budget = ledger(1.0)
    asyncio.run(call(budget, 0.5, 0.125))
    assert (budget.spent, budget.unsettled) == (0.125, 0.0)
    asyncio.run(call(budget, 0.5, 0.0))
    assert (budget.spent, budget.unsettled) == (0.125, 0.0)
    asyncio.run(call(budget, 0.5))
    assert (budget.spent, budget.unsettled) == (0.125, 0.5)
    asyncio.run(call(budget, 0.375, 0.375))  # to the limit exactly
    with pytest.raises(
        BudgetSpent, match=r"can cost 0.0100 USD; max_usd is 1, of which 0.5000 are spent and 0.5000 may"
    ):
        asyncio.run(call(budget, 0.01))


def test_a_call_that_raises_stays_at_its_most(ledger):
    budget = ledger(1.0)

    async def fail():
        async with budget.charge("k", "m", 0.5):
            raise TimeoutError

    with pytest.raises(TimeoutError):
        asyncio.run(fail())
    assert (budget.spent, budget.unsettled) == (0.0, 0.5)


def test_a_call_that_does_not_fit_waits_for_open_ones_before_the_run_stops(ledger):
    budget = ledger(1.0)

    async def main():
        event = asyncio.Event()
        first = asyncio.create_task(call(budget, 0.9, 0.1, event=event))
        await asyncio.sleep(0)
        second = asyncio.create_task(call(budget, 0.9, 0.1))
        await asyncio.sleep(0.01)
        assert not second.done()
        event.set()
        await asyncio.gather(first, second)
        assert budget.spent == pytest.approx(0.2)
        with pytest.raises(BudgetSpent):
            await call(budget, 0.9, 0.1)

    asyncio.run(main())


def test_one_who_waits_may_be_cancelled(ledger):
    budget = ledger(1.0)

    async def main():
        event = asyncio.Event()
        first = asyncio.create_task(call(budget, 0.9, 0.1, event=event))
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(call(budget, 0.9, 0.1)) for _ in range(2)]
        await asyncio.sleep(0.01)
        waiting[0].cancel()
        await asyncio.sleep(0)
        event.set()
        await asyncio.gather(first, waiting[1])

    asyncio.run(main())
    assert (budget.spent, budget.unsettled) == (0.2, 0.0)


def test_a_run_that_is_started_again_goes_on_counting(ledger):
    asyncio.run(call(ledger(1.0), 0.7, 0.7))
    again = ledger(1.0)
    assert again.spent == 0.7
    with pytest.raises(BudgetSpent):
        asyncio.run(call(again, 0.4, 0.1))
    asyncio.run(call(ledger(2.0), 0.4, 0.1))  # a larger limit goes on


def test_exported_requests_count_once_until_their_bill_comes(ledger):
    budget = ledger(1.0)
    budget.export("a", "m", 0.75)
    budget.export("a", "m", 0.75)
    assert budget.unsettled == 0.75
    with pytest.raises(BudgetSpent):
        budget.export("b", "m", 0.5)
    bill = Charge(0.0)
    bill.settle(10, 1, 0.25)
    budget.settle_export("a", "m", bill)
    assert (budget.spent, budget.unsettled) == (0.25, 0.0)
    budget.export("b", "m", 0.5)
    nothing = Charge(0.0)
    nothing.release()
    budget.settle_export("b", "m", nothing)
    assert (budget.spent, budget.unsettled) == (0.25, 0.0)
    over = Charge(0.0)
    over.settle(10, 1, 5.0)
    budget.settle_export("never exported here", "m", over)  # it is spent, whatever the limit
    assert (budget.spent, budget.unsettled) == (5.25, 0.0)


SPENDER = """
import asyncio, sys
from mmprolong_hf.synthesis.endpoint import Budget, BudgetSpent
budget = Budget(1.0, sys.argv[1])
async def main():
    async with budget.charge("k", "m", 0.01) as charge:
        charge.settle(10, 1, 0.01)
done = 0
try:
    while True:
        asyncio.run(main())
        done += 1
except BudgetSpent:
    print(done)
"""


def test_processes_share_one_limit(tmp_path, environment, ledger):
    command = [sys.executable, "-c", SPENDER, str(tmp_path / "calls.sqlite")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    done = [int(process.communicate()[0]) for process in processes]
    assert sum(done) in (99, 100)  # a hundred times 0.01, as floats add
    assert ledger().spent == pytest.approx(sum(done) * 0.01)


KILLED = """
import asyncio, os, signal, sys
from mmprolong_hf.synthesis.endpoint import Budget
async def main():
    async with Budget(1.0, sys.argv[1]).charge("k", "m", 0.25):
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


def test_a_call_that_was_open_when_its_process_was_killed_stays_at_its_most(tmp_path, environment, ledger):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "calls.sqlite")], env=environment)
    assert done.returncode == -9
    budget = ledger(1.0)
    assert (budget.spent, budget.unsettled) == (0.0, 0.25)
    with pytest.raises(BudgetSpent):
        asyncio.run(call(budget, 0.8))
