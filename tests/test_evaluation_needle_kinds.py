"""needle_kinds.py: what is asked has one right answer in its haystack."""

import random

import pytest

from mmprolong_hf.evaluation.metrics.needle import score
from mmprolong_hf.evaluation.needle_kinds import KINDS, WORDS, Needle, deal_questions, load_needle

DEPTHS = [i / 10 for i in range(11)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_each_question_has_one_answer_among_all_that_is_hidden(kind, seed):
    questions = deal_questions(load_needle(kind), DEPTHS, random.Random(seed))
    assert [question.depth for question in questions] == DEPTHS
    pairs = [pair for question in questions for shown in question.hidden for pair in shown]
    assert len({question.key for question in questions}) == len(DEPTHS)
    assert len({value for _, value in pairs}) == len(pairs)
    for question in questions:
        told = tuple(value for key, value in pairs if key == question.key)
        expected = {"multi": told, "none": "Not answerable"}.get(kind) or told[0]
        assert question.answer == expected
        assert len(told) == {"multi": 3, "none": 0}.get(kind, 1)
        assert score(question.answer, ", ".join(told) or "Not answerable").value == 1


def test_what_else_is_hidden_is_what_the_kind_says():
    dealt = {kind: deal_questions(load_needle(kind), DEPTHS, random.Random(0))[0] for kind in KINDS}
    assert [len(shown) for shown in dealt["table"].hidden] == [3]
    assert [len(shown) for shown in dealt["distractor"].hidden] == [1, 1, 1]
    assert dealt["distractor"].hidden[0][0] == (dealt["distractor"].key, dealt["distractor"].answer)
    assert {key for shown in dealt["multi"].hidden for key, _ in shown} == {dealt["multi"].key}
    assert len(dealt["none"].hidden) == 1
    rows = {deal_questions(load_needle("table"), [0.5], random.Random(s))[0].hidden[0] for s in range(20)}
    places = {[key for key, _ in shown].index(q.key) for s in range(20) for q in deal_questions(load_needle("table"), [0.5], random.Random(s)) for shown in q.hidden}  # fmt: skip
    assert len(rows) > 1
    assert places == {0, 1, 2}, "the row that is asked for is always at the same place"


@pytest.mark.parametrize("kind", KINDS)
def test_the_words_do_not_tell_the_kind(kind):
    needle = load_needle(kind)
    assert needle.kind == kind
    assert "Not answerable" in needle.question


def test_fewer_words_than_questions_are_used_again_but_not_within_one():
    needle = Needle(
        text="{key} {value}", question="{key}?", keys=WORDS[:3], values=WORDS[3:6], kind="distractor", num_hidden=3
    )
    for question in deal_questions(needle, DEPTHS, random.Random(0)):
        assert len({key for shown in question.hidden for key, _ in shown}) == 3
        assert len({value for shown in question.hidden for _, value in shown}) == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": 0}, "size is 0, expected a fraction"),
        ({"size": 1.5}, r"size is 1\.5, expected a fraction"),
        ({"text": "no value {key}"}, "expected a {value} in it"),
        ({"question": "Is it {value}?"}, r"question holds \['value'\], expected only \['key', 'page'\] in braces"),
        ({"text": "{value} {colour}"}, r"text holds \['colour'\], expected only"),
        ({"values": ()}, "12 keys and 0 values, expected at least 1 and 1 for one question"),
        ({"kind": "none", "keys": ("a",)}, "1 keys and 40 values, expected at least 2 and 1"),
        ({"kind": "sound"}, "kind is 'sound', expected one of text, keyvalue"),
        ({"kind": "multi"}, "num_hidden is 1, expected at least 2 of kind 'multi'"),
        ({"num_hidden": 2}, "num_hidden is 2, expected 1 of kind 'text'"),
    ],
)
def test_needle_refuses(fields, message):
    with pytest.raises(ValueError, match=message):
        Needle(**{"text": "{key} {value}", "question": "{key}?"} | fields)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind is 'sound', expected one of text"):
        load_needle("sound")
