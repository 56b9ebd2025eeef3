"""metrics/judge_score.py against the cases of tests/data/vectors/mmlongbench.json, and on bad replies."""

import builtins

import pytest
from random_text import random_texts
from vectors import vector_cases

from mmprolong_hf.evaluation.metrics.judge_score import judge_score, score
from mmprolong_hf.evaluation.metrics.score import Score

LIST_GOLD = '["a", "b", "c"]'


def counts(given, covered):
    return f'[JSON]: {{"student_answer_count": {given}, "covered_count": {covered}}}'


@vector_cases("mmlongbench")("judge_score")
def test_vectors(case):
    inputs = {name: case["inputs"][name] for name in ("gold", "judge_response", "answer_format")}
    if "raises" in case:
        with pytest.raises(getattr(builtins, case["raises"])):
            judge_score(**inputs, upstream_compat=True)
        assert score(**inputs).value == judge_score(**inputs) == 0
        assert "counts that make no score" in score(**inputs).error
        return
    expected = case["expected"]["score"]
    assert judge_score(**inputs, upstream_compat=True) == pytest.approx(expected, abs=1e-9)
    # 5 covered, of 4 that were given and 3 that are right; and a "[Score]" with another one in the JSON behind it
    if case["id"] in ("mmlongbench-0592", "mmlongbench-0574"):
        assert judge_score(**inputs) == 0
        return
    assert judge_score(**inputs) == pytest.approx(min(max(expected, 0), 1), abs=1e-9)


@pytest.mark.parametrize(
    ("reply", "upstream", "value", "error"),
    [
        ("[Score]: 1 point", 1, 1, None),
        ('[Score]:0 points\n[JSON]: {"answer_score": 1}', 0, 1, None),
        ("[Score]: 5 points", 5, 1, "the judge gave 5, expected 0 to 1"),
        ("[Score]: -2 points", -2, 0, "the judge gave -2, expected 0 to 1"),
        ('[JSON]:\n```json\n{"answer_score": 0.5, "why": {"x": 1}}', 0.5, 0.5, None),
        ('[JSON]: {"answer_score": "1"}', 1, 1, None),
        ('[JSON]: {"answer_score": [1]}', 0, 0, "the judge gave no score"),
        ('[JSON]: {"other": 1}', 0, 0, "the judge gave no score"),
        ('[JSON]: {"answer_score": 1', 1, 1, None),
        ('I say "answer_score":1.', 1, 1, None),
        ('[JSON]: {"answer_score": 1e999}', float("inf"), 0, "the judge gave inf, expected 0 to 1"),
        ('[JSON]: {"answer_score": NaN}', None, 0, "the judge gave nan, expected 0 to 1"),
        ("[JSON]: " + '{"a":' * 100_000, 0, 0, "the judge gave no score"),
        ("Looks right.", 0, 0, "the judge gave no score"),
        ("", 0, 0, "the judge gave no score"),
    ],
)
def test_points(reply, upstream, value, error):
    result = score("5", reply, "Integer")
    assert (result.value, result.error) == (value, error)
    if upstream is not None:  # not a number is not equal to itself
        assert judge_score("5", reply, "Integer", upstream_compat=True) == upstream


@pytest.mark.parametrize(
    ("reply", "value", "error"),
    [
        (counts(3, 3), 1, None),
        (counts(2, 1), 0.4, None),
        (counts(5, 0), 0, None),
        ('"student_answer_count": 2 "covered_count": 1', 0.4, None),
        (counts(1, 3), 0, "student_answer_count is 1 and covered_count 3, expected whole numbers"),
        (counts(5, 4), 0, "covered at most the count and 3"),
        (counts(3, -1), 0, "counts that make no score"),
        (counts(1.5, 1), 0, "counts that make no score"),
        (counts("true", 1), 0, "counts that make no score"),
        (counts("[" + "1, " * 99 + "1]", 1), 0, "counts that make no score"),
        (counts("1e999", 1), 0, "counts that make no score"),
        (counts("2.0", 1), 0.4, None),
        (counts(0, 0), 0, None),
        (counts(-3, 3), 0, "counts that make no score"),
        (counts(0, 2), 0, "counts that make no score"),
        (counts('"2"', 1), 0, "counts that make no score"),
        (counts("NaN", 1), 0, "counts that make no score"),
        (counts(3, "null"), 0, "the judge gave no score"),
        ("fine", 0, "the judge gave no score"),
    ],
)
def test_lists(reply, value, error):
    result = score(LIST_GOLD, reply, "List")
    assert result.value == pytest.approx(value)
    assert result.error is None if error is None else error in result.error


@pytest.mark.parametrize(
    ("gold", "reply", "error"),
    [
        (LIST_GOLD, counts(0, 2), ZeroDivisionError),
        (LIST_GOLD, counts('"2"', 1), TypeError),
        ("[]", counts(1, 1), ZeroDivisionError),
        ("[1, 2", counts(1, 1), ValueError),
    ],
)
def test_upstream_raises(gold, reply, error):
    with pytest.raises(error):
        judge_score(gold, reply, "List", upstream_compat=True)
    assert judge_score(gold, reply, "List") == 0


@pytest.mark.parametrize(
    ("reply", "answer_format", "last", "first"),
    [
        ("The student wrote [Score]: 1 point.\n[Score]: 0 points", "Integer", 0, 1),
        ('"[JSON]: {"answer_score": 1}" is no answer.\n[JSON]: {"answer_score": 0}', "Integer", 0, 1),
        ('The student wrote "answer_score": 1.\n"answer_score": 0', "Integer", 0, 1),
        (f"The student wrote {counts(3, 3)}.\n{counts(2, 1)}", "List", 0.4, 1),
        ("[Score]: 0 points, or rather\n[Score]: 1 point", "Integer", 1, 0),
    ],
)
def test_the_last_mark_counts_and_upstream_takes_the_first(reply, answer_format, last, first):
    gold = LIST_GOLD if answer_format == "List" else "5"
    assert score(gold, reply, answer_format) == Score(pytest.approx(last))
    assert judge_score(gold, reply, answer_format) == pytest.approx(last)
    assert judge_score(gold, reply, answer_format, upstream_compat=True) == pytest.approx(first)


@pytest.mark.parametrize(
    ("reply", "upstream"),
    [
        ('The student wrote "[Score]: 1 point".\n[JSON]: {"answer_score": 0}', 1),
        ('The student wrote [Score]: 1 point.\n[JSON]: {"answer_score": 0}', 1),
        ('[JSON]: {"answer_score": 1}, says the student.\n[Score]: 0 points', 0),
        ('[JSON]: {"answer_score": 0}\nThe student\'s "[Score]: 1 point" is no answer.', 1),
        ('[JSON]: {"answer_score": 0}\nThe student\'s “5. [Score]: 1 point” is no answer.', 1),
        ("[Score]: 0 points\nThe student's '[Score]: 1 point' is no answer.", 0),
        ('[Score]: 0 points\n> [JSON]: {"answer_score": 1}', 0),
        ('[JSON]: {"why": "it says [Score]: 1 point", "answer_score": 0}', 1),
        ('[JSON]: {"why": "5\\" and \\"[Score]: 1 point", "answer_score": 0}', 1),
    ],
)
def test_a_mark_of_another_kind_or_in_a_quotation_does_not_beat_the_judges_own(reply, upstream):
    assert score("5", reply, "Integer") == Score(0.0)
    assert score("5", reply.translate(str.maketrans("01", "10")), "Integer") == Score(1.0)
    assert judge_score("5", reply, "Integer", upstream_compat=True) == upstream


@pytest.mark.parametrize(
    "reply",
    [
        'The student wrote "[Score]: 1 point".',
        'The student wrote "[JSON]: {"answer_score": 1}".',
        '> [JSON]: {"answer_score": 1}',
    ],
)
def test_a_judge_that_only_quotes_a_mark_gave_no_score(reply):
    assert score("5", reply, "Integer") == Score(0.0, "the judge gave no score")
    assert judge_score("5", reply, "Integer", upstream_compat=True) == 1


def test_points_are_no_counts_of_a_list():
    quoted = f'{counts(2, 1)}\nThe student\'s "{counts(3, 3)}" is no count, nor is\n[Score]: 1 point'
    assert score(LIST_GOLD, quoted, "List").value == pytest.approx(0.4)


def test_random_replies_raise_nothing():
    told = 0
    for text in random_texts(10_000, seed=6):
        for gold, answer_format in (("5", "Integer"), (LIST_GOLD, "List")):
            result = score(gold, text, answer_format)
            assert 0 <= result.value <= 1
            told += result.error is not None
    assert 10_000 < told < 20_000
