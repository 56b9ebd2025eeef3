"""The calls that may cost something, written down one by one, and what they add up to."""

import math
import time
from pathlib import Path

from .database import open_database


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


class Ledger:
    """
    One row for each call that may cost something, and their sum.

    Args:
        path (`str` or `Path`): SQLite file, made if missing; it may be the file of the replies.

    Example:

    ```python
    >>> ledger = Ledger(":memory:")
    >>> number = ledger.enter("ab12", "qwen", 0.06, "open", limit=0.10)
    >>> ledger.enter("cd34", "qwen", 0.05, "open", limit=0.10) is None, ledger.spent, ledger.unsettled
    (True, 0.0, 0.06)
    >>> charge = Charge(0.06)
    >>> charge.settle(9000, 50, 0.02)
    >>> ledger.correct(number, 0.06, charge)
    >>> ledger.spent, ledger.unsettled
    (0.02, 0.0)
    >>> ledger.close()

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

    def __init__(self, path: str | Path):
        self._database = open_database(path, self.TABLES)

    def enter(self, key: str, model: str, usd: float, state: str, *, limit: float = math.inf) -> int | None:
        """
        Write down a call before it is made.

        Args:
            key (`str`): Of the request.
            model (`str`): Who is asked.
            usd (`float`): The most that it can cost.
            state (`str`): `"open"`, or `"exported"` to a batch file.
            limit (`float`, *optional*): USD that all calls together may reach.

        Returns:
            `int`: Number of the entry; `None`, and no entry, if the sum would exceed the limit.
        """
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            fits = self._database.execute("UPDATE total SET usd = usd + ? WHERE usd + ? <= ?", (usd, usd, limit))
            if not fits.rowcount:
                return None
            entry = (key, model, state, 0, 0, usd, time.time())
            return self._database.execute("INSERT INTO calls VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", entry).lastrowid

    def correct(self, number: int, entered: float, charge: Charge) -> None:
        """
        Put what became of a call in place of what it was entered at. One that was open and is free is struck out.

        Args:
            number (`int`): Of the entry.
            entered (`float`): USD that it was entered at.
            charge (`Charge`): What became of it.
        """
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.execute("UPDATE total SET usd = usd + ?", (charge.usd - entered,))
            if charge.state == "free":
                self._database.execute("DELETE FROM calls WHERE id = ? AND state = 'open'", (number,))
            self._database.execute(
                "UPDATE calls SET state = ?, prompt_tokens = ?, completion_tokens = ?, usd = ? WHERE id = ?",
                (charge.state, *charge.tokens, charge.usd, number),
            )

    def find_export(self, key: str) -> tuple[int, float] | None:
        """Number of the entry of a request in a batch file, and the USD that it was entered at; `None` if there is none."""
        query = "SELECT id, usd FROM calls WHERE key = ? AND state = 'exported'"
        return self._database.execute(query, (key,)).fetchone()

    def model_of(self, key: str) -> str | None:
        """Who a request was entered for, or `None`."""
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
        """Close the file."""
        self._database.close()

    def _sum(self, condition: str) -> float:
        return self._database.execute(f"SELECT coalesce(sum(usd), 0.0) FROM calls WHERE {condition}").fetchone()[0]


def read_bills(path: str | Path) -> dict[str, dict]:
    """
    What a ledger holds, by model.

    Args:
        path (`str` or `Path`): SQLite file of a [`Ledger`].

    Returns:
        `dict[str, dict]`: Model -> `calls` that were billed, their `prompt_tokens` and `completion_tokens`, `usd`, and
        `unsettled_usd`: the most that calls whose bill never came may cost.
    """
    database = open_database(path, Ledger.TABLES)
    rows = database.execute(
        "SELECT model, SUM(state = 'paid'), SUM(prompt_tokens), SUM(completion_tokens), "
        "SUM(CASE WHEN state = 'paid' THEN usd ELSE 0.0 END), SUM(CASE WHEN state = 'paid' THEN 0.0 ELSE usd END) "
        "FROM calls GROUP BY model ORDER BY model"
    ).fetchall()
    database.close()
    names = ("calls", "prompt_tokens", "completion_tokens", "usd", "unsettled_usd")
    return {model: dict(zip(names, values)) for model, *values in rows}
