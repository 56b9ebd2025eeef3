"""The share of each kind of sample, where documents hold too little of some."""

import numpy as np
import pytest

from mmprolong_hf.synthesis.allocation import Allocation
from mmprolong_hf.synthesis.mixture import MixtureOptions
from mmprolong_hf.synthesis.weights import _fit, weigh_cells

SHARES = {"extract-single": 0.5, "reasoning": 0.5}


def weigh(documents, **options):
    """Every sample has 40,000 tokens in the first range of lengths, and 80,000 in the second."""
    options = MixtureOptions(shares=SHARES, questions_per_document=100, **options)
    sizes = {row: 40_000 * (part + 1) for cells in documents for (part, *_), rows in cells.items() for row in rows}
    allocation = Allocation(documents, [sizes[row] for row in sorted(sizes)], 100)
    cells = sorted({cell for cells in documents for cell in cells})
    return weigh_cells(allocation, cells, options, options.length_ranges)


def cells(*counts):
    """A document with so many samples of each task in each of the two ranges."""
    keys = [(part, task, False) for part in (0, 1) for task in SHARES]
    bounds = np.cumsum([0, *counts]).tolist()
    return {key: list(range(*bounds[k : k + 2])) for k, key in enumerate(keys) if counts[k]}


LENGTHS = {"32K-64K": 0.5, "64K-128K": 0.5}


def test_where_there_is_enough_weights_are_the_product_of_the_shares():
    weights, limit = weigh([cells(10, 10, 10, 10)], lengths=LENGTHS)
    assert weights == pytest.approx(dict.fromkeys(weights, 0.25))
    assert limit == pytest.approx(40)  # samples: 20 of each range


def test_what_one_range_lacks_of_a_task_the_other_makes_up_for():
    weights, _ = weigh([cells(2, 18, 20, 20)], lengths=LENGTHS)
    assert weights[0, "extract-single", False] == pytest.approx(0.05, abs=0.01)
    for task in (0, 1):
        assert sum(w for (part, *_), w in weights.items() if part == task) == pytest.approx(0.5, abs=0.01)
    assert sum(w for (_, task, _), w in weights.items() if task == "reasoning") == pytest.approx(0.5, abs=0.01)


def test_a_budget_is_its_own_limit():
    assert weigh([cells(10, 10, 10, 10)], lengths=LENGTHS, token_budget=1_000_000)[1] == np.inf
    assert weigh([cells(10, 10, 0, 0)])[1] == np.inf


def test_sums_are_met_and_the_supply_is_never_exceeded():
    rng = np.random.default_rng(0)
    for _ in range(20):
        rows, columns = (part / part.sum() for part in (rng.random(4), rng.random(3)))
        fitted = _fit(rows, columns, np.full((4, 3), 1.0))
        np.testing.assert_allclose(fitted, np.outer(rows, columns), rtol=1e-9)
        supply = np.full((4, 3), 1.0)
        supply[0, 0] = 0.5 * rows[0] * columns[0]  # one kind is rare
        scarce = _fit(rows, columns, supply)
        assert scarce[0, 0] == pytest.approx(supply[0, 0])
        assert scarce[0, 1] > fitted[0, 1]  # the others of its row and column make up for it
        assert scarce[1, 0] > fitted[1, 0]
        np.testing.assert_allclose(scarce.sum(axis=1), rows, rtol=1e-3)
