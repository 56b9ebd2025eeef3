import json
import random

import pytest
from answered import REPORT_FILES, SKIPPED, answer, answers, judged, report_of, run_of, verdict
from PIL import Image

from mmprolong_hf.evaluation.report import build_report, write_report
from mmprolong_hf.evaluation.report_comparison import compare_runs
from mmprolong_hf.evaluation.report_text import report_text
from mmprolong_hf.evaluation.scoring_run import score_by_judge, score_by_rule


def test_the_same_answers_give_the_same_files_in_any_order(tmp_path):
    records = answers(0.5, num=8)
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        write_report(report_of(records, score_by_rule(records) + judged(records), [SKIPPED]), folder)
        records = random.Random(0).sample(records, len(records))
    for name in REPORT_FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(REPORT_FILES)
    assert json.loads((tmp_path / "a/report.json").read_text())["num_answered"] == 48
    with Image.open(tmp_path / "a/accuracy.png") as image:
        assert image.size == (1620, 570)


def test_nothing_is_lost_in_silence():
    records = answers(0.5, num=8)
    records[0] |= {"prediction": "", "error": "out of memory"}
    report = report_of(records, skipped=[SKIPPED, {**SKIPPED, "id": "another"}])
    assert (report["num_questions"], report["num_answered"], report["num_failed"], report["num_skipped"]) == (
        48,
        48,
        1,
        2,
    )
    (part,) = report["methods"]
    cell = next(row for row in part["cells"] if (row["dataset"], row["context_length"]) == ("mmlongdoc", 65536))
    assert (cell["num"], cell["num_failed"], cell["num_skipped"]) == (8, 1, 2)
    assert part["failures"] == {"out of memory": 1}
    assert report["skips"] == [{"dataset": "mmlongdoc", "context_length": 65536, "reason": "too long", "num": 2}]


def test_published_scores_of_the_same_method_are_set_beside_and_others_refused():
    records = answers(0.5, num=8)
    rule, judge = report_of(records, score_by_rule(records) + judged(records))["methods"]
    (paper, other) = rule["known"]
    assert len(paper["rows"]) == 15 * 2 * 4 + 4 * 2
    assert paper["refused"] is None
    assert other["rows"] == []
    assert "metric is 'doc_qa' here and 'doc_qa_llm' there" in other["refused"]
    assert all(table["refused"] for table in judge["known"])
    assert "judge is 'J, prompt 1234' here and 'not named by the paper' there" in judge["known"][1]["refused"]


def test_a_set_of_ones_own_has_no_published_scores():
    (part,) = report_of([answer("1", "mine"), answer("2", "mine")])["methods"]
    assert part["known"] == []
    assert part["method"]["metric"] == "exact_match"


def test_strategies_stand_beside_the_model_on_the_same_questions():
    report = report_of(answers(1.0, num=10, lengths=(65536,)))
    assert len(report["guards"]["rows"]) == 3
    for row in report["guards"]["rows"]:
        assert row["model"] == 100.0
        assert row["not answerable"] == pytest.approx(20.0)
        assert row["0 to 100"] == pytest.approx(40.0)
    assert not report["guards"]["suspicious"]


def test_a_model_that_sprays_numbers_is_warned_of():
    report = report_of(answers(1.0, num=10, prediction=" " + " ".join(map(str, range(101)))))
    assert report["guards"]["suspicious"]
    assert report["guards"]["wordiness"]["num_sprays"] == 60


def test_prompts_are_measured_in_tokens_and_positions():
    report = report_of(
        [answer("1"), answer("2", prompt_tokens=64_000, largest_position=2_900), answer("3", prompt_tokens=None)]
    )
    assert report["lengths"] == [
        {
            "dataset": "mmlongdoc",
            "context_length": 65536,
            "mean_pages": 28.0,
            "mean_prompt_tokens": 62_000,
            "max_prompt_tokens": 64_000,
            "largest_position": 2_900,
        }
    ]


def test_judge_and_rule_are_compared_on_the_same_answers():
    records = [answer("1"), answer("2", prediction=" 7")]
    (row,) = report_of(records, score_by_rule(records) + judged(records))["agreement"]
    assert (row["num_questions"], row["share"], row["judge_only"]) == (2, 0.5, ("2",))


def test_a_run_without_answers_has_no_report():
    with pytest.raises(ValueError, match="the run has no answer yet"):
        build_report(run_of([answer("1")]), {}, [])


def test_comparisons_stand_in_the_report():
    records = answers(0.5, num=4)
    scores = score_by_rule(records)
    comparison = [{**part, "other": "outputs/base"} for part in compare_runs(scores, scores, "outputs/base")]
    report = build_report(run_of(records), {record["id"]: record for record in records}, scores, comparison)
    assert report["comparison"][0]["rows"][-1]["p_value"] == 1.0


def test_an_unfinished_run_has_no_block_for_a_model_card(tmp_path):
    records = answers(0.5, num=4)
    write_report(report_of(records), tmp_path)
    assert (tmp_path / "model_index.yaml").exists()
    first = {record["id"]: record for record in records[:-1]}
    write_report(build_report(run_of(records), first, score_by_rule(first.values())), tmp_path)
    assert not (tmp_path / "model_index.yaml").exists()
    assert (tmp_path / "report.md").exists()


@pytest.mark.parametrize("num_seen", [None, 0, 2, 3])
def test_a_judge_that_was_not_asked_is_told(tmp_path, num_seen):
    records = [answer("1"), answer("2"), answer("3"), answer("4", prediction="", error="cut off")]
    verdicts = {record["id"]: verdict(record, error="timed_out: ...") for record in records[: num_seen or 0]}
    by_judge = [] if num_seen is None else score_by_judge(records, verdicts, "J")
    run = run_of(records) | {"options": {"judge": {"temperature": 0.0}}}
    report = build_report(run, {record["id"]: record for record in records}, score_by_rule(records) + by_judge)
    missing = 3 - (num_seen or 0)  # what failed is not judged, and a judge that failed was asked
    assert report["num_unjudged"] == missing
    write_report(report, tmp_path)
    assert (tmp_path / "model_index.yaml").exists() == (missing == 0)
    text = report_text(report, "accuracy.png")
    assert (f"**Not judged: {missing} answers have no verdict yet" in text) == (missing > 0)
    assert report_of(records)["num_unjudged"] == 0  # a plan without a judge


def test_averages_of_equal_scores_have_no_interval(tmp_path):
    records = answers(1.0, num=4)
    records[0]["prediction"] = " 7 apples"  # of 64K: its average has one, as has that of both lengths
    write_report(report_of(records), tmp_path)
    (part,) = json.loads((tmp_path / "report.json").read_text())["methods"]
    found = {(row["name"], row["context_length"]): row for row in part["averages"]}
    assert (found["AVG", 131072]["low"], found["AVG", 131072]["high"]) == (None, None)
    assert found["AVG", 65536]["low"] < found["AVG", 65536]["score"]
    assert found["ALL", None]["low"] < found["ALL", None]["score"]
    assert "| **AVG** | 128K | 12 | | | **100.0** | - | bootstrap | | - |" in (tmp_path / "report.md").read_text()
    assert "95 % -, n = 12" in (tmp_path / "model_index.yaml").read_text()
    assert (tmp_path / "accuracy.png").exists()
