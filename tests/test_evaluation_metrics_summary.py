from mmprolong_hf.evaluation.metrics.score import Score
from mmprolong_hf.evaluation.metrics.summary import summarize


def test_failures_count_as_0_and_are_counted():
    assert summarize([Score(1.0), Score(0.5), Score(0.0, "why")]) == {
        "score": 0.5,
        "num": 3,
        "num_failed": 1,
        "scores": [1.0, 0.5, 0.0],
        "errors": [None, None, "why"],
    }


def test_nothing_scored():
    assert summarize([])["score"] is None
