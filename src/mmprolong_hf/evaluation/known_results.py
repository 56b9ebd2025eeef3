"""Published results, and the refusal to compare them with what was measured in another way."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import resources


@dataclass(frozen=True)
class Method:
    """
    How a score came about. Scores of two methods are not the same quantity.

    Args:
        metric (`str`): Its name, e.g. `"doc_qa"`.
        metric_version (`str`): MMLongBench 1.0 and 1.1 score the same answers of one model up to 9 points apart.
        prompt_version (`str`): Of the words around the pages: with page numbers (`"v1.0"`) or without (`"v1.1"`).
        judge (`str`, *optional*): The model and prompt that graded; `None` for a rule.

    Example:

    ```python
    >>> str(Method("doc_qa", "v1.0", "v1.1"))
    'doc_qa v1.0, prompt v1.1, no judge'

    ```
    """

    metric: str
    metric_version: str
    prompt_version: str
    judge: str | None = None

    def __str__(self) -> str:
        judge = "no judge" if self.judge is None else f"judge {self.judge}"
        return f"{self.metric} {self.metric_version}, prompt {self.prompt_version}, {judge}"


@dataclass(frozen=True)
class KnownTable:
    """
    A table of a paper.

    Args:
        name (`str`): What it is of.
        source (`str`): Where it is printed.
        method (`Method`): How its scores came about.
        results (`Mapping`): Model -> context length in tokens -> dataset or `"AVG"` -> score, 0 to 100.
        overall (`Mapping`): Model -> `"ALL"`, where the paper gives it.
    """

    name: str
    source: str
    method: Method
    results: Mapping[str, Mapping[int, Mapping[str, float]]]
    overall: Mapping[str, float]


def load_known_results() -> tuple[KnownTable, ...]:
    """
    The published tables that come with the package.

    Example:

    ```python
    >>> papers = {table.name: table for table in load_known_results()}
    >>> papers["MMProLong, document questions"].results["MMProLong-7B"][131072]["AVG"]
    55.84

    ```
    """
    tables = json.loads(resources.files(__package__).joinpath("known_results.json").read_text(encoding="utf-8"))
    return tuple(_table(table) for table in tables)


def check_same_method(ours: Method, theirs: Method, name: str) -> None:
    """
    Scores of two methods are not compared.

    Args:
        ours, theirs (`Method`): The two methods.
        name (`str`): Whose the second is.

    Raises:
        ValueError: when they differ in anything; what differs is named with both values.

    Example:

    ```python
    >>> check_same_method(Method("doc_qa", "v1.0", "v1.0"), Method("doc_qa", "v1.1", "v1.0"), "the paper")
    Traceback (most recent call last):
    ...
    ValueError: not comparable with the paper: metric_version is 'v1.0' here and 'v1.1' there

    ```
    """
    differing = [
        f"{f.name} is {getattr(ours, f.name)!r} here and {getattr(theirs, f.name)!r} there"
        for f in fields(Method)
        if getattr(ours, f.name) != getattr(theirs, f.name)
    ]
    if differing:
        raise ValueError(f"not comparable with {name}: {'; '.join(differing)}")


def differences(
    scores: Mapping[int, Mapping[str, float | None]], method: Method, table: KnownTable
) -> list[dict[str, object]]:
    """
    A run's scores minus a paper's, wherever both have one.

    Args:
        scores (`Mapping`): Context length in tokens -> dataset or `"AVG"` -> score, 0 to 100.
        method (`Method`): How they came about.
        table (`KnownTable`): The paper's.

    Returns:
        `list[dict]` with `model`, `context_length`, `dataset`, `score`, `known` and `difference`.

    Raises:
        ValueError: when the methods differ.

    Example:

    ```python
    >>> (paper, *_) = load_known_results()
    >>> row = differences({131072: {"AVG": 50.0}}, Method("doc_qa", "v1.0", "v1.0"), paper)[1]
    >>> row["model"], row["known"], round(row["difference"], 1)
    ('Qwen2.5-VL-7B', 40.2, 9.8)

    ```
    """
    check_same_method(method, table.method, f"{table.name} ({table.source})")
    rows = []
    for model, of_lengths in table.results.items():
        for length, known in of_lengths.items():
            ours = scores.get(length, {})
            for dataset in sorted(known.keys() & ours.keys()):
                if ours[dataset] is None:
                    continue
                where = {"model": model, "context_length": length, "dataset": dataset}
                found = {"score": ours[dataset], "known": known[dataset]}
                rows.append(where | found | {"difference": ours[dataset] - known[dataset]})
    return rows


def _table(table: Mapping) -> KnownTable:
    results, overall = {}, {}
    for model, of_lengths in table["results"].items():
        results[model] = {int(length): scores for length, scores in of_lengths.items() if length != "ALL"}
        if "ALL" in of_lengths:
            overall[model] = of_lengths["ALL"]
    method = Method(*(table[f.name] for f in fields(Method)))
    return KnownTable(table["name"], table["source"], method, results, overall)
