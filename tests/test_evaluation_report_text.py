import re

import pytest
from answered import SKIPPED, answer, answers, judged, report_of, run_of

from mmprolong_hf.evaluation.report import build_report
from mmprolong_hf.evaluation.report_comparison import compare_runs
from mmprolong_hf.evaluation.report_text import known_table, report_text
from mmprolong_hf.evaluation.scoring_run import score_by_rule


def text_of(report):
    return report_text(report, "accuracy.png")


def tables(text):
    """Each table as its lines."""
    return [block.strip().split("\n") for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.M)]


def test_every_line_of_a_table_has_as_many_cells_as_its_head():
    records = answers(0.5, num=6)
    records[0] |= {"prediction": "", "error": "a | b\nc"}
    scores = score_by_rule(records) + judged(records)
    comparison = [{**part, "other": "outputs/base"} for part in compare_runs(scores, scores, "outputs/base")]
    run = run_of(records, [SKIPPED]) | {"notes": ["Two documents have one name."]}
    text = text_of(build_report(run, {record["id"]: record for record in records}, scores, comparison))
    found = tables(text)
    assert len(found) == 11
    for table in found:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table}
        assert len(widths) == 1, table
    assert r"| a \| b c | 1 |" in text
    assert "- Two documents have one name." in text
    assert "\n\n\n" not in text


def test_scores_failures_and_both_means_are_in_the_table():
    records = [answer("1"), answer("2", prediction=" 7"), answer("3"), answer("4", prediction="", error="cut off")]
    text = text_of(report_of(records, skipped=[SKIPPED]))
    assert "4 of 4 questions answered, 1 of them failed; 1 could not be asked." in text
    assert "| mmlongdoc | 64K | 4 | 1 | 1 | 50.0 | 15.0 to 85.0 | Wilson | 66.7 (3) | 114.4 |" in text
    assert "| cut off | 1 |" in text


def test_the_headline_is_in_the_table():
    text = text_of(report_of(answers(1.0, num=4)))
    assert "| **ALL** | 64K and 128K | 24 | | | **100.0** |" in text


def test_both_metrics_have_their_own_part_and_refusals_say_why():
    records = answers(0.5, num=4)
    text = text_of(report_of(records, score_by_rule(records) + judged(records)))
    rule, judge = text.index("## doc_qa v1.0"), text.index("## doc_qa_llm v1.1, prompt v1.0, judge J, prompt 1234")
    assert rule < text.index("### Beside MMLongBench, document questions") < judge
    assert (
        "No difference is given: not comparable with MMProLong, document questions (arXiv 2605.13831" in text[judge:]
    )


def test_what_is_unfinished_or_suspicious_is_said_first():
    records = answers(1.0, num=4, prediction=" " + " ".join(map(str, range(101))))
    report = build_report(
        run_of(records), {record["id"]: record for record in records[:5]}, score_by_rule(records[:5])
    )
    text = text_of(report)
    assert "**Unfinished: 19 questions have no answer yet and are in no mean.**" in text
    assert "**Warning: 5 of 5 answers hold 10 numbers or 100 words more than the right answer" in text
    assert text.index("Warning") < text.index("## doc_qa")
    finished = text_of(report_of(answers(1.0, num=4)))
    assert "Unfinished" not in finished
    assert "Warning" not in finished


def test_a_paper_without_averages_to_compare_is_shown_by_dataset():
    rows = [
        {"model": m, "dataset": d, "context_length": 8192, "known": 1.0, "difference": 0.0}
        for m, d in (("M", "b"), ("N", "a"))
    ]
    table = known_table(rows)
    assert table["columns"] == [("a", 8192), ("b", 8192)]
    assert table["lines"] == {"M": [None, rows[0]], "N": [rows[1], None]}


@pytest.mark.parametrize("length", [None, 1000])
def test_lengths_that_are_no_power_of_two_are_written_out(length):
    text = text_of(report_of([answer("1", "mine", length), answer("2", "mine", length)]))
    assert f"| mine | {length or 'own'} | 2 |" in text


def test_what_is_not_compared_with_another_run_is_said():
    records = answers(0.5, num=6)
    ours, theirs = score_by_rule(records) + judged(records), score_by_rule(records)
    comparison = [{**part, "other": "outputs/base"} for part in compare_runs(ours, theirs, "outputs/base")]
    text = text_of(build_report(run_of(records), {record["id"]: record for record in records}, ours, comparison))
    start = text.index("## Beside outputs/base: doc_qa_llm v1.1, prompt v1.0, judge J")
    end = text.index("## What reading nothing scores")
    assert "No difference is given: not comparable with outputs/base: metric is 'doc_qa_llm' here" in text[start:end]
    assert "|" not in text[start:end]
    assert "\n\n\n" not in text
