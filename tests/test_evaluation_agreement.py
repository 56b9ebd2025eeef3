"""Cohen's kappa, against values worked out by hand."""

import pytest

from mmprolong_hf.evaluation.agreement import compare_with_rule


def scores(*counts):
    """Judge's and rule's scores from the four cells: both right, the judge alone, the rule alone, both wrong."""
    pairs = [pair for pair, n in zip(((1, 1), (1, 0), (0, 1), (0, 0)), counts) for _ in range(n)]
    return tuple({str(i): pair[side] for i, pair in enumerate(pairs)} for side in (0, 1))


@pytest.mark.parametrize(
    ("counts", "share", "kappa"),
    [
        # (0.7 - 0.5) / (1 - 0.5), where chance is 0.5 * 0.6 + 0.5 * 0.4
        ((20, 5, 10, 15), 0.7, 0.4),
        # chance is 0.7 * 0.6 + 0.3 * 0.4 = 0.54
        ((45, 25, 15, 15), 0.6, (0.6 - 0.54) / (1 - 0.54)),
        ((1, 0, 0, 1), 1.0, 1.0),
        ((0, 1, 1, 0), 0.0, -1.0),
        ((1, 1, 1, 1), 0.5, 0.0),
        ((5, 0, 0, 0), 1.0, None),
        ((0, 0, 0, 5), 1.0, None),
        ((0, 5, 0, 0), 0.0, 0.0),
    ],
)
def test_kappa_is_cohens(counts, share, kappa):
    found = compare_with_rule(*scores(*counts))
    assert found.share == share
    assert found.kappa == (None if kappa is None else pytest.approx(kappa, abs=1e-12))
    assert (len(found.judge_only), len(found.rule_only)) == counts[1:3]


def test_half_a_point_is_right_and_unjudged_questions_are_counted():
    found = compare_with_rule({"a": 0.5, "b": 0.49}, {"a": 0.49, "b": 0.5, "c": 1.0})
    assert (found.judge_only, found.rule_only) == (("a",), ("b",))
    assert (found.num_questions, found.num_unjudged) == (2, 1)


def test_what_cannot_be_compared_is_named():
    with pytest.raises(ValueError, match="no question is judged"):
        compare_with_rule({}, {"a": 1.0})
    with pytest.raises(ValueError, match="2 judged questions, 'b' first, have no score by the rule"):
        compare_with_rule({"a": 1.0, "c": 1.0, "b": 1.0}, {"a": 1.0})
