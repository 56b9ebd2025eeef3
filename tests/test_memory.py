"""The memory estimate against every byte that is counted in training steps of small models, and at the sizes of real ones."""

import gc
import subprocess
import sys

import pytest
import tiny
import torch
from live_bytes import LiveBytes
from long_pack import PAGE, long_pack, loss_of, wide_model
from peft import LoraConfig, get_peft_model

from mmprolong_hf.architecture import QWEN2_5_VL_7B, Architecture
from mmprolong_hf.checkpointing import save_attention_outputs
from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.memory import MOMENTS, lever_changes, memory_per_gpu
from mmprolong_hf.models import LANGUAGE_LINEARS
from mmprolong_hf.tiled_mlp import tile_mlps
from mmprolong_hf.vision_tower import chunk_vision_tower

GIB = 2**30
TOKENS = 528
WIDE_TOWER = {"hidden_size": 192, "num_heads": 12, "intermediate_size": 256, "depth": 3}
BFLOAT16 = {"weight_bytes": 2, "compute_bytes": 2}
FLOAT32 = {"weight_bytes": 4, "compute_bytes": 4}
AUTOCAST = {"weight_bytes": 4, "compute_bytes": 2}


def counted_and_estimated(family, *, pages=0, train_vision=False, weight_bytes=2, compute_bytes=2, lora_rank=None, save_attention=False, mlp_tile=None, vision_chunk=None, uint8_pixels=False, **text):  # fmt: skip
    """Bytes at the peak of a step's second micro-step, when gradients are there already, and what the estimate says."""
    text = {"hidden_size": 128, "num_attention_heads": 8, "intermediate_size": 192, "num_hidden_layers": 4} | text
    dtype = torch.bfloat16 if weight_bytes == 2 else torch.float32
    base = model = wide_model(family, dtype=dtype, vision=WIDE_TOWER if pages else None, **text)
    if lora_rank is not None:
        model = get_peft_model(base, LoraConfig(r=lora_rank, target_modules=LANGUAGE_LINEARS)).train()
    base.model.visual.requires_grad_(train_vision)
    if save_attention:
        save_attention_outputs(model)
    if mlp_tile is not None:
        tile_mlps(model, mlp_tile)
    if vision_chunk is not None or uint8_pixels:
        chunk_vision_tower(model, vision_chunk, tiny.processor(family).image_processor)
    model.activation_checkpointing_enable()
    base.disable_input_require_grads()  # else a frozen tower would have gradients
    pack = long_pack(base.config, TOKENS, pages=pages, uint8=uint8_pixels)

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=compute_bytes == 2):
            loss = loss_of(model, pack)
        loss.backward()

    step()
    gc.collect()
    with LiveBytes() as memory:
        step()
    estimate = memory_per_gpu(
        Architecture.from_config(base.config.to_dict()), pack_tokens=TOKENS, pack_patches=pages * PAGE**2, supervised_tokens=7,
        train_vision=train_vision, weight_bytes=weight_bytes, compute_bytes=compute_bytes, lora_rank=lora_rank,
        save_attention=save_attention, mlp_tile=mlp_tile, vision_chunk=vision_chunk, uint8_pixels=uint8_pixels,
    )  # fmt: skip
    return memory.peak, estimate.activations + estimate.gathered - estimate.pixel_values


LANGUAGE = [
    BFLOAT16,
    BFLOAT16 | {"mlp_tile": 64},
    BFLOAT16 | {"save_attention": True},
    BFLOAT16 | {"intermediate_size": 512, "num_hidden_layers": 2},
    FLOAT32 | {"save_attention": True, "mlp_tile": 64},
    FLOAT32 | {"hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 8},
    AUTOCAST,
    AUTOCAST | {"mlp_tile": 64},
    BFLOAT16 | {"lora_rank": 4},
    BFLOAT16 | {"lora_rank": 4, "intermediate_size": 512},
    BFLOAT16 | {"lora_rank": 4, "save_attention": True, "mlp_tile": 64},
    FLOAT32 | {"lora_rank": 4},
]


@pytest.mark.parametrize(
    ("family", "setup"),
    [*(("qwen2_5_vl", setup) for setup in LANGUAGE), *(("qwen3_vl", LANGUAGE[i]) for i in (0, 2, 7, 10))],
    ids=str,
)
def test_language_model_as_counted(family, setup):
    counted, estimated = counted_and_estimated(family, **setup)
    assert estimated == pytest.approx(counted, rel=0.15)


@pytest.mark.parametrize(
    "pages",
    [
        {},
        {"uint8_pixels": True},
        {"vision_chunk": 2 * PAGE**2},
        {"vision_chunk": 2 * PAGE**2, "uint8_pixels": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("setup", [BFLOAT16, FLOAT32])
@pytest.mark.parametrize("train_vision", [True, False])
@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_vision_tower_as_counted(family, train_vision, setup, pages):
    counted, estimated = counted_and_estimated(
        family, pages=8, train_vision=train_vision, num_hidden_layers=1, intermediate_size=96, **setup, **pages
    )
    assert estimated == pytest.approx(counted, rel=0.15)


def memory(**setup):
    pack = {"pack_tokens": 131072, "pack_patches": 524288, "supervised_tokens": 40}
    return memory_per_gpu(QWEN2_5_VL_7B, **pack, **setup)


def test_parts_of_a_full_pack():
    plain = memory()
    assert plain.weights / GIB == pytest.approx(15.4, rel=0.01)
    assert plain.hidden_states / GIB == pytest.approx(24.5, rel=0.01)
    assert memory(save_attention=True).attention_outputs / GIB == pytest.approx(27 / 28 * 24.5, rel=0.05)
    assert plain.vision_hidden_states / GIB == pytest.approx(40 + 3.75, rel=0.01)
    assert plain.pixel_values / GIB == pytest.approx(2.30, rel=0.01)
    assert plain.pixel_values == 8 * memory(uint8_pixels=True).pixel_values
    assert plain.total == plain.states + plain.gathered + plain.activations
    assert memory(train_vision=False).vision_hidden_states == 0
    assert memory(vision_chunk=4096).vision_work / GIB == pytest.approx(8.2 + 1.3, rel=0.02)  # and weights' gradients
    assert memory(vision_chunk=4096).vision_hidden_states / plain.pixel_values == 0.5  # cast to bfloat16, all of them
    assert memory(vision_chunk=4096, uint8_pixels=True).vision_hidden_states == 0


def test_tiles_take_the_mlp_out_of_the_peak():
    untiled, tiled = memory(), memory(mlp_tile=8192)
    assert (untiled.language_work - tiled.language_work) / GIB > 20
    assert memory(mlp_tile=131072) == untiled


def test_states_by_optimizer_and_weights():
    assert memory(weight_bytes=4).states == 16 * QWEN2_5_VL_7B.num_parameters
    assert memory().states == 8 * QWEN2_5_VL_7B.num_parameters
    assert memory(optimizer="paged_adamw_8bit").optimizer == 0
    assert memory(optimizer="adamw_8bit").optimizer / QWEN2_5_VL_7B.num_parameters == pytest.approx(2.03, abs=0.01)
    assert memory(optimizer="lion_32bit").optimizer == memory().optimizer  # not known: counted as AdamW
    assert MOMENTS["adamw_torch_fused"] is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_moments_are_those_of_torch(dtype):
    weight = torch.nn.Parameter(torch.zeros(1000, dtype=dtype))
    optimizer = torch.optim.AdamW([weight])
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    held = sum(moment.nbytes for moment in optimizer.state[weight].values() if moment.dim())
    assert held == 2 * weight.nbytes


def test_lora_trains_its_adapters_alone():
    lora = memory(lora_rank=16, train_vision=False)
    adapters = QWEN2_5_VL_7B.lora_parameters(16)
    assert (lora.gradients, lora.optimizer) == (4 * adapters, 8 * adapters)
    assert memory(lora_rank=16).gradients - lora.gradients == 2 * QWEN2_5_VL_7B.vision_parameters


def test_gpus_share_states_and_not_activations():
    one, eight = memory(), memory(num_gpus=8)
    assert eight.states == pytest.approx(one.states / 8, rel=1e-6)
    assert eight.hidden_states == one.hidden_states
    layer, ends = QWEN2_5_VL_7B.layer_weights, QWEN2_5_VL_7B.embedding_weights
    # Two layers, embedding and head, gradients of one and of both, and these again in float32 while ranks add them
    assert eight.gathered == 2 * (2 * layer + ends) + 2 * (layer + ends) + 4 * ends
    lora = memory(num_gpus=8, lora_rank=16, train_vision=False)
    assert lora.gathered == 2 * (2 * layer + ends)
    tower = memory(num_gpus=8, lora_rank=16, train_vision=True)
    assert tower.gathered == lora.gathered + 4 * QWEN2_5_VL_7B.vision_parameters


def test_offloaded_hidden_states():
    assert memory(offload=True).hidden_states / memory().hidden_states == pytest.approx(5 / 28, rel=0.05)


def test_what_each_setting_would_change():
    pack = {"pack_tokens": 131072, "pack_patches": 524288, "supervised_tokens": 40}
    changes = lever_changes(QWEN2_5_VL_7B, **pack, mlp_tile=4096, vision_chunk=4096)
    assert "mlp_tile: 8192" not in changes
    assert changes["save_attention: true"] > 0 > changes["activation_offloading: true"]
    assert changes["use_peft: true"] == memory(mlp_tile=4096, vision_chunk=4096, lora_rank=64, train_vision=False).total - memory(mlp_tile=4096, vision_chunk=4096).total  # fmt: skip
    assert "activation_offloading: true" not in lever_changes(QWEN2_5_VL_7B, **pack, offload=True)


def test_a_number_that_is_advised_is_the_default_of_the_config(tmp_path):
    pack = {"pack_tokens": 131072, "pack_patches": 524288, "supervised_tokens": 40}
    args = MMProLongConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False)
    advised = [name.split(": ") for name in lever_changes(QWEN2_5_VL_7B, **pack)]
    numbers = {name: int(value) for name, value in advised if value.isdigit()}
    assert numbers == {name: getattr(args, name) for name in ("mlp_tile", "vision_chunk")}


def test_import_needs_no_torch():
    code = "import sys, mmprolong_hf.memory; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
