"""Money: every call is entered before it is sent, and the run stops before it could spend more than allowed."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from .ledger import Charge, Ledger
from .options import EndpointOptions


class BudgetSpent(Exception):
    """The next call could cost more than what is left of the budget. What is answered is kept."""


class Budget:
    """
    A ledger of calls with a limit.

    A call is entered at the most it can cost before it is sent, and corrected when its bill is known. A call whose
    bill never came (cut, timed out, unreadable, killed) stays at its most, because the server may have charged it. So
    the limit holds for what the provider bills and not only for what arrived.

    Args:
        max_usd (`float`, *optional*): Limit in USD over everything in the ledger; none if not given.
        path (`str` or `Path`, *optional*): SQLite file of the ledger; it may be the file of the replies. With it a run
            that is started again goes on counting, and several processes of a machine share one limit. In memory if
            not given.

    Raises:
        ValueError: for a limit below 0.

    Example:

    ```python
    >>> budget = Budget(max_usd=0.10)
    >>> async def call(most, bill):
    ...     async with budget.charge("ab12", "qwen", most) as charge:
    ...         if bill is not None:
    ...             charge.settle(9000, 50, bill)
    >>> asyncio.run(call(0.06, 0.02))
    >>> budget.spent, budget.unsettled
    (0.02, 0.0)
    >>> asyncio.run(call(0.07, None))  # no answer came
    >>> budget.spent, budget.unsettled
    (0.02, 0.07)
    >>> asyncio.run(call(0.02, 0.01))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    mmprolong_hf.synthesis.endpoint.budget.BudgetSpent: the next call can cost 0.0200 USD; max_usd is 0.1, of which ...
    >>> budget.close()

    ```
    """

    def __init__(self, max_usd: float | None = None, path: str | Path = ":memory:"):
        if max_usd is not None and max_usd < 0:
            raise ValueError(f"max_usd is {max_usd}, expected at least 0")
        self.max_usd = max_usd
        self._limit = math.inf if max_usd is None else max_usd
        self._ledger = Ledger(path)
        self._open = 0
        self._waiting: list[asyncio.Future] = []

    def check_prices(self, options: EndpointOptions) -> None:
        """
        Refuse a limit that would never be reached, because a price is missing.

        Args:
            options (`EndpointOptions`): Of the model that is going to be asked.

        Raises:
            ValueError: for a limit and a price of 0.
        """
        if self.max_usd is not None and not (options.prompt_price and options.completion_price):
            raise ValueError(
                f"max_usd is {self.max_usd:g}, but prompt_price is {options.prompt_price:g} and completion_price "
                f"{options.completion_price:g}, expected both above 0; give the prices of {options.model} in USD per "
                "million tokens"
            )

    @asynccontextmanager
    async def charge(self, key: str, model: str, usd: float) -> AsyncIterator[Charge]:
        """
        Enter a call, and its bill at the end of the block.

        A call that does not fit waits for the open ones of this process, which mostly cost less than they could.

        Args:
            key (`str`): Of the request.
            model (`str`): Who is asked.
            usd (`float`): The most that the call can cost.

        Yields:
            `Charge`: To be settled or released; if neither happens, the bill is unknown and the most stays entered.

        Raises:
            BudgetSpent: if the call does not fit though no call of this process is open.
        """
        while (number := self._ledger.enter(key, model, usd, "open", limit=self._limit)) is None:
            if not self._open:
                raise self._spent(usd)
            self._waiting.append(asyncio.get_running_loop().create_future())
            await self._waiting[-1]
        self._open += 1
        charge = Charge(usd)
        try:
            yield charge
        finally:
            self._open -= 1
            self._ledger.correct(number, usd, charge)
            for waiter in self._waiting:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiting.clear()

    def export(self, key: str, model: str, usd: float) -> None:
        """
        Enter a request that is written to a batch file; one that is entered already stays as it is.

        Args:
            key (`str`): Of the request.
            model (`str`): Who will be asked.
            usd (`float`): The most that it can cost.

        Raises:
            BudgetSpent: if it does not fit.
        """
        if (
            self._ledger.find_export(key) is None
            and self._ledger.enter(key, model, usd, "exported", limit=self._limit) is None
        ):
            raise self._spent(usd)

    def settle_export(self, key: str, model: str, charge: Charge) -> None:
        """
        Enter the bill of a request that came back from a batch. One that failed keeps its entry, without a bill, so
        that the ledger knows its result when it is read again.

        Args:
            key (`str`): Of the request.
            model (`str`): Who was asked.
            charge (`Charge`): Settled or released.
        """
        entry = self._ledger.find_export(key)
        if entry is None and charge.state == "paid":  # entered without a limit: the money is spent
            entry = (self._ledger.enter(key, model, 0.0, "exported"), 0.0)
        if entry is not None:
            self._ledger.correct(*entry, charge)

    def model_of(self, key: str) -> str | None:
        """Who a request was exported for; None if it is not in the ledger."""
        return self._ledger.model_of(key)

    @property
    def spent(self) -> float:
        """USD of the bills that came."""
        return self._ledger.spent

    @property
    def unsettled(self) -> float:
        """USD that calls without a bill can cost at most: open, lost, killed and exported ones."""
        return self._ledger.unsettled

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

    def _spent(self, usd: float) -> BudgetSpent:
        return BudgetSpent(
            f"the next call can cost {usd:.4f} USD; max_usd is {self.max_usd:g}, of which {self.spent:.4f} are spent "
            f"and {self.unsettled:.4f} may be billed; give a larger max_usd to go on"
        )
