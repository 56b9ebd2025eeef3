"""The cases of tests/data/vectors: what benchmarks' own code returns or raises."""

import builtins
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


def vector_cases(benchmark: str) -> Callable[[str], pytest.MarkDecorator]:
    """A decorator by the name of a function of the benchmark: it gives a test each `case` of that function."""
    path = Path(__file__).parent / f"data/vectors/{benchmark}.json"
    cases = json.loads(path.read_text(encoding="utf-8"))["cases"]

    def of(function: str) -> pytest.MarkDecorator:
        found = [case for case in cases if case["function"] == function]
        assert found
        return pytest.mark.parametrize("case", found, ids=[case["id"] for case in found])

    return of


def check_eval_score(case: dict, metric: ModuleType) -> None:
    """Both modes of a metric give what upstream gives; what upstream raises is 0 and told by default."""
    inputs = case["inputs"]
    if "raises" in case:
        with pytest.raises(getattr(builtins, case["raises"])):
            metric.eval_score(**inputs, upstream_compat=True)
        assert metric.eval_score(**inputs) == 0
        assert metric.score(**inputs).error
        return
    assert metric.eval_score(**inputs, upstream_compat=True) == pytest.approx(case["expected"], abs=1e-9)
    assert metric.eval_score(**inputs) == pytest.approx(case["expected"], abs=1e-9)


def check_long_answers(metric: ModuleType) -> None:
    """Patterns that go back over a long text would take minutes."""
    for text in ("a" + " " * 200_000 + "b", "(" * 200_000, " (" * 100_000):
        assert metric.score("yes", text, "String").value == 0
        assert metric.get_clean_string(text) == text.strip()
