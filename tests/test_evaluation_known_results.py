import pytest

from mmprolong_hf.evaluation.known_results import Method, check_same_method, differences, load_known_results
from mmprolong_hf.evaluation.metrics.averages import AVERAGES, COLUMNS, mmprolong_averages

RULE = Method("doc_qa", "v1.0", "v1.0")
SETS = ("longdocurl", "mmlongdoc", "slidevqa")


def test_every_average_is_that_of_its_cells():
    checked = 0
    for table in load_known_results():
        for of_lengths in table.results.values():
            for length, scores in of_lengths.items():
                if not set(SETS) <= scores.keys():
                    continue
                cells = {name: scores[name] for name in SETS}
                # printed with 1 or 2 places, and so rounded once more
                assert mmprolong_averages({length: cells}, [length])["ALL"] == pytest.approx(scores["AVG"], abs=0.101)
                checked += 1
    assert checked == 15 * 5 + 13 * 2


def test_the_headline_is_the_mean_of_64k_and_128k():
    table = load_known_results()[2]
    assert len(table.overall) == 13
    for model, overall in table.overall.items():
        scores = table.results[model]
        assert (scores[65536]["AVG"] + scores[131072]["AVG"]) / 2 == pytest.approx(overall, abs=0.011)


def test_datasets_have_the_names_of_the_metrics():
    for table in load_known_results():
        for of_lengths in table.results.values():
            for scores in of_lengths.values():
                assert scores.keys() <= COLUMNS.keys() | AVERAGES.keys() | {"AVG"}


@pytest.mark.parametrize(
    ("ours", "message"),
    [
        (Method("doc_qa_llm", "v1.1", "v1.1", "J"), "judge is 'J' here and 'not named by the paper' there"),
        (Method("doc_qa", "v1.0", "v1.1"), "metric_version is 'v1.0' here and 'v1.1' there"),
        (
            Method("doc_qa_llm", "v1.1", "v1.0", "not named by the paper"),
            "prompt_version is 'v1.0' here and 'v1.1' there$",
        ),
    ],
)
def test_other_metrics_judges_and_prompts_are_refused(ours, message):
    table = load_known_results()[2]
    with pytest.raises(ValueError, match=message):
        differences({65536: {"AVG": 50.0}}, ours, table)


def test_equal_methods_pass():
    check_same_method(RULE, Method("doc_qa", "v1.0", "v1.0"), "the paper")


def test_differences_are_where_both_have_a_score():
    rows = differences(
        {131072: {"AVG": 50.0, "mmlongdoc": None, "mine": 1.0}, 999: {"AVG": 1.0}}, RULE, load_known_results()[0]
    )
    assert {row["context_length"] for row in rows} == {131072}
    assert {row["dataset"] for row in rows} == {"AVG"}
    by_model = {row["model"]: row["difference"] for row in rows}
    assert by_model["Qwen2.5-VL-7B"] == pytest.approx(9.8)
    assert by_model["Qwen2.5-VL-7B, YaRN factor 4, not trained"] == pytest.approx(0.7)
    assert len(by_model) == 19
