import json

import pytest
import yaml

from mmprolong_hf.evaluation.options import EvaluationOptions, load_evaluation
from mmprolong_hf.evaluation.plan_engine import extended_config
from mmprolong_hf.synthesis.endpoint import EndpointOptions

DOCUMENTS = {"name": "mine", "dataset": "data/base"}
MMLONGBENCH = {"image_folder": "i", "folder": "f"}
PLAN = {"model": "m", "output": "out", "documents": [DOCUMENTS]}
SERVER = {"endpoint": {"model": "m", "base_url": "http://localhost:8000/v1"}}


def load(folder, plan, changes=None) -> EvaluationOptions:
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    return load_evaluation(folder / "plan.yaml", changes)


def test_a_plan_is_read_with_its_sections(tmp_path):
    judge = {"endpoint": {"model": "grader"}, "max_usd": 2}
    plan = load(tmp_path, PLAN | {"engine": "server", "server": SERVER, "judge": judge}, {"max_new_tokens": 64})
    assert plan.server.endpoint == EndpointOptions("m", "http://localhost:8000/v1")
    assert plan.judge.max_usd == 2.0
    assert plan.max_new_tokens == 64
    assert plan.documents[0].lengths == (65536, 131072)


def test_all_questions_or_one_can_be_asked_for(tmp_path):
    for number in (None, 1):
        plan = load(tmp_path, PLAN | {"mmlongbench": MMLONGBENCH | {"max_questions": number}, "max_new_tokens": 1})
        assert plan.mmlongbench.max_questions == number


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modle": "m"}, "unknown key 'modle', did you mean 'model'"),
        ({"engine": "sglang"}, "engine is 'sglang', expected one of transformers, vllm, server"),
        ({"engine": "server"}, "engine is 'server', expected a section server"),
        ({"server": SERVER}, "engine is 'transformers', expected a section server with engine: server, and only then"),
        ({"engine": "server", "server": SERVER, "rope": {"rope_type": "yarn"}}, "start the server with it instead"),
        ({"documents": []}, "neither mmlongbench nor documents"),
        ({"documents": [DOCUMENTS, DOCUMENTS]}, "documents has 'mine' twice"),
        ({"documents": [{"name": "slidevqa", "dataset": "d"}]}, "name is 'slidevqa', which is MMLongBench's"),
        ({"documents": [{"name": "mine"}]}, "expected dataset, or pdfs with questions"),
        ({"documents": [DOCUMENTS | {"pdfs": "p"}]}, "expected dataset, or pdfs with questions"),
        ({"documents": [{"name": "mine", "pdfs": "p"}]}, "expected dataset, or pdfs with questions"),
        ({"documents": [DOCUMENTS | {"prompt_version": "v2"}]}, "prompt_version is 'v2', expected one of v1.0"),
        ({"mmlongbench": {"image_folder": "i"}}, "neither folder nor tsv is given"),
        ({"mmlongbench": {"image_folder": "i", "folder": "f", "datasets": ["slides"]}}, r"datasets has \['slides'\]"),
        (
            {"mmlongbench": MMLONGBENCH | {"lengths": [65536, 65000]}},
            r"lengths has \[65000\], expected multiples of 1024",
        ),
        ({"mmlongbench": MMLONGBENCH | {"lengths": [0]}}, r"lengths has \[0\], expected multiples of 1024"),
        ({"mmlongbench": MMLONGBENCH | {"max_questions": 0}}, "max_questions is 0, expected at least 1, or null"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0, expected at least 1"),
        ({"max_new_tokens": "many"}, "max_new_tokens is 'many', expected int"),
    ],
)
def test_what_does_not_fit_is_an_error(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        load(tmp_path, PLAN | changes)


def test_every_plan_of_the_recipes_is_strict_named_and_in_the_table(root):
    folder = root / "recipes/evaluation"
    table = (folder / "README.md").read_text()
    plans = {path.stem: load_evaluation(path) for path in folder.glob("*.yaml")}
    assert plans.keys() == {"base", "base_yarn4", "base_theta4e6"}
    for name, plan in plans.items():
        assert f"| `{name}.yaml` |" in table
        assert plan.output == f"outputs/evaluation/{name}"
        assert plan.mmlongbench == plans["base"].mmlongbench
        assert plan.model == plans["base"].model


@pytest.mark.parametrize(
    ("name", "rope"),
    [
        ("base", {"rope_type": "default", "rope_theta": 1e6}),
        (
            "base_yarn4",
            {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0, "original_max_position_embeddings": 32768},
        ),
        ("base_theta4e6", {"rope_type": "default", "rope_theta": 4e6}),
    ],
)
def test_controls_change_the_published_config_and_nothing_else(root, tmp_path, name, rope):
    published = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}
    hub_config = {
        "model_type": "qwen2_5_vl",
        "text_config": {
            "hidden_size": 3584, "num_attention_heads": 28, "max_position_embeddings": 128000, "rope_parameters": published,
        },
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(hub_config))
    config = extended_config(str(tmp_path), load_evaluation(root / f"recipes/evaluation/{name}.yaml").rope)
    assert config.text_config.rope_parameters == rope | {"mrope_section": [16, 24, 24]}
    assert config.text_config.max_position_embeddings == (128000 if name == "base" else 131072)
