import pytest
from answered import answer, answers, judged, verdict

from mmprolong_hf.evaluation.metrics.statistics import bootstrap_interval, wilson_interval
from mmprolong_hf.evaluation.report_tables import agreement_rows, average_rows, by_cell, by_method, cell_row, interval
from mmprolong_hf.evaluation.scoring_run import score_by_judge, score_by_rule

CELL = ("mmlongdoc", 65536)


def scores(*predictions, **changes):
    return score_by_rule(answer(str(number), prediction=said, **changes) for number, said in enumerate(predictions))


def test_a_failure_counts_as_zero_and_upstream_leaves_it_out():
    records = score_by_rule(
        [answer("1"), answer("2"), answer("3", prediction=" 7"), answer("4", prediction="", error="cut off")]
    )
    row = cell_row(CELL, records, num_skipped=3)
    assert (row["num"], row["num_failed"], row["num_skipped"]) == (4, 1, 3)
    assert row["score"] == 50.0
    assert row["score_upstream"] == pytest.approx(200 / 3)
    assert row["num_upstream"] == 3


def test_an_empty_answer_is_no_failure_but_upstream_leaves_it_out_too():
    row = cell_row(CELL, scores(" 42", " "), num_skipped=0)
    assert (row["num_failed"], row["score"], row["score_upstream"]) == (0, 50.0, 100.0)
    assert cell_row(CELL, scores(" "), num_skipped=0)["score_upstream"] is None


def test_the_interval_is_wilsons_for_right_and_wrong_and_the_bootstraps_for_parts():
    assert interval([1.0, 0.0, 1.0]) == (*wilson_interval(2, 3), "Wilson")
    assert interval([1.0, 0.5, 0.0]) == (*bootstrap_interval({"": [1.0, 0.5, 0.0]}), "bootstrap")
    assert interval([0.0] * 20)[1] > 0.1  # nothing right of 20 is not known to be nothing


def test_what_can_be_seen_at_all_is_told_unless_nothing_is_known_of_the_spread():
    # two runs of 100 questions at 50 %: (1.96 + 0.84) * sqrt(2 * 0.25 / 99)
    row = cell_row(CELL, scores(*[" 42", " 7"] * 50), num_skipped=0)
    assert row["detectable"] == pytest.approx(19.91, abs=0.01)
    assert cell_row(CELL, scores(" 42", " 42"), num_skipped=0)["detectable"] is None
    assert cell_row(CELL, scores(" 42"), num_skipped=0)["detectable"] is None


def test_averages_are_mmprolongs_and_need_every_part():
    cells = by_cell(score_by_rule(answers(0.5)))
    rows = {(row["name"], row["context_length"]): row for row in average_rows(cells)}
    assert rows.keys() == {("AVG", 65536), ("AVG", 131072), ("ALL", None)}
    at = {cell: sum(record.score for record in records) / len(records) for cell, records in cells.items()}
    at_64k = [at[dataset, 65536] for dataset in ("longdocurl", "mmlongdoc", "slidevqa")]
    assert rows["AVG", 65536]["score"] == pytest.approx(100 * sum(at_64k) / 3)
    assert rows["ALL", None]["score"] == pytest.approx(
        (rows["AVG", 65536]["score"] + rows["AVG", 131072]["score"]) / 2
    )
    for row in rows.values():
        assert row["low"] < row["score"] < row["high"]
    assert (
        rows["ALL", None]["high"] - rows["ALL", None]["low"] < rows["AVG", 65536]["high"] - rows["AVG", 65536]["low"]
    )
    assert rows["ALL", None]["detectable"] == pytest.approx(rows["AVG", 65536]["detectable"] / 2**0.5, rel=0.05)
    del cells["slidevqa", 131072]
    assert [(row["name"], row["context_length"]) for row in average_rows(cells)] == [("AVG", 65536)]


def test_an_average_weighs_datasets_and_not_questions():
    few = [answer(f"s{k}", "slidevqa") for k in range(2)]
    many = [answer(f"{name}{k}", name, prediction=" 7") for name in ("mmlongdoc", "longdocurl") for k in range(10)]
    (row,) = average_rows(by_cell(score_by_rule([*few, *many])))
    assert row["score"] == pytest.approx(100 / 3)


def test_an_average_of_equal_scores_has_no_interval():
    (row,) = average_rows(by_cell(score_by_rule(answers(1.0, num=3, lengths=(65536,)))))
    assert (row["score"], row["low"], row["high"], row["detectable"]) == (100.0, None, None, None)


def test_methods_stay_apart_and_order_does_not_matter():
    records = answers(0.5, num=3)
    rule = score_by_rule(records)
    by_judge = judged(records)
    found = by_method([*rule, *by_judge])
    assert [str(method) for method in found] == [
        "doc_qa v1.0, prompt v1.0, no judge",
        "doc_qa_llm v1.1, prompt v1.0, judge J, prompt 1234",
    ]
    assert by_method([*reversed(by_judge), *reversed(rule)]) == found


def test_agreement_leaves_out_what_the_judge_failed_on():
    records = [answer("1"), answer("2", prediction=" 7"), answer("3")]
    verdicts = {
        "1": verdict(records[0], 0.0),
        "2": verdict(records[1], 0.0),
        "3": verdict(records[2], 0.0, "timed_out: ..."),
    }
    (row,) = agreement_rows(score_by_rule(records), score_by_judge(records, verdicts, "J"))
    assert (row["num_questions"], row["num_unjudged"], row["share"], row["rule_only"]) == (2, 1, 0.5, ("1",))
