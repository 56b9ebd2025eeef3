import pytest
from answered import answer, answers

from mmprolong_hf.evaluation.guards import STRATEGIES, measure_wordiness, score_strategies


def mean(records):
    return sum(record.score for record in records) / len(records)


def test_strategies_score_what_they_do_on_these_golds():
    golds = answers(right=0.5)  # a fifth each of Integer, Float, String, List and None
    found = {name: mean(records) for name, records in score_strategies(golds).items()}
    assert found.keys() == STRATEGIES.keys()
    assert found["not answerable"] == pytest.approx(0.2)
    # 42 of 0..100; 0.25 is within 1 % of 25 / 100; two words in 102 for the unanswerable ones
    assert found["0 to 100"] == pytest.approx(0.4)
    assert found["both"] == pytest.approx(0.4 + 0.2 * 2 * (2 / 103) / (1 + 2 / 103), abs=0.001)
    assert found["nothing"] == 0.0
    assert found["the question"] == 0.0


def test_a_copied_question_is_scored_as_one():
    copied = answer("1", question="Is the whale blue?", answer="blue whale", answer_format="String")
    assert score_strategies([copied])["the question"][0].score == pytest.approx(2 * 2 / 3 * 1 / (2 / 3 + 1))


def test_what_failed_for_the_model_does_not_fail_for_a_strategy():
    failed = answer("1", prediction="", error="out of memory")
    assert score_strategies([failed])["0 to 100"][0].score == 1.0


@pytest.mark.parametrize(
    ("said", "sprays"),
    [
        (" 42", 0),
        (" " + " ".join(map(str, range(11))), 1),
        (" " + " ".join(map(str, range(10))), 0),
        (" word" * 101, 1),
    ],
)
def test_a_list_of_numbers_or_a_flood_of_words_is_a_spray(said, sprays):
    assert measure_wordiness([answer("1", prediction=said)]).num_sprays == sprays


def test_a_long_right_answer_may_be_answered_at_length():
    gold = str(list(map(str, range(20)))).replace("'", '"')
    said = " " + gold
    assert measure_wordiness([answer("1", answer=gold, answer_format="List", prediction=said)]).num_sprays == 0


def test_one_in_twenty_is_not_yet_suspicious():
    spray = answer("0", prediction=" " + " ".join(map(str, range(101))))
    rest = [answer(str(number)) for number in range(1, 20)]
    assert not measure_wordiness([spray, *rest]).suspicious
    assert measure_wordiness([spray, spray, *rest]).suspicious
    assert measure_wordiness(rest).mean_words == 1.0
