"""How sure a score is, whether two runs differ, and which difference a run can show at all."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

NUM_SAMPLES = 10_000
Z_95 = 1.959963984540054  # a normal variable is within +-Z_95 of its mean 95 times in 100
Z_POWER = 0.8416212335729143  # and above its mean by no more than Z_POWER 80 times in 100
_DRAWS_AT_ONCE = 1_000_000  # 8 MB
RunScores = Mapping[str, Mapping[str, float]]  # dataset -> question id -> score
MAX_FLIPPED = 20  # differences of which every choice of signs is looked at: 2 ** 20 of them


def wilson_interval(num_right: float, num: int) -> tuple[float, float]:
    """
    95 % confidence interval of a share (E. B. Wilson, 1927): it stays within 0 and 1 and is of use for few trials.

    Args:
        num_right (`float`): How many were right.
        num (`int`): How many were tried; with 0, nothing is known and the interval is all of 0 to 1.

    Raises:
        ValueError: when more were right than were tried, or less than none.

    Example:

    ```python
    >>> [round(bound, 4) for bound in wilson_interval(77, 100)]
    [0.6785, 0.8416]

    ```
    """
    if not 0 <= num_right <= num:
        raise ValueError(f"{num_right} right of {num}, expected a number from 0 to {num}")
    if num == 0:
        return 0.0, 1.0
    share, z2 = num_right / num, Z_95**2
    center = share + z2 / (2 * num)
    half_width = Z_95 * math.sqrt(share * (1 - share) / num + z2 / (4 * num**2))
    # at shares of 0 and 1 the bound is exact, but for rounding
    return max(0.0, (center - half_width) / (1 + z2 / num)), min(1.0, (center + half_width) / (1 + z2 / num))


def standard_error(scores: Mapping[str, Sequence[float]]) -> float:
    """
    Standard error of the mean of the datasets' means, with the questions of each dataset drawn on their own.

    Args:
        scores (`Mapping`): Dataset -> score of each of its questions; at least two questions each.

    Raises:
        ValueError: without a dataset, or with one of fewer than two questions.

    Example:

    ```python
    >>> round(standard_error({"slidevqa": [1.0] * 50 + [0.0] * 50}), 4)
    0.0503

    ```
    """
    strata = _strata(scores, least=2)
    return math.sqrt(sum(values.var(ddof=1) / len(values) for values in strata)) / len(strata)


def bootstrap_means(
    scores: Mapping[str, Sequence[float]], *, num_samples: int = NUM_SAMPLES, seed: int = 0
) -> np.ndarray:
    """
    The mean of the datasets' means, in `num_samples` resamples that keep the number of questions of each dataset (B.
    Efron, 1979).

    The stream is that of numpy's `RandomState`, which numpy promises not to change, and datasets go by their names:
    the same scores and seed give the same samples in every version.

    Args:
        scores (`Mapping`): Dataset -> score of each of its questions.
        num_samples (`int`): Number of resamples.
        seed (`int`): Of the random numbers.

    Returns:
        `np.ndarray` of shape (num_samples,).

    Raises:
        ValueError: without a dataset, or with one that has no question.

    Example:

    ```python
    >>> bootstrap_means({"slidevqa": [1.0, 1.0], "mmlongdoc": [0.0]}, num_samples=2)
    array([0.5, 0.5])

    ```
    """
    strata = _strata(scores, least=1)
    random = np.random.RandomState(seed)
    means = np.zeros(num_samples)
    for values in strata:
        at_once = max(1, _DRAWS_AT_ONCE // len(values))
        for start in range(0, num_samples, at_once):
            rows = min(at_once, num_samples - start)
            means[start : start + rows] += values[random.randint(len(values), size=(rows, len(values)))].mean(axis=1)
    return means / len(strata)


def bootstrap_interval(
    scores: Mapping[str, Sequence[float]], *, num_samples: int = NUM_SAMPLES, seed: int = 0
) -> tuple[float, float]:
    """
    95 % confidence interval of the mean of the datasets' means: the middle of [`bootstrap_means`].

    It has no width where all scores of a dataset are equal; [`wilson_interval`] is the one for shares near 0 and 1.

    Args:
        scores, num_samples, seed: As in [`bootstrap_means`].

    Example:

    ```python
    >>> low, high = bootstrap_interval({"slidevqa": [1.0] * 80 + [0.0] * 20})
    >>> round(low, 2), round(high, 2)
    (0.72, 0.88)

    ```
    """
    low, high = np.quantile(bootstrap_means(scores, num_samples=num_samples, seed=seed), (0.025, 0.975))
    return float(low), float(high)


@dataclass(frozen=True)
class Comparison:
    """
    One run against another on the same questions, from [`compare_paired`].

    Args:
        difference (`float`): Mean of the datasets' means of the first minus the second.
        low, high (`float`): 95 % confidence interval of the difference.
        p_value (`float`): How often chance alone gives a difference at least as large, in either direction.
        detectable (`float`): The smallest true difference that would be seen 4 times in 5.
    """

    difference: float
    low: float
    high: float
    p_value: float
    detectable: float


def compare_paired(
    first: RunScores, second: RunScores, *, num_samples: int = NUM_SAMPLES, seed: int = 0
) -> Comparison:
    """
    Paired bootstrap: the questions' differences are resampled in each dataset, and shifted to a mean of 0 for the
    p-value.

    Of few differences this p-value is too small. Where no more than `MAX_FLIPPED` questions differ it is the exact one
    of R. A. Fisher (1935): the share of all choices of the differences' signs that give one at least as large.

    Source: B. Efron and R. Tibshirani, "An Introduction to the Bootstrap" (1993), section 16.4.

    Args:
        first, second (`RunScores`): Dataset -> question id -> score.
        num_samples, seed: As in [`bootstrap_means`].

    Raises:
        ValueError: when the runs did not answer the same questions, or a dataset has fewer than two.

    Example:

    ```python
    >>> first = {"slidevqa": {str(question): 1.0 for question in range(100)}}
    >>> second = {"slidevqa": {str(question): float(question >= 30) for question in range(100)}}
    >>> comparison = compare_paired(first, second)
    >>> round(comparison.difference, 2), comparison.p_value < 0.001
    (0.3, True)

    ```
    """
    differences = _differences(first, second)
    means = bootstrap_means(differences, num_samples=num_samples, seed=seed)
    difference = sum(sum(values) / len(values) for values in differences.values()) / len(differences)
    low, high = np.quantile(means, (0.025, 0.975))
    shares = [value / len(values) / len(differences) for values in differences.values() for value in values if value]
    if len(shares) <= MAX_FLIPPED:
        sums = reduce(lambda sums, share: np.concatenate((sums + share, sums - share)), shares, np.zeros(1))
        p_value = _share_beyond(sums, difference)
    else:
        p_value = (_share_beyond(means - difference, difference) * num_samples + 1) / (num_samples + 1)
    detectable = smallest_detectable_difference(standard_error(differences))
    return Comparison(difference, float(low), float(high), p_value, detectable)


def smallest_detectable_difference(error: float) -> float:
    """
    The true difference that a two-sided test at 5 % finds with a power of 80 %: (1.96 + 0.84) standard errors.

    Args:
        error (`float`): Standard error of the difference: [`standard_error`] of paired differences; for two
            independent runs the root of the sum of their squares.

    Example:

    ```python
    >>> one_run = (0.5 * 0.5 / 100) ** 0.5
    >>> round(smallest_detectable_difference(one_run * 2**0.5), 3)
    0.198

    ```
    """
    return (Z_95 + Z_POWER) * error


def _share_beyond(by_chance: np.ndarray, found: float) -> float:
    # Scores come in few sizes, so that ties are common and rounding must not break them.
    return float(np.mean(np.abs(by_chance) >= abs(found) - 1e-12))


def _differences(first: RunScores, second: RunScores) -> dict[str, list[float]]:
    if first.keys() != second.keys():
        raise ValueError(
            f"the first run has the datasets {sorted(first)}, the second {sorted(second)}, expected the same"
        )
    for dataset in first:
        if unpaired := first[dataset].keys() ^ second[dataset].keys():
            raise ValueError(
                f"{len(unpaired)} questions of {dataset} are in one run only, {min(unpaired)!r} among them, expected "
                "the same questions in both: score both runs on the questions they share"
            )
    return {
        dataset: [value - second[dataset][question] for question, value in sorted(first[dataset].items())]
        for dataset in first
    }


def _strata(scores: Mapping[str, Sequence[float]], least: int) -> list[np.ndarray]:
    """The scores of each dataset, by the datasets' names."""
    if not scores:
        raise ValueError("scores has no dataset, expected at least one")
    for dataset, values in scores.items():
        if len(values) < least:
            raise ValueError(f"{dataset} has {len(values)} questions, expected at least {least}")
    return [np.asarray(scores[dataset], dtype=float) for dataset in sorted(scores)]
