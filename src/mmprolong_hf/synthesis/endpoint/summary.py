"""What became of requests, for the report of a run."""

from collections import Counter
from dataclasses import dataclass, field

from .ledger import Charge


@dataclass
class Summary:
    """
    What became of the requests of one endpoint: `requests == cached + answered + pending + sum(failed.values())`.

    Args:
        requests (`int`): Calls of `ask`.
        cached (`int`): Answered by what was on disk, or by a call for the same request that was under way.
        answered (`int`): Answered by a call.
        pending (`int`): Exported to a batch file.
        failed (`Counter[str]`): Without an answer, by reason.
        tries (`Counter[str]`): HTTP requests by outcome: `"answered"` or the reason of a retry or failure.
        prompt_tokens (`int`): Of all calls that were billed, also where the reply could not be used.
        completion_tokens (`int`): The same.
        usd (`float`): The same.
        unsettled (`int`): Tries whose bill never came: the server may have charged them.
        unsettled_usd (`float`): What those can cost at most.
    """

    requests: int = 0
    cached: int = 0
    answered: int = 0
    pending: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    tries: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    unsettled: int = 0
    unsettled_usd: float = 0.0

    def add(self, charge: Charge) -> None:
        """Count what a try cost."""
        if charge.state == "paid":
            self.prompt_tokens += charge.tokens[0]
            self.completion_tokens += charge.tokens[1]
            self.usd += charge.usd
        elif charge.state == "lost":
            self.unsettled += 1
            self.unsettled_usd += charge.usd
