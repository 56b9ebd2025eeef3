import pytest
from answered import answer, verdict

from mmprolong_hf.evaluation.known_results import Method
from mmprolong_hf.evaluation.scoring_run import (
    gold_hash,
    judged_gold,
    parsed_answer,
    read_score,
    score_by_judge,
    score_by_rule,
)


@pytest.mark.parametrize("dataset", ["mmlongdoc", "longdocurl", "slidevqa"])
def test_mmlongbenchs_sets_have_its_rule(dataset):
    (record,) = score_by_rule([answer("1", dataset, prediction=" page 42, or 7")])
    assert (record.score, record.error, record.empty) == (1.0, None, False)
    assert record.method == Method("doc_qa", "v1.0", "v1.0")


def test_any_other_set_is_scored_exactly():
    (right, wrong) = score_by_rule([answer("1", "mine"), answer("2", "mine", prediction=" page 42, or 7")])
    assert (right.score, wrong.score) == (1.0, 0.0)
    assert right.method == Method("exact_match", "v1", "v1.0")


def test_a_failure_is_a_zero_with_its_reason_whatever_is_the_right_answer():
    failed = answer("1", "mine", answer="", answer_format="String", prediction="", error="out of memory")
    (record,) = score_by_rule([failed])
    assert (record.score, record.error, record.empty) == (0.0, "out of memory", True)


def test_a_right_answer_that_is_not_of_its_format_is_told():
    (record,) = score_by_rule([answer("1", answer="[1, 2", answer_format="List")])
    assert record.score == 0.0
    assert "as List" in record.error


@pytest.mark.parametrize(
    ("start", "said", "parsed"),
    [
        ("Answer:", " 5", "5"),
        ("", "I think so. Answer: 5", "5"),
        ("", "5", "5"),
        ("Answer:", "Answer: 5", "5"),
        ("Answer:", " ", ""),
    ],
)
def test_what_is_scored_stands_behind_answer(start, said, parsed):
    assert parsed_answer({"answer_start": start, "prediction": said}) == parsed


@pytest.mark.parametrize(
    ("given", "score", "error"),
    [
        (verdict(answer("1")), 1.0, None),
        (verdict(answer("1"), error="bad_reply: the judge gave 5"), 1.0, "bad_reply: the judge gave 5"),
        (verdict(answer("1"), 0.0, "timed_out: ..."), 0.0, "timed_out: ..."),
        (verdict(answer("1", prediction="an answer before")), 0.0, "the judge was not asked"),
        (verdict(answer("1", answer="41")), 0.0, "the judge was not asked"),
        (None, 0.0, "the judge was not asked"),
    ],
)
def test_a_judge_that_fails_is_told(given, score, error):
    (record,) = score_by_judge([answer("1")], {} if given is None else {"1": given}, "J, prompt 1234")
    assert (record.score, record.error) == (score, error)
    assert record.method == Method("doc_qa_llm", "v1.1", "v1.0", "J, prompt 1234")


def test_an_answer_that_failed_is_not_judged():
    failed = answer("1", prediction="", error="cut off")
    (record,) = score_by_judge([failed], {"1": verdict(failed)}, "J")
    assert (record.score, record.error) == (0.0, "cut off")


@pytest.mark.parametrize(
    ("dataset", "gold", "answer_format", "told"),
    [
        ("mine", "a; b", "List", '["a", "b"]'),
        ("mine", "a; b", "String", "a; b"),
        ("slidevqa", '["a"]', "List", '["a"]'),
    ],
)
def test_a_judge_is_told_lists_as_json(dataset, gold, answer_format, told):
    assert judged_gold({"dataset": dataset, "answer": gold, "answer_format": answer_format}) == told


def test_scores_are_read_as_they_were_written():
    (record,) = score_by_rule([answer("1")])
    assert read_score(record.to_row()) == record


def test_a_score_knows_the_right_answer_it_was_scored_against():
    records = [
        answer("1"),
        answer("1", answer="43"),
        answer("1", answer_format="String"),
        answer("1", prediction=" 9"),
    ]
    golds = [record.gold for record in score_by_rule(records)]
    assert golds[0] == golds[3] == gold_hash(answer("2"))
    assert len(set(golds)) == 3
