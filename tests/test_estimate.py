import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from mmprolong_hf.architecture import QWEN2_5_VL_7B, Architecture
from mmprolong_hf.estimate import CostModel, gpu_hours, head_flops, vision_flops
from mmprolong_hf.paper_samples import paper_samples

K = 1024


def training_flops(architecture, lengths, image_patches, *, supervised_tokens, train_vision=True, lora=False):
    """Of samples that stand alone."""
    page = round(np.mean(image_patches)) if len(image_patches) else 0
    cost = CostModel.of(architecture, patches_per_image=page, train_vision=train_vision, lora=lora)
    flops = cost.flops(sum(lengths), sum(n * n / 2 for n in lengths), sum(image_patches))
    return round(flops) + head_flops(architecture, supervised_tokens, lora=lora)


PAGE = 4 * 1036  # patches of the pages that the table below was made with
TABLE = {  # tokens of one document -> GFLOPs per token with the vision tower frozen and trained
    8 * K: (52.9, 63.9),
    32 * K: (67.7, 78.7),
    64 * K: (87.4, 98.4),
    128 * K: (126.9, 137.9),
    256 * K: (205.8, 216.8),
    512 * K: (363.6, 374.7),
}


def per_token(num_tokens, **options):
    """GFLOPs per token of one document that is all pages, with every token labelled."""
    patches = [PAGE] * (num_tokens // 1036) + [4 * (num_tokens % 1036)]
    return (
        training_flops(QWEN2_5_VL_7B, [num_tokens], patches, supervised_tokens=num_tokens, **options)
        / num_tokens
        / 1e9
    )


@pytest.mark.parametrize("num_tokens", TABLE)
def test_flops_per_token_of_one_document(num_tokens):
    frozen, trained = TABLE[num_tokens]
    assert per_token(num_tokens, train_vision=False) == pytest.approx(frozen, rel=0.01)
    assert per_token(num_tokens) == pytest.approx(trained, rel=0.01)


def test_the_head_is_paid_for_supervised_tokens_alone():
    def flops(supervised_tokens):
        return training_flops(QWEN2_5_VL_7B, [100_000], [], supervised_tokens=supervised_tokens)

    assert flops(100_000) - flops(0) == 6 * 100_000 * QWEN2_5_VL_7B.head_weights
    assert 1 - flops(40) / flops(100_000) == pytest.approx(3.27 / (39.2 + 3.27 + 60.2), rel=0.01)


def test_samples_in_a_pack_do_not_attend_to_each_other():
    alone = training_flops(QWEN2_5_VL_7B, [128 * K], [PAGE] * 120, supervised_tokens=64)
    shared = training_flops(QWEN2_5_VL_7B, [8 * K] * 16, [PAGE] * 120, supervised_tokens=64)
    attention = 6 * 28 * 3584 * (128 * K) ** 2
    assert alone - shared == pytest.approx(attention - attention // 16)


def test_lora_saves_the_gradients_of_weights():
    full, lora = (
        training_flops(QWEN2_5_VL_7B, [1000], [], supervised_tokens=1000, lora=lora) for lora in (False, True)
    )
    assert full - lora == 2 * 1000 * (QWEN2_5_VL_7B.language_weights + QWEN2_5_VL_7B.head_weights)


def tiny_model(family):
    text = {
        "vocab_size": 100, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0,
    }  # fmt: skip
    vision = {"depth": 3, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 64}
    ids = {"image_token_id": 92, "video_token_id": 93, "vision_start_token_id": 90, "vision_end_token_id": 91}
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]}
    if family == "qwen2_5_vl":
        text |= {"rope_parameters": rope}
        vision |= {"fullatt_block_indexes": [1]}
        return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision, **ids))
    text |= {"rope_parameters": rope, "head_dim": 16}
    vision |= {"deepstack_visual_indexes": [0, 1], "num_position_embeddings": 64}
    return Qwen3VLForConditionalGeneration(Qwen3VLConfig(text_config=text, vision_config=vision, **ids))


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_flops_equal_those_counted_in_the_model(family):
    """PyTorch counts what eager attention computes, which is the whole square; causal attention needs half of it."""
    model = tiny_model(family)
    model.set_attn_implementation("eager")
    architecture = Architecture.from_config(model.config.to_dict())
    grids = torch.tensor([[1, 16, 16], [1, 16, 32]])
    patches = [256, 512]
    ids = torch.tensor([[5] * 40 + [92] * (sum(patches) // 4) + [6] * 7])
    pixel_values = torch.zeros(sum(patches), architecture.patch_values)
    positions = torch.arange(ids.shape[1]).expand(3, 1, -1)
    with torch.no_grad():
        with FlopCounterMode(display=False) as vision:
            model.model.visual(pixel_values, grids)
        with FlopCounterMode(display=False) as language:
            model(
                input_ids=ids, pixel_values=pixel_values, image_grid_thw=grids, position_ids=positions, use_cache=False
            )

    assert vision_flops(architecture, patches) == pytest.approx(vision.get_total_flops(), rel=0.01)
    frozen = training_flops(architecture, [ids.numel()], [], supervised_tokens=ids.numel())
    causal_half = 2 * ids.numel() ** 2 * 64 * 2
    assert frozen / 3 + causal_half == pytest.approx(language.get_total_flops() - vision.get_total_flops(), rel=0.01)


def test_hours_of_five_billion_tokens():
    flops = round(126.9e9 * 5e9)
    for utilization, hours in ((0.3, 594), (0.4, 445), (0.5, 356), (0.55, 324)):
        assert gpu_hours(flops, utilization=utilization, peak_tflops=989) == pytest.approx(hours, rel=0.005)


def test_the_paper_run_reaches_the_utilization_that_its_hours_imply():
    """2,900 H20 hours for 5.04e9 tokens of the paper's lengths are a third of the peak, more if the tower is trained."""
    sizes = paper_samples(5000, seed=0)
    patches = np.repeat(sizes.page_patches, sizes.num_pages)
    tokens = int(sizes.lengths.sum())
    for train_vision, expected in ((False, 0.33), (True, 0.37)):
        flops = training_flops(
            QWEN2_5_VL_7B, sizes.lengths, patches, supervised_tokens=tokens, train_vision=train_vision
        )
        hours = gpu_hours(flops * 5.04e9 / tokens, utilization=1, peak_tflops=148)
        assert hours / 2900 == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("utilization", [0, -0.1, 40])
def test_a_utilization_is_a_share(utilization):
    with pytest.raises(ValueError, match="expected a share above 0 and at most 1"):
        gpu_hours(1, utilization=utilization, peak_tflops=989)


def test_a_peak_is_positive():
    with pytest.raises(ValueError, match="peak_tflops is 0, expected the dense bfloat16 peak"):
        gpu_hours(1, utilization=0.4, peak_tflops=0)


def test_import_needs_no_torch():
    code = "import sys, mmprolong_hf.estimate; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
