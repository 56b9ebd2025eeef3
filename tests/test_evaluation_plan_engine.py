import math

import pytest
import tiny
import torch

from mmprolong_hf.evaluation.options import DocumentsOptions, EvaluationOptions, RopeOptions, ServerOptions
from mmprolong_hf.evaluation.plan_engine import (
    extended_config,
    make_engine,
    rotary_numbers,
    vllm_overrides,
    weights_hash,
)
from mmprolong_hf.synthesis.endpoint import EndpointOptions

YARN = RopeOptions("yarn", factor=4.0, original_max_position_embeddings=32768)
THETA = RopeOptions(rope_theta=4e6)


def plan(model, **changes):
    return EvaluationOptions(str(model), "out", documents=(DocumentsOptions("mine", dataset="d"),), **changes)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny.save_checkpoint(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize(
    ("rope", "kind", "lowest", "scaling"),
    [
        (None, "default", 1e6 ** (-7 / 8), 1.0),
        (THETA, "default", 4e6 ** (-7 / 8), 1.0),
        # arXiv 2309.00071: the slowest frequencies are interpolated, attention is scaled by 0.1 ln(factor) + 1
        (YARN, "yarn", 1e6 ** (-7 / 8) / 4, 0.1 * math.log(4) + 1),
    ],
)
def test_the_loaded_model_has_the_frequencies_that_were_asked_for(checkpoint, rope, kind, lowest, scaling):
    engine = make_engine(plan(checkpoint, rope=rope))
    numbers = rotary_numbers(engine.model)
    assert numbers["type"] == kind
    assert numbers["highest"] == 1.0
    assert numbers["lowest"] == pytest.approx(lowest, rel=1e-3)
    assert numbers["scaling"] == pytest.approx(scaling, abs=1e-4)
    assert f'"lowest": {numbers["lowest"]}' in engine.name


def test_controls_have_names_of_their_own(checkpoint):
    assert len({make_engine(plan(checkpoint, rope=rope)).name for rope in (None, THETA, YARN)}) == 3


def test_a_checkpoint_that_was_trained_further_has_another_name(checkpoint):
    model = tiny.model()
    before = weights_hash(model)
    assert before == weights_hash(tiny.model())
    with torch.no_grad():
        model.model.language_model.layers[1].mlp.down_proj.weight.mul_(1.001)
    assert weights_hash(model) != before
    assert weights_hash(make_engine(plan(checkpoint)).model)[:8] in make_engine(plan(checkpoint)).name


def test_vllm_is_told_whole_rope_parameters_where_it_looks_for_them(checkpoint):
    assert vllm_overrides(extended_config(str(checkpoint), YARN)) == {
        "text_config": {
            "rope_parameters": {
                "rope_type": "yarn",
                "factor": 4.0,
                "original_max_position_embeddings": 32768,
                "rope_theta": 1e6,
                "mrope_section": [2, 3, 3],
            },
            "max_position_embeddings": 131072,
        }
    }


def test_a_server_needs_no_checkpoint():
    endpoint = EndpointOptions("served", "http://localhost:1/v1")
    engine = make_engine(plan("nowhere", engine="server", server=ServerOptions(endpoint, False, check_prompts=False)))
    assert engine.name == "served on http://localhost:1/v1, the answer start a message of its own"


def test_a_model_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="neither a checkpoint folder nor a model that the Hub gives to you"):
        make_engine(plan(tmp_path / "nowhere"))
