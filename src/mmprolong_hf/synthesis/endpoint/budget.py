"""Money: every call is entered before it is sent, and the run stops before it could spend more than allowed."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from .options import EndpointOptions
from .replies import open_database


class BudgetSpent(Exception):
    """The next call could cost more than what is left of the budget. What is answered is kept."""


class Charge:
    """
    One call that may cost something. Until the server's bill is known it counts as the most it can cost.

    Args:
        usd (`float`): The most that the call can cost.
    """

    def __init__(self, usd: float):
        self.usd = usd
        self.state = "lost"
        self.tokens = (0, 0)

    def settle(self, prompt_tokens: int, completion_tokens: int, usd: float) -> None:
        """The server answered: its usage is the bill."""
        self.tokens, self.usd, self.state = (prompt_tokens, completion_tokens), usd, "paid"

    def release(self) -> None:
        """The server did no work: it refused the call or was never reached."""
        self.usd, self.state = 0.0, "free"


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

    TABLES = """
        CREATE TABLE IF NOT EXISTS calls (
            id INTEGER PRIMARY KEY,
            key TEXT NOT NULL,    -- of the request
            model TEXT NOT NULL,
            state TEXT NOT NULL,  -- open, paid, lost (no bill came), exported (to a batch file), free (failed there)
            prompt_tokens INTEGER NOT NULL,
            completion_tokens INTEGER NOT NULL,
            usd REAL NOT NULL,    -- the bill; the most it can be where there is none
            time REAL NOT NULL    -- seconds since 1970
        );
        CREATE INDEX IF NOT EXISTS calls_by_key ON calls (key);
        -- the sum over calls, so that entering one does not read a million
        CREATE TABLE IF NOT EXISTS total (id INTEGER PRIMARY KEY CHECK (id = 1), usd REAL NOT NULL);
        INSERT OR IGNORE INTO total VALUES (1, 0.0);
    """

    def __init__(self, max_usd: float | None = None, path: str | Path = ":memory:"):
        if max_usd is not None and max_usd < 0:
            raise ValueError(f"max_usd is {max_usd}, expected at least 0")
        self.max_usd = max_usd
        self._database = open_database(path, self.TABLES)
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
        while (number := self._enter(key, model, usd, "open")) is None:
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
            self._correct(number, usd, charge)
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
        if self._find_export(key) is None and self._enter(key, model, usd, "exported") is None:
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
        entry = self._find_export(key)
        if entry is None and charge.state == "paid":  # entered without a limit: the money is spent
            entry = (self._enter(key, model, 0.0, "exported", limit=math.inf), 0.0)
        if entry is not None:
            self._correct(*entry, charge)

    def model_of(self, key: str) -> str | None:
        """Who a request was exported for; None if it is not in the ledger."""
        row = self._database.execute("SELECT model FROM calls WHERE key = ?", (key,)).fetchone()
        return row and row[0]

    @property
    def spent(self) -> float:
        """USD of the bills that came."""
        return self._sum("state = 'paid'")

    @property
    def unsettled(self) -> float:
        """USD that calls without a bill can cost at most: open, lost, killed and exported ones."""
        return self._sum("state != 'paid'")

    def close(self) -> None:
        """Close the ledger."""
        self._database.close()

    def _find_export(self, key: str) -> tuple[int, float] | None:
        query = "SELECT id, usd FROM calls WHERE key = ? AND state = 'exported'"
        return self._database.execute(query, (key,)).fetchone()

    def _enter(self, key: str, model: str, usd: float, state: str, limit: float | None = None) -> int | None:
        """Number of the new entry, or `None` if it does not fit."""
        if limit is None:
            limit = math.inf if self.max_usd is None else self.max_usd
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            fits = self._database.execute("UPDATE total SET usd = usd + ? WHERE usd + ? <= ?", (usd, usd, limit))
            if not fits.rowcount:
                return None
            entry = (key, model, state, 0, 0, usd, time.time())
            return self._database.execute("INSERT INTO calls VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", entry).lastrowid

    def _correct(self, number: int, entered: float, charge: Charge) -> None:
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.execute("UPDATE total SET usd = usd + ?", (charge.usd - entered,))
            if charge.state == "free":
                self._database.execute("DELETE FROM calls WHERE id = ? AND state = 'open'", (number,))
            self._database.execute(
                "UPDATE calls SET state = ?, prompt_tokens = ?, completion_tokens = ?, usd = ? WHERE id = ?",
                (charge.state, *charge.tokens, charge.usd, number),
            )

    def _sum(self, condition: str) -> float:
        return self._database.execute(f"SELECT coalesce(sum(usd), 0.0) FROM calls WHERE {condition}").fetchone()[0]

    def _spent(self, usd: float) -> BudgetSpent:
        return BudgetSpent(
            f"the next call can cost {usd:.4f} USD; max_usd is {self.max_usd:g}, of which {self.spent:.4f} are spent "
            f"and {self.unsettled:.4f} may be billed; give a larger max_usd to go on"
        )


def read_bills(path: str | Path) -> dict[str, dict]:
    """
    What a ledger holds, by model.

    Args:
        path (`str` or `Path`): SQLite file of a [`Budget`].

    Returns:
        `dict[str, dict]`: Model -> `calls` that were billed, their `prompt_tokens` and `completion_tokens`, `usd`, and
        `unsettled_usd`: the most that calls whose bill never came may cost.
    """
    database = open_database(path, Budget.TABLES)
    rows = database.execute(
        "SELECT model, SUM(state = 'paid'), SUM(prompt_tokens), SUM(completion_tokens), "
        "SUM(CASE WHEN state = 'paid' THEN usd ELSE 0.0 END), SUM(CASE WHEN state = 'paid' THEN 0.0 ELSE usd END) "
        "FROM calls GROUP BY model ORDER BY model"
    ).fetchall()
    database.close()
    names = ("calls", "prompt_tokens", "completion_tokens", "usd", "unsettled_usd")
    return {model: dict(zip(names, values)) for model, *values in rows}
