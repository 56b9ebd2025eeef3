"""What a selection came to, in numbers."""

import numpy as np
import pytest

from mmprolong_hf.synthesis.achieved import describe_selection
from mmprolong_hf.synthesis.mixture import MixtureOptions

TABLE = {
    "document": ["a", "a", "b", "b"],
    "task": ["extract-single", "reasoning", "extract-single", "reasoning"],
    "depth": [0, 9, 3, 3],
    "tokens": [40_000, 40_000, 100_000, 100_000],
}
OPTIONS = MixtureOptions(shares={"extract-single": 0.5, "reasoning": 0.5}, lengths={"32K-64K": 0.5, "64K-128K": 0.5})


def describe(rows, options=OPTIONS):
    return describe_selection(TABLE, np.array(rows, dtype=np.int64), options)


def test_all_that_was_wanted():
    numbers = describe([0, 1, 2, 3])
    assert (numbers["samples"], numbers["tokens"], numbers["documents"]) == (4, 280_000, 2)
    assert numbers["lengths"]["32K-64K"] == {"samples": 2, "tokens": 80_000, "share": 0.5, "wanted": 0.5}
    assert numbers["depths"] == {"extract-single": [1, 0, 0, 1] + [0] * 6, "reasoning": [0, 0, 0, 1] + [0] * 5 + [1]}
    assert numbers["histogram"] == {32_768: 2, 98_304: 2}
    assert numbers["shortfall"] == {}


def test_what_is_short_by_a_sample_or_more_is_named():
    assert describe([1, 3])["shortfall"] == {"extract-single": 1}
    assert describe([0, 1])["shortfall"] == {"64K-128K": 1}


@pytest.mark.parametrize(("budget", "missing"), [(300_000, {}), (400_000, {"token_budget": 120_000})])
def test_a_budget_is_short_where_another_sample_would_fit(budget, missing):
    options = MixtureOptions(shares=OPTIONS.shares, token_budget=budget)
    assert describe([0, 1, 2, 3], options)["shortfall"] == missing


def test_nothing_was_chosen():
    numbers = describe([])
    assert (numbers["samples"], numbers["histogram"], numbers["tasks"]["reasoning"]["share"]) == (0, {}, 0.0)
