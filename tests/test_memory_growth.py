"""No operator of a training step makes more than so much a token: not in the vision tower, the layers, attention or the loss."""

import gc
from itertools import pairwise

import pytest
import tiny
import torch
from live_bytes import LiveBytes
from long_pack import ATTENTION, PAGE, long_pack, loss_of, wide_model
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from mmprolong_hf.attention import PACKED_ATTENTION, packed_attention
from mmprolong_hf.checkpointing import save_attention_outputs
from mmprolong_hf.tiled_mlp import tile_mlps
from mmprolong_hf.vision_tower import chunk_vision_tower

LENGTHS = (330, 660, 1320)  # of pages of 64 tokens and two more
# So long, and layers so narrow, that the square of the length is far more than anything else
TEXT_LENGTHS = (1536, 3072, 6144)
NARROW = {"hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2, "num_key_value_heads": 1}


def peaks(family, tokens, attention=ATTENTION, levers=(), text=None, **options):
    """Bytes of the largest tensor that any operator makes, and of all that are alive at the peak; the operator's name."""
    model = wide_model(family, attention, **text or {})
    for lever in levers:
        lever(model)
    model.activation_checkpointing_enable()
    pack = long_pack(model.config, tokens, **options)
    gc.collect()
    with LiveBytes() as memory:
        loss_of(model, pack).backward()
    return memory.largest, memory.peak, memory.largest_by


def is_linear(found):
    """Whether twice the length takes at most 2.1 times the bytes."""
    return all(longer[kind] <= 2.1 * shorter[kind] for shorter, longer in pairwise(found) for kind in (0, 1))


@pytest.mark.parametrize(
    ("branches", "levers"),
    [(0, ()), (4, (save_attention_outputs, lambda model: tile_mlps(model, 256)))],
    ids=["samples", "shared documents and all levers"],
)
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_step_is_linear_in_the_length_of_the_row(family, branches, levers):
    found = [peaks(family, tokens, branches=branches, levers=levers) for tokens in LENGTHS]
    assert is_linear(found), found


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_with_pages_as_bytes_in_chunks(family):
    def chunk(model):
        chunk_vision_tower(model, 2 * PAGE**2, tiny.processor(family).image_processor)

    found = [peaks(family, tokens, levers=[chunk], uint8=True) for tokens in LENGTHS]
    assert is_linear(found), found
    assert found[-1][1] < peaks(family, LENGTHS[-1])[1]  # guard: the tower did run in chunks


def of_text(family, branches=0):
    """Of rows of text alone: one document with its branches, or two samples."""
    samples = 1 if branches else 2
    options = {"pages": 0, "samples": samples, "branches": branches, "text": NARROW}
    return [peaks(family, tokens, **options) for tokens in TEXT_LENGTHS]


@pytest.mark.parametrize("branches", [0, 4])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_long_rows_of_text_are_linear(family, branches):
    found = of_text(family, branches)
    assert is_linear(found), found
    assert found[-1][0] < TEXT_LENGTHS[-1] ** 2 / 4


def test_a_mask_of_booleans_in_every_layer_is_seen(monkeypatch):
    """Guard: the smallest square there is, made and dropped again by each layer."""

    def masked(module, query, *args, **kwargs):
        torch.ones(query.shape[2], query.shape[2], dtype=torch.bool, device=query.device)
        return packed_attention(module, query, *args, **kwargs)

    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS, PACKED_ATTENTION, masked)
    found = of_text("qwen2_5_vl")
    assert not is_linear(found)
    assert [largest for largest, *_ in found] == [length**2 for length in TEXT_LENGTHS]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_mask_or_scores_of_the_whole_square_are_seen(attention):
    attention = {"text_config": attention, "vision_config": "sdpa"}
    found = [peaks("qwen2_5_vl", tokens, attention, pages=0, samples=2) for tokens in (1536, 3072)]
    assert found[1][0] > 3.5 * found[0][0]
    assert found[1][0] >= 3072**2
