from collections import Counter

import pytest

from mmprolong_hf.synthesis.teacher.calls import Call, plan_calls, spread

SEGMENTS = [(1 + 10 * k, 10 + 10 * k) for k in range(10)]


@pytest.mark.parametrize(("wanted", "per_call"), [(1, 1), (7, 2), (10, 1), (19, 2), (20, 2), (5, 30)])
def test_as_few_calls_as_the_number_needs(wanted, per_call):
    calls = plan_calls(SEGMENTS, {"reasoning": wanted}, questions_per_call=per_call, seed="0")
    assert sum(call.num_questions for call in calls) == wanted
    assert len(calls) == -(-wanted // per_call)
    assert max(call.num_questions for call in calls) <= per_call
    assert max(call.num_questions for call in calls) - min(call.num_questions for call in calls) <= 1


def test_no_pages_are_asked_twice_for_one_task():
    calls = plan_calls(SEGMENTS[:2], {"reasoning": 9, "extract-multi": 1}, questions_per_call=2, seed="0")
    assert Counter((call.segment, call.task) for call in calls).most_common(1)[0][1] == 1
    assert sum(call.num_questions for call in calls if call.task == "reasoning") == 4


def test_calls_about_the_same_pages_follow_each_other_and_tasks_share_pages():
    calls = plan_calls(
        SEGMENTS, {"extract-single": 8, "extract-multi": 4, "reasoning": 2}, questions_per_call=1, seed="3"
    )
    order = [call.segment for call in calls]
    assert order == sorted(order)
    pages = {
        task: {c.segment for c in calls if c.task == task} for task in ("extract-single", "extract-multi", "reasoning")
    }
    assert pages["reasoning"] < pages["extract-multi"] < pages["extract-single"]


def test_a_task_without_questions_is_not_asked():
    assert plan_calls(SEGMENTS, {"reasoning": 0, "extract-single": 1}, questions_per_call=2, seed="0") == [
        Call(spread(SEGMENTS, 1, "0")[0], "extract-single", 1)
    ]


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 13, 100])
def test_a_choice_of_segments_is_spread_over_the_document(n):
    segments = [(k, k) for k in range(1, n + 1)]
    for k in range(n + 1):
        chosen = [first for first, _ in spread(segments, k, "seed")]
        assert len(set(chosen)) == k
        around = [b - a for a, b in zip(chosen, [*chosen[1:], chosen[0] + n])] if k else []
        assert not around or max(around) <= 2 * n / k + 2
    assert spread(segments, n, "seed") == segments


def test_the_seed_turns_the_choice():
    first = Counter(spread(SEGMENTS, 1, str(seed))[0] for seed in range(200))
    assert set(first) == set(SEGMENTS)
    assert max(first.values()) < 40
    assert spread(SEGMENTS, 4, "a") == spread(SEGMENTS, 4, "a") != spread(SEGMENTS, 4, "b")


@pytest.mark.parametrize(
    ("tasks", "problem"),
    [
        ({"ocr-full": 1}, "tasks has 'ocr-full', expected some of extract-single, extract-multi, reasoning"),
        ({"reasoning": -1}, "tasks has -1 questions of reasoning, expected at least 0"),
    ],
)
def test_wrong_tasks_are_named(tasks, problem):
    with pytest.raises(ValueError, match=problem):
        plan_calls(SEGMENTS, tasks, questions_per_call=2, seed="0")
