"""Near-duplicates among many."""

import numpy as np
import pytest

from mmprolong_hf.synthesis.pool.duplicates import find_twins, rows_per_band

NUM = 128


def greedy(signatures: np.ndarray, threshold: float) -> list[int]:
    """The definition, all compared with all."""
    kept, twins = [], []
    for index, own in enumerate(signatures):
        similar = [(-(signatures[k] == own).mean(), k) for k in kept if (signatures[k] == own).mean() >= threshold]
        twins.append(min(similar)[1] if similar else -1)
        kept += [index] * (not similar)
    return twins


def families(seed: int) -> np.ndarray:
    """20 documents, each with editions that have more and more of their numbers changed."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(20):
        first = rng.integers(0, 2**32, NUM, dtype=np.uint32)
        for changed in rng.integers(0, 60, 12):
            edition = first.copy()
            edition[rng.choice(NUM, changed, replace=False)] = rng.integers(0, 2**32, changed, dtype=np.uint32)
            rows.append(edition)
    return rng.permutation(np.array(rows))


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.9, 1.0])
def test_the_same_twins_as_when_all_are_compared_with_all(threshold):
    for seed in range(3):
        signatures = families(seed)
        expected = greedy(signatures, threshold)
        assert find_twins(signatures, threshold).tolist() == expected
        assert len({-1} | set(expected)) > 1 or threshold == 1.0


def test_bands_that_are_too_long_would_miss_some(monkeypatch):
    signatures = families(0)
    monkeypatch.setattr("mmprolong_hf.synthesis.pool.duplicates.rows_per_band", lambda threshold: 32)
    assert find_twins(signatures, 0.8).tolist() != greedy(signatures, 0.8)


def test_chains_are_not_followed():
    editions = np.stack(
        [np.where(np.arange(NUM) < changed, 1000 + k, np.arange(NUM)) for k, changed in enumerate([0, 20, 40])]
    )
    editions[2, :20] = editions[1, :20]
    assert [(editions[a] == editions[b]).mean() >= 0.8 for a, b in ((0, 1), (1, 2), (0, 2))] == [True, True, False]
    assert find_twins(editions.astype(np.uint32), 0.8).tolist() == [-1, 0, -1]


def test_none_and_one():
    assert find_twins(np.empty((0, NUM), np.uint32), 0.8).tolist() == []
    assert find_twins(np.ones((1, NUM), np.uint32), 0.8).tolist() == [-1]


@pytest.mark.parametrize("threshold", [0.5, 0.65, 0.8, 0.9, 0.95, 1.0])
def test_bands_are_as_long_as_they_may_be(threshold):
    def missed(rows):
        return (1 - threshold**rows) ** (NUM // rows)

    rows = rows_per_band(threshold)
    assert missed(rows) <= 0.01
    assert rows == NUM or missed(2 * rows) > 0.01
