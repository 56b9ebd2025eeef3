import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLModel, Qwen3VLConfig, Qwen3VLModel
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from mmprolong_hf import lengths
from mmprolong_hf.lengths import (
    QWEN2_5_VL_LIMITS,
    QWEN3_VL_LIMITS,
    ImageLimits,
    page_grid,
    page_tokens,
    sample_length,
    sample_span,
    smart_resize,
)

CASES = json.loads((Path(__file__).parent / "data" / "page_tokens.json").read_text())["cases"]
START, END, IMAGE, TEXT = 90, 91, 92, 5  # token ids of the tiny models below
SAMPLES = {
    "pages of one size": (37, [(9, 7)] * 6),
    "pages of many sizes": (120, [(9, 7), (3, 20), (1, 1), (12, 12), (2, 5)]),
    "one wide page": (4, [(2, 30)]),
    "text only": (53, []),
    "no text": (0, [(9, 7), (3, 20)]),
}


def answer(case):
    inputs = case["inputs"]
    if case["function"] == "smart_resize":
        return list(smart_resize(**inputs))
    patch_size = inputs["factor"] // 2
    limits = ImageLimits(patch_size, 2, inputs["min_pixels"], inputs["max_pixels"])
    return page_tokens(inputs["width"], inputs["height"], limits)


@pytest.mark.parametrize("case", [c for c in CASES if "expected" in c], ids=lambda c: c["id"])
def test_equals_the_processor_on_recorded_cases(case):
    assert answer(case) == case["expected"]


@pytest.mark.parametrize("case", [c for c in CASES if "raises" in c], ids=lambda c: c["id"])
def test_refuses_what_the_processor_refuses(case):
    with pytest.raises(ValueError, match="aspect ratio of at most 200"):
        answer(case)


def test_recorded_cases_notice_another_rounding(monkeypatch):
    """Guard: with halves rounded up, the only other candidate, some recorded case is not met."""
    monkeypatch.setattr(lengths, "round", lambda value: int(value + 0.5), raising=False)
    assert any(answer(case) != case["expected"] for case in CASES if "expected" in case)


@pytest.mark.parametrize("limits", [QWEN2_5_VL_LIMITS, QWEN3_VL_LIMITS, ImageLimits(max_pixels=28 * 28 * 16)])
@pytest.mark.parametrize("size", [(1224, 1584), (30, 33), (700, 41), (42, 70)])
def test_grid_equals_the_image_processor(size, limits):
    processor = Qwen2VLImageProcessorPil(
        patch_size=limits.patch_size,
        merge_size=limits.merge_size,
        min_pixels=limits.min_pixels,
        max_pixels=limits.max_pixels,
    )
    _, rows, cols = processor(Image.new("RGB", size), return_tensors="np")["image_grid_thw"][0]
    assert page_grid(*size, limits) == (rows // limits.merge_size, cols // limits.merge_size)


def rope_model(family):
    text = {
        "vocab_size": 100, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "pad_token_id": 0,
    }  # fmt: skip
    vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 32}
    ids = {"image_token_id": IMAGE, "video_token_id": 93, "vision_start_token_id": START, "vision_end_token_id": END}
    if family == "qwen2_5_vl":
        text["rope_parameters"] = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]}
        config, model_class = Qwen2_5_VLConfig(text_config=text, vision_config=vision, **ids), Qwen2_5_VLModel
    else:
        text |= {
            "head_dim": 16,
            "rope_parameters": {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [4, 2, 2]},
        }
        vision |= {"deepstack_visual_indexes": [0], "num_position_embeddings": 64}
        config, model_class = Qwen3VLConfig(text_config=text, vision_config=vision, **ids), Qwen3VLModel
    with torch.device("meta"):  # positions come from the config alone, no weight is read
        return model_class(config)


def token_ids(text_tokens, grids):
    """Text spread between the images, as page labels are, and what is left after the last one."""
    share = text_tokens // (len(grids) + 1)
    ids = []
    for rows, cols in grids:
        ids += [TEXT] * share + [START] + [IMAGE] * (rows * cols) + [END]
    return torch.tensor([ids + [TEXT] * (text_tokens - share * len(grids))])


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
@pytest.mark.parametrize("name", SAMPLES)
def test_length_and_span_equal_the_model(family, name):
    text_tokens, grids = SAMPLES[name]
    ids = token_ids(text_tokens, grids)
    thw = torch.tensor([[1, 2 * rows, 2 * cols] for rows, cols in grids]) if grids else None
    positions, _ = rope_model(family).get_rope_index(ids, mm_token_type_ids=(ids == IMAGE).int(), image_grid_thw=thw)
    assert sample_length(text_tokens, grids) == ids.shape[1]
    assert sample_span(text_tokens, grids) == positions.max().item() + 1


def test_span_is_not_the_length():
    """Guard: on pages the two differ by an order of magnitude, so the test above can tell them apart."""
    assert sample_length(2000, [(57, 44)] * 51) > 20 * sample_span(2000, [(57, 44)] * 51)


def test_random_pages_stay_within_limits():
    rng = np.random.default_rng(0)
    for height, width in rng.integers(20, 4000, size=(500, 2)).tolist():
        new_height, new_width = smart_resize(height, width, factor=28, min_pixels=3136, max_pixels=1003520)
        assert new_height % 28 == new_width % 28 == 0
        assert 3136 <= new_height * new_width <= 1003520


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patch_size": 0}, "patch_size is 0, expected at least 1"),
        ({"min_pixels": 0}, "min_pixels is 0, expected at least 1"),
        ({"min_pixels": 9000, "max_pixels": 8000}, "expected min_pixels <= max_pixels"),
    ],
)
def test_limits_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        ImageLimits(**arguments)


def test_an_empty_image_is_refused():
    with pytest.raises(ValueError, match="image is 0 x 30 pixels, expected at least 1 x 1"):
        page_grid(0, 30)


def test_import_needs_no_torch():
    code = "import sys, mmprolong_hf.lengths; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
