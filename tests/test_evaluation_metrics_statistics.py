"""metrics/statistics.py against closed forms."""

import math
from functools import reduce

import numpy as np
import pytest

from mmprolong_hf.evaluation.metrics.statistics import (
    Z_95,
    Z_POWER,
    bootstrap_interval,
    bootstrap_means,
    compare_paired,
    smallest_detectable_difference,
    standard_error,
    wilson_interval,
)


def shares(right, num):
    return [1.0] * right + [0.0] * (num - right)


def run(**datasets):
    return {name: {f"q{index}": value for index, value in enumerate(values)} for name, values in datasets.items()}


def test_normal_quantiles():
    for z, share in ((Z_95, 0.975), (Z_POWER, 0.8)):
        assert (1 + math.erf(z / math.sqrt(2))) / 2 == pytest.approx(share, abs=1e-12)


@pytest.mark.parametrize(("right", "num"), [(0, 10), (10, 10), (3, 10), (81, 100), (1, 1), (0.5, 7)])
def test_wilson_bounds_solve_their_equation(right, num):
    share = right / num
    for bound in wilson_interval(right, num):
        # the bounds are where the score test has z = 1.96: (share - p)^2 = z^2 p (1 - p) / num
        assert (share - bound) ** 2 == pytest.approx(Z_95**2 * bound * (1 - bound) / num, abs=1e-12)
        assert 0 <= bound <= 1


def test_wilson_refusals():
    assert wilson_interval(0, 0) == (0.0, 1.0)
    for right in (-1, 11):
        with pytest.raises(ValueError, match=f"{right} right of 10, expected a number from 0 to 10"):
            wilson_interval(right, 10)


def test_standard_error_of_shares():
    p, n = 0.3, 100
    one = math.sqrt(p * (1 - p) / (n - 1))
    assert standard_error({"a": shares(30, n)}) == pytest.approx(one)
    assert standard_error({name: shares(30, n) for name in "abcdef"}) == pytest.approx(one / math.sqrt(6))
    with pytest.raises(ValueError, match="b has 1 questions, expected at least 2"):
        standard_error({"a": [0, 1], "b": [1]})


def test_bootstrap_of_two_scores_is_binomial():
    values, counts = np.unique(bootstrap_means({"a": [0.0, 1.0]}), return_counts=True)
    assert values.tolist() == [0.0, 0.5, 1.0]
    # 4 standard deviations of a count of 10,000 trials
    for count, share in zip(counts, (0.25, 0.5, 0.25), strict=True):
        assert abs(count / 10_000 - share) < 4 * math.sqrt(share * (1 - share) / 10_000)


def test_bootstrap_has_the_standard_error_and_the_normal_interval():
    scores = {"large": shares(300, 1_000), "small": shares(40, 50)}
    means = bootstrap_means(scores)
    # resampling divides by n, the standard error by n - 1
    error = math.sqrt(0.3 * 0.7 / 1_000 + 0.8 * 0.2 / 50) / 2
    assert means.mean() == pytest.approx(0.55, abs=4 * error / 100)
    assert means.std() == pytest.approx(error, rel=0.03)  # 4 / sqrt(2 * 10,000)
    low, high = bootstrap_interval(scores)
    assert (low, high) == pytest.approx((0.55 - Z_95 * error, 0.55 + Z_95 * error), abs=0.006)
    # one pool of all questions would have its mean near 0.32
    assert low > 0.45


def test_strata_keep_their_weights_and_equal_scores_have_no_spread():
    assert set(bootstrap_means({"a": [1.0] * 100, "b": [0.0] * 3}, num_samples=50)) == {0.5}
    assert bootstrap_interval({"a": [1.0] * 9}) == (1.0, 1.0)


def test_the_stream_is_fixed():
    scores = {"b": shares(3, 10), "a": shares(5, 7)}
    assert bootstrap_means(scores, num_samples=3).tolist() == pytest.approx([0.528571429, 0.557142857, 0.557142857])
    swapped = dict(reversed(scores.items()))
    assert np.array_equal(bootstrap_means(scores), bootstrap_means(swapped))
    assert not np.array_equal(bootstrap_means(scores), bootstrap_means(scores, seed=1))


def test_samples_do_not_depend_on_how_many_are_drawn_at_once(monkeypatch):
    scores = {"a": shares(5, 7)}
    expected = bootstrap_means(scores)
    monkeypatch.setattr("mmprolong_hf.evaluation.metrics.statistics._DRAWS_AT_ONCE", 100)
    assert np.array_equal(bootstrap_means(scores), expected)


@pytest.mark.parametrize(
    ("scores", "match"), [({}, "no dataset"), ({"a": []}, "a has 0 questions, expected at least 1")]
)
def test_nothing_to_resample(scores, match):
    with pytest.raises(ValueError, match=match):
        bootstrap_means(scores)


def test_comparison_has_the_normal_p_value():
    # 40 questions won, 24 lost, 336 alike
    differences = [1.0] * 40 + [-1.0] * 24 + [0.0] * 336
    comparison = compare_paired(run(a=differences), run(a=[0.0] * 400))
    error = math.sqrt(64 / 400 - 0.04**2) / 20
    assert comparison.difference == pytest.approx(0.04)
    assert comparison.p_value == pytest.approx(math.erfc(0.04 / error / math.sqrt(2)), abs=0.015)
    assert (comparison.low, comparison.high) == pytest.approx((0.04 - Z_95 * error, 0.04 + Z_95 * error), abs=0.004)
    assert comparison.detectable == pytest.approx(2.8015852 * error * math.sqrt(400 / 399))


def test_comparison_is_symmetric_and_even_runs_have_p_1():
    first, second = run(a=shares(60, 100), b=shares(10, 90)), run(a=shares(50, 100), b=shares(20, 90))
    there, back = compare_paired(first, second), compare_paired(second, first)
    assert there.difference == -back.difference == pytest.approx((0.1 - 1 / 9) / 2)
    assert there.p_value == pytest.approx(back.p_value, abs=0.02)
    same = compare_paired(first, first)
    assert (same.difference, same.p_value, same.detectable) == (0, 1, 0)


def test_p_values_of_equal_models_are_uniform():
    stream = np.random.RandomState(5)
    p_values = []
    for _ in range(300):
        first, second = (run(a=(stream.random_sample(120) < 0.5).astype(float)) for _ in range(2))
        p_values.append(compare_paired(first, second, num_samples=500).p_value)
    # 5 % of 300 tests, and 4 standard deviations of that
    assert sum(p <= 0.05 for p in p_values) <= 15 + 4 * math.sqrt(300 * 0.05 * 0.95)
    assert 0.4 < np.mean(p_values) < 0.62


def test_ties_count_although_they_are_rounded():
    differences = [0.3, 0.1, -0.1, -0.1] * 6
    # sums of 24 draws in tenths: 3 and 1 once in 4 each, -1 twice
    shares_of_sums = reduce(np.convolve, [np.array([2, 0, 1, 0, 1]) / 4] * 24)
    sums = np.arange(len(shares_of_sums)) - 24
    ties = shares_of_sums[np.abs(sums - 12) == 12].sum()
    share = shares_of_sums[np.abs(sums - 12) >= 12].sum()
    assert ties > 0.05
    assert compare_paired(run(a=differences), run(a=[0.0] * 24)).p_value == pytest.approx(share, abs=0.015)


@pytest.mark.parametrize(
    ("differences", "p_value"),
    [
        ([1.0, 1.0], 1 / 2),  # two questions show nothing
        ([1.0] * 3 + [0.0] * 97, 1 / 4),  # nor do three of a hundred
        ([1.0] * 5, 1 / 16),
        ([1.0] * 20, 2**-19),
        ([0.3, 0.1, -0.1, -0.1], 7 / 8),  # with ties broken by rounding it is 1 / 2
        ([1.0, 1.0, 1.0, 1.0, -1.0], 12 / 32),
        ([0.0, 0.0], 1.0),
    ],
)
def test_few_differences_have_the_exact_p_value(differences, p_value):
    same = [0.0] * len(differences)
    for first, second in ((differences, same), (same, differences)):
        assert compare_paired(run(a=first), run(a=second)).p_value == p_value


def test_exact_p_values_weigh_datasets_as_the_difference_does():
    first, second = run(a=[1.0, 0.0], b=[1.0, 1.0, 0.0, 0.0]), run(a=[0.0, 0.0], b=[0.0] * 4)
    # 1/4 of a, and 1/8 twice of b: only equal signs reach 1/2
    assert compare_paired(first, second).p_value == 2 / 8
    opposite = run(a=[1.0, 0.0], b=[0.0] * 4)
    assert compare_paired(opposite, run(a=[0.0, 0.0], b=[1.0, 1.0, 0.0, 0.0])).p_value == 1.0  # 1/4 - 1/8 - 1/8


def test_many_differences_have_the_bootstraps():
    p_value = compare_paired(run(a=[1.0] * 21), run(a=[0.0] * 21)).p_value
    assert p_value == 1 / 10_001 > 2**-20


def test_pairing_makes_small_differences_seen():
    first, second = shares(60, 200), [1.0] * 50 + [0.0] * 150
    paired = compare_paired(run(a=first), run(a=second))
    alone = math.sqrt(standard_error({"a": first}) ** 2 + standard_error({"a": second}) ** 2)
    assert paired.p_value < 0.01
    assert paired.detectable < smallest_detectable_difference(alone) / 2


def test_power_is_80_percent_at_the_detectable_difference():
    stream = np.random.RandomState(6)
    effect = smallest_detectable_difference(1.0)
    found = np.abs(stream.normal(effect, 1.0, size=100_000)) > Z_95
    assert found.mean() == pytest.approx(0.8, abs=0.006)


def test_noise_of_the_headline():
    # 100 questions in each of six cells, half of them right: 5 points for a cell, 2 for the overall score
    cells = {str(cell): shares(50, 100) for cell in range(6)}
    assert standard_error({"0": cells["0"]}) == pytest.approx(0.05, abs=0.001)
    assert standard_error(cells) == pytest.approx(0.0204, abs=0.0003)


@pytest.mark.parametrize(
    ("first", "second", "match"),
    [
        (run(a=[1, 0]), run(b=[1, 0]), r"datasets \['a'\], the second \['b'\]"),
        (run(a=[1, 0, 1]), run(a=[1, 0]), "1 questions of a are in one run only, 'q2' among them"),
        (run(a=[1]), run(a=[0]), "a has 1 questions, expected at least 2"),
        ({}, {}, "no dataset"),
    ],
)
def test_what_cannot_be_compared(first, second, match):
    with pytest.raises(ValueError, match=match):
        compare_paired(first, second)
