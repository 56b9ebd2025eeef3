"""The card of a published checkpoint: what it says of the run, and of evaluations that are of these weights."""

import hashlib
import json
import shutil

import pytest
import tiny
import torch
import yaml
from huggingface_hub import ModelCard
from trained import copied, linked, runs

from mmprolong_hf.evaluation.generate import load_model
from mmprolong_hf.evaluation.options import DocumentsOptions, EvaluationOptions, RopeOptions
from mmprolong_hf.evaluation.plan_engine import weights_hash
from mmprolong_hf.evaluation.plan_run import evaluate, report_run
from mmprolong_hf.hub.card import Card
from mmprolong_hf.hub.model_card import published_card, saved_weights_hash
from mmprolong_hf.hub.model_files import find_checkpoint
from mmprolong_hf.run_record import sha256_of

ID = "me/long"
HEADINGS = ["", "How it was trained", "Evaluation", "How to use it", "Limits"]


def own_hash(row):
    return {"doc_id": hashlib.sha256(row["doc_id"].encode()).hexdigest()}


def plan(world, model, output, **changes):
    documents = DocumentsOptions("cards", dataset=str(world / "set"), lengths=(600,))
    values = {"documents": (documents,), "pages": str(world / "pages"), "max_new_tokens": 4}
    return EvaluationOptions(str(model), str(output), **values | changes)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = linked(tmp_path_factory.mktemp("card"))
    tiny.save_dataset(folder / "set", test=tiny.documents(6).map(own_hash))
    evaluate(plan(folder, folder / "full", folder / "run"))
    report_run(folder / "run")
    return folder


def card_of(folder, evaluations=(), base_model=None):
    return published_card(find_checkpoint(folder), ID, evaluations, base_model)


def test_the_card_tells_the_run(world):
    card = card_of(world / "full")
    record, how = json.loads((world / "full" / "training.json").read_text()), card.sections["How it was trained"]
    assert list(card.sections) == HEADINGS
    recipe = (world / "full" / "recipe.yaml").read_text()
    for part in (
        "| base model | a local checkpoint |",
        "[org/reports](https://huggingface.co/datasets/org/reports); 3 documents, fingerprint of their questions `",
        f"| recipe | `recipe.yaml` of this repository, sha256 `{sha256_of(recipe)}` |",
        "| steps | 2 of 2 |",
        f"| tokens seen | {record['num_tokens']:,} |",
        f"| questions trained | {record['num_questions']:,} |",
        "| page images | 784 to 12,544 pixels after resizing |",
        "| rotary embedding | default, theta 4e+06, mrope_section [2, 3, 3] |",
        "| window | 131,072 tokens |",
        f"| hardware | 1 x {record['hardware'][0]['device']} |",
        f"transformers {record['versions']['transformers']}, trl ",
        "which the recipe names by the last names of their folders",
    ):
        assert part in how, part
    assert record["hardware"][0]["seconds"] > 0
    assert "Nothing was measured." in card.sections["Evaluation"]
    assert "MMMU -3.7 and OCRBench -2.6" in card.sections["Limits"]
    assert str(runs()) not in str(card)


def test_the_card_says_how_to_load(world):
    use = card_of(world / "full").sections["How to use it"]
    assert "With transformers 4.52.4 or newer" in use
    assert 'AutoModelForImageTextToText.from_pretrained("me/long"' in use
    assert "vllm serve me/long --max-model-len 131072" in use
    overrides = json.loads(use.split("--hf-overrides '")[1].split("'`")[0])
    config = json.loads((world / "full" / "config.json").read_text())
    assert overrides == {"text_config": {"rope_parameters": config["text_config"]["rope_parameters"]}}
    assert "mrope_section" in overrides["text_config"]["rope_parameters"]


def test_the_metadata_is_the_hubs(world):
    card = ModelCard(str(card_of(world / "full", base_model="org/base")))
    assert card.data.to_dict() == {
        "library_name": "transformers",
        "pipeline_tag": "image-text-to-text",
        "tags": ["mmprolong_hf", "trl", "sft", "long-context", "document-question-answering"],
        "base_model": "org/base",
        "base_model_relation": "finetune",
        "datasets": ["org/reports"],
    }


def test_an_adapters_card_loads_it_on_its_base_and_merges_it(world):
    card = card_of(world / "lora", base_model="org/base")
    assert card.metadata["library_name"] == "peft"
    assert card.metadata["base_model_relation"] == "adapter"
    use = card.sections["How to use it"]
    assert 'AutoConfig.from_pretrained("me/long")' in use
    assert 'from_pretrained("org/base", config=config' in use
    assert "mmprolong merge me/long FOLDER" in use
    assert "vllm serve" not in use
    assert "LoRA of rank 4" in card.sections["How it was trained"]


def test_what_was_edited_in_the_folder_stays(world, tmp_path):
    folder = copied(world / "full", tmp_path / "edited")
    text = (folder / "README.md").read_text()
    (folder / "README.md").write_text(text.replace("## Limits\n", "## Limits\n\nIt has not read a newspaper.\n"))
    card = card_of(folder)
    assert "It has not read a newspaper." in card.sections["Limits"]
    assert 'from_pretrained("me/long"' in card.sections["How to use it"]  # and what was not is made anew


def test_a_run_of_this_checkpoint_is_on_the_card(world):
    card = card_of(world / "full", [world / "run"])
    report = json.loads((world / "run" / "report.json").read_text())
    cell = report["methods"][0]["cells"][0]
    row = f"| cards | 600 | {cell['num']} | 0 | {cell['score']:.1f} | {cell['low']:.1f} to {cell['high']:.1f} |"
    assert row in card.sections["Evaluation"]
    assert "Nothing was measured" not in str(card)
    assert str(runs()) not in str(card)
    read = ModelCard(str(card))
    assert read.data.model_name == "long"
    assert read.data.eval_results[0].metric_value == round(cell["score"], 2)
    assert f"95 % {cell['low']:.1f} to" in read.data.eval_results[0].metric_name


def test_a_run_of_other_weights_is_refused(world):
    with pytest.raises(ValueError, match=r"is a run of a model with weights [0-9a-f]{8} .*, but those of .*checkpoint-1 are [0-9a-f]{8}; evaluate this"):  # fmt: skip
        card_of(world / "full" / "checkpoint-1", [world / "run"])


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("report.json", {"num_answered": 3}, r"is unfinished: 3 of \d+ questions answered, 0 answers not judged"),
        ("report.json", {"engine": "another"}, "holds a run of .* and a report of 'another'; make the report again"),
        ("run.json", {"engine": "org/x in vllm 1", "model": "org/x"}, "is a run of org/x, expected one of me/long"),
    ],
)
def test_what_is_no_report_of_it_is_refused(world, tmp_path, file, changes, message):
    run = shutil.copytree(world / "run", tmp_path / "run")
    both = ("run.json", "report.json") if "model" in changes else (file,)
    for name in both:
        (run / name).write_text(json.dumps(json.loads((run / name).read_text()) | changes))
    with pytest.raises(ValueError, match=message):
        card_of(world / "full", [run])


def test_a_run_with_another_rotary_embedding_is_refused(world, tmp_path):
    run = shutil.copytree(world / "run", tmp_path / "run")
    content = json.loads((run / "run.json").read_text())
    content["options"]["rope"] = vars(RopeOptions("yarn", factor=4.0))
    (run / "run.json").write_text(json.dumps(content))
    with pytest.raises(
        ValueError, match=r"was run with the rotary embedding changed .* evaluate the checkpoint without"
    ):
        card_of(world / "full", [run])


def test_a_folder_without_a_report_is_refused(world, tmp_path):
    with pytest.raises(ValueError, match=r"has no run\.json, expected the folder of a run of `mmprolong evaluate`"):
        card_of(world / "full", [tmp_path])


def test_a_run_without_a_template_needs_a_card(world, tmp_path):
    folder = copied(world / "full", tmp_path / "plain")
    record = json.loads((folder / "training.json").read_text()) | {"card_template": None}
    (folder / "training.json").write_text(json.dumps(record))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# By hand\n")
    card = card_of(folder)
    assert (card.metadata, list(card.sections)) == ({"license": "mit"}, ["", "Evaluation"])
    (folder / "README.md").unlink()
    with pytest.raises(ValueError, match=r"README\.md is not there, and the run had no model_card_template"):
        card_of(folder)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_hash_of_saved_weights_is_that_of_the_loaded_model(tmp_path, family):
    hashes = set()
    for seed in (0, 1):
        tiny.model(family, seed=seed).to(torch.bfloat16).save_pretrained(tmp_path, max_shard_size="100KB")
        hashes.add(saved_weights_hash(tmp_path))
        assert saved_weights_hash(tmp_path) == weights_hash(load_model(str(tmp_path)))
    assert len(hashes) == 2


def test_the_card_is_a_file_that_parses_back(world):
    card = card_of(world / "full", [world / "run"])
    again = Card.parse(str(card))
    assert (again.metadata, again.sections) == (card.metadata, card.sections)
    assert yaml.safe_load(str(card).split("---")[1]) == card.metadata
