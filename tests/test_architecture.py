import dataclasses

import pytest
import torch
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from mmprolong_hf.architecture import QWEN2_5_VL_7B, QWEN3_VL_8B, Architecture


def qwen2_5_vl_7b():
    text = {
        "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
        "num_attention_heads": 28, "num_key_value_heads": 4,
    }  # fmt: skip
    vision = {"hidden_size": 1280, "intermediate_size": 3420, "out_hidden_size": 3584}
    return Qwen2_5_VLConfig(text_config=text, vision_config=vision)


def qwen3_vl_8b():
    text = {
        "vocab_size": 151936, "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36,
        "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
    }  # fmt: skip
    return Qwen3VLConfig(text_config=text, vision_config={"out_hidden_size": 4096})


MODELS = [
    (qwen2_5_vl_7b, Qwen2_5_VLForConditionalGeneration, QWEN2_5_VL_7B),
    (qwen3_vl_8b, Qwen3VLForConditionalGeneration, QWEN3_VL_8B),
]


@pytest.mark.parametrize(("make_config", "model_class", "expected"), MODELS)
def test_weights_are_those_of_the_model(make_config, model_class, expected):
    config = make_config()
    assert Architecture.from_config(config.to_dict()) == expected
    with torch.device("meta"):
        model = model_class(config)
    matrices = sum(p.numel() for p in model.parameters() if p.dim() > 1)
    learned_positions = 2304 * 1152 if model_class is Qwen3VLForConditionalGeneration else 0
    assert expected.num_parameters == matrices - learned_positions
    assert expected.num_parameters == pytest.approx(sum(p.numel() for p in model.parameters()), rel=5e-4)
    vision = sum(p.numel() for p in model.model.visual.parameters() if p.dim() > 1)
    assert expected.vision_parameters == vision - learned_positions
    layer = sum(p.numel() for p in model.model.language_model.layers[0].parameters() if p.dim() > 1)
    assert expected.layer_weights == layer


def test_published_sizes():
    a = QWEN2_5_VL_7B
    published = {
        "language_weights": 6.525e9,
        "head_weights": 0.545e9,
        "vision_weights": 630e6,
        "merger_weights": 44.6e6,
    }
    for name, value in published.items():
        assert getattr(a, name) == pytest.approx(value, rel=1e-3), name


def test_a_tied_head_is_counted_once():
    tied = dataclasses.replace(QWEN2_5_VL_7B, tie_word_embeddings=True)
    assert QWEN2_5_VL_7B.num_parameters - tied.num_parameters == QWEN2_5_VL_7B.head_weights


def test_lora_parameters():
    small = dataclasses.replace(
        QWEN2_5_VL_7B, hidden_size=8, num_layers=3, num_heads=2, num_kv_heads=1, head_dim=4, mlp_size=16
    )
    q_and_o, k_and_v, mlp = 2 * (8 + 8), 2 * (8 + 4), 3 * (8 + 16)
    assert small.lora_parameters(5) == 5 * 3 * (q_and_o + k_and_v + mlp)


@pytest.mark.parametrize("config", [{"model_type": "llava"}, {}])
def test_another_family_is_refused(config):
    with pytest.raises(ValueError, match="expected 'qwen2_5_vl' or 'qwen3_vl'"):
        Architecture.from_config(config)
