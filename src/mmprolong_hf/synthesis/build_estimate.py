"""What a build is reckoned to take: numbers for all documents, from a sample of them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import mean, stdev

from .endpoint import EndpointOptions
from .model_calls import Call


@dataclass(frozen=True)
class Amount:
    """
    A total, reckoned from a sample.

    Args:
        value (`float`): For all documents.
        spread (`float`): Half the width of its 95 % interval; 0 where all were looked at.

    Example:

    ```python
    >>> print(Amount(1200.0, 250.0), Amount(8.0) * 0.5 + Amount(2.0), sep="; ")
    1,200 (950 to 1,450); 6.00

    ```
    """

    value: float
    spread: float = 0.0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.value + other.value, self.spread + other.spread)

    def __mul__(self, factor: float) -> "Amount":
        return Amount(self.value * factor, self.spread * factor)

    def __str__(self) -> str:
        if not self.spread:
            return f"{self.value:,.2f}" if self.value < 100 else f"{self.value:,.0f}"
        low, high = max(0.0, self.value - self.spread), self.value + self.spread
        form = ",.2f" if self.value < 100 else ",.0f"
        return f"{self.value:{form}} ({low:{form}} to {high:{form}})"


@dataclass
class BuildEstimate:
    """
    What a build would take; `print` it.

    Args:
        num_files (`int`): PDFs that were found.
        num_scanned (`int`): Of them looked at.
        num_built (`int`): Of them read whole.
        rejected (`Counter`): Reason -> documents of those looked at.
        amounts (`dict[str, Amount]`): What is needed, by name.
        models (`dict[str, dict[str, Amount]]`): Model -> calls, tokens and USD, of all that it is asked for.
    """

    num_files: int
    num_scanned: int = 0
    num_built: int = 0
    rejected: Counter = field(default_factory=Counter)
    amounts: dict[str, Amount] = field(default_factory=dict)
    models: dict[str, dict[str, Amount]] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [
            f"{self.num_files} PDFs; looked at {self.num_scanned}, read {self.num_built} of them whole. Nothing was written."
        ]
        if self.rejected:
            lines.append("rejected of these: " + ", ".join(f"{k} {v}" for k, v in self.rejected.most_common()))
        lines += [f"{name}: {amount}" for name, amount in self.amounts.items()]
        for model, amounts in self.models.items():
            lines.append(f"{model}: " + ", ".join(f"{name} {amount}" for name, amount in amounts.items()))
        return "\n".join(lines)

    def total(self, values: Iterable[float]) -> Amount:
        """
        The sum over all files of what was seen in a sample, in which a rejected document counts as 0.

        Args:
            values (`Iterable[float]`): Of each document that was not rejected.

        Example:

        ```python
        >>> estimate = BuildEstimate(num_files=100, num_scanned=4)
        >>> print(estimate.total([10.0, 20.0, 30.0]))  # the fourth was rejected
        1,500 (235 to 2,765)

        ```
        """
        values = list(values)
        values += [0.0] * (self.num_scanned - len(values))
        if not values:
            return Amount(0.0)
        spread = 0.0
        if 1 < self.num_scanned < self.num_files:
            spread = 1.96 * stdev(values) / self.num_scanned**0.5 * self.num_files
        return Amount(mean(values) * self.num_files, spread)

    def add_bill(self, options: EndpointOptions, calls: list[Call], scale: float) -> None:
        """
        Add what a model does in one role; roles may share a model.

        Args:
            options (`EndpointOptions`): The model and its prices.
            calls (`list[Call]`): Of the documents that were read.
            scale (`float`): All documents to those.
        """
        prompt, written = sum(call.prompt for call in calls), sum(call.written for call in calls)
        bill = {
            "calls": Amount(scale * len(calls)),
            "prompt tokens": Amount(scale * prompt),
            "written tokens": Amount(scale * written),
            "USD": Amount(scale * options.cost(prompt, written)),
        }
        earlier = self.models.get(options.model, {})
        self.models[options.model] = {name: amount + earlier.get(name, Amount(0.0)) for name, amount in bill.items()}
