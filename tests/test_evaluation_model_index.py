import yaml
from answered import answers, judged, report_of
from huggingface_hub import ModelCard, ModelCardData

from mmprolong_hf.evaluation.model_index import eval_results, model_index_yaml, results_text
from mmprolong_hf.evaluation.scoring_run import score_by_rule


def report():
    records = answers(0.5, num=4)
    return report_of(records, score_by_rule(records) + judged(records))


def test_a_model_card_reads_the_block():
    card = ModelCard(f"---\n{model_index_yaml(report())}---\n# Long\n")
    assert card.data.model_name == "long-7B"
    found = {(result.dataset_name, result.metric_type): result for result in card.data.eval_results}
    assert len(found) == len(card.data.eval_results) == 2 * (6 + 3)
    headline = found["ALL, 64K and 128K", "doc_qa"]
    assert headline.dataset_type == "ZhaoweiWang/MMLongBench"
    assert headline.metric_args == {"metric": "doc_qa", "metric_version": "v1.0", "prompt_version": "v1.0"}


def test_values_have_their_interval_and_number_of_questions():
    made = report()
    row = made["methods"][0]["cells"][0]
    result = eval_results(made)[0]
    assert result.metric_value == round(row["score"], 2)
    assert result.metric_name == (
        f"doc_qa v1.0, prompt v1.0, no judge; 95 % {row['low']:.1f} to {row['high']:.1f}, n = 4"
    )


def test_lengths_are_results_of_their_own():
    (entry,) = yaml.safe_load(model_index_yaml(report()))["model-index"]
    names = [result["dataset"]["config"] for result in entry["results"]]
    assert len(names) == len(set(names)) == 9
    assert all(len(result["metrics"]) == 2 for result in entry["results"])  # by rule and by judge


def test_it_is_what_huggingface_hub_writes_itself():
    made = report()
    card = ModelCardData(model_name="long-7B", eval_results=eval_results(made))
    assert card.to_dict()["model-index"] == yaml.safe_load(model_index_yaml(made))["model-index"]


def test_the_tables_of_a_card_hold_the_same_numbers():
    made = report()
    text = results_text(made | {"engine": "org/long-7B (bfloat16)", "notes": ["A note."]})
    row = made["methods"][1]["cells"][0]
    assert f"| {row['dataset']} | 64K | 4 | 0 | {row['score']:.1f} | {row['low']:.1f} to {row['high']:.1f} |" in text
    assert text.count("\n| ALL | 64K and 128K |") == 2
    assert "Measured with `mmprolong evaluate` (bfloat16)." in text
    assert text.endswith("\nA note.\n\n")


def test_the_address_of_a_server_stays_private():
    text = results_text(report() | {"engine": "long on http://10.0.0.7:8000", "processor": "org/long-7B"})
    assert "10.0.0.7" not in text
