import pytest
from answered import answer, answers

from mmprolong_hf.evaluation.metrics.statistics import compare_paired
from mmprolong_hf.evaluation.report_comparison import compare_runs
from mmprolong_hf.evaluation.scoring_run import score_by_judge, score_by_rule


def test_a_run_is_compared_with_another_question_by_question():
    better, worse = score_by_rule(answers(0.7, num=60)), score_by_rule(answers(0.3, num=60, seed=1))
    (part,) = compare_runs(better, worse, "base")
    *cells, whole = part["rows"]
    assert len(cells) == 6
    assert (whole["dataset"], whole["num"]) == ("all", 360)
    assert whole["p_value"] < 0.001
    assert whole["low"] < whole["difference"] < whole["high"]
    assert whole["difference"] == pytest.approx(sum(row["difference"] for row in cells) / 6)
    pairs = [
        {"a": {r.id: r.score for r in run if (r.dataset, r.context_length) == ("slidevqa", 131072)}}
        for run in (better, worse)
    ]
    expected = compare_paired(*pairs)
    assert cells[-1]["difference"] == pytest.approx(100 * expected.difference)
    assert cells[-1]["p_value"] == expected.p_value


def test_only_the_same_questions_with_the_same_pages_count():
    first = score_by_rule(answer(str(number)) for number in range(6))
    second = score_by_rule(
        [
            answer("0", key="other pages"),
            *(answer(str(number), prediction=" 7") for number in range(1, 5)),
            answer("9"),
        ]
    )
    (part,) = compare_runs(first, second, "base")
    assert part["rows"][0]["num"] == 4
    assert (part["num_only_first"], part["num_only_second"]) == (2, 2)
    assert part["rows"][0]["difference"] == 100.0
    # every question differs by as much
    assert [part["rows"][0][name] for name in ("low", "high", "detectable")] == [None] * 3
    assert part["rows"][0]["p_value"] == 2**-3


def test_questions_with_another_right_answer_are_counted_and_not_compared():
    first = score_by_rule(answer(str(number)) for number in range(6))
    second = score_by_rule(answer(str(number), answer="43" if number < 2 else "42") for number in range(6))
    (part,) = compare_runs(first, second, "base")
    assert (part["num_other_gold"], part["num_only_first"], part["num_only_second"]) == (2, 0, 0)
    assert (part["rows"][0]["num"], part["rows"][0]["difference"]) == (4, 0.0)
    other = score_by_rule(answer(str(number), answer="43") for number in range(6))
    with pytest.raises(ValueError, match=r"0 questions in common, .* \(6 more have another right answer there"):
        compare_runs(first, other, "base")


def test_other_metrics_judges_and_prompts_are_not_compared():
    records = answers(0.5, num=3)
    rule = score_by_rule(records)
    with pytest.raises(ValueError, match=r"not comparable with base: prompt_version is 'v1.0' here and 'v1.1' there"):
        compare_runs(rule, score_by_rule({**record, "prompt_version": "v1.1"} for record in records), "base")
    judged = [score_by_judge(records, {}, name) for name in ("J, prompt 1", "J, prompt 2")]
    with pytest.raises(ValueError, match=r"judge is 'J, prompt 1' here and 'J, prompt 2' there$"):
        compare_runs(*judged, "base")
    part, refused = compare_runs(rule + judged[0], rule + judged[1], "base")
    assert (part["name"], part["refused"]) == ("doc_qa v1.0, prompt v1.0, no judge", None)
    assert refused["name"] == "doc_qa_llm v1.1, prompt v1.0, judge J, prompt 1"
    assert refused["refused"] == ("not comparable with base: judge is 'J, prompt 1' here and 'J, prompt 2' there")


def test_a_method_of_one_run_alone_is_refused_whichever_run_it_is():
    records = answers(0.5, num=3)
    rule, judged = score_by_rule(records), score_by_judge(records, {}, "J")
    for first, second in ((rule + judged, rule), (rule, rule + judged)):
        part, refused = compare_runs(first, second, "base")
        assert part["refused"] is None
        assert refused["name"] == "doc_qa_llm v1.1, prompt v1.0, judge J"
        assert "not comparable with base: metric is" in refused["refused"]


def test_runs_without_common_questions_are_an_error():
    first, second = (score_by_rule([answer(id)]) for id in "ab")
    with pytest.raises(ValueError, match="the run and base have 0 questions in common, expected at least 2"):
        compare_runs(first, second, "base")
    with pytest.raises(ValueError, match="a run has no scores"):
        compare_runs(first, [], "base")
