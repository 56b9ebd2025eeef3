"""No operator of a training step makes more than so much a token: not in the vision tower, the layers, attention or the loss."""

import gc
from itertools import pairwise

import pytest
import tiny
from live_bytes import LiveBytes
from long_pack import ATTENTION, long_pack, loss_of, wide_model

from mmprolong_hf.checkpointing import save_attention_outputs
from mmprolong_hf.tiled_mlp import tile_mlps

LENGTHS = (330, 660, 1320)  # of pages of 64 tokens and two more


def peaks(family, tokens, attention=ATTENTION, levers=(), **options):
    """Bytes of the largest tensor that any operator makes, and of all that are alive at the peak; the operator's name."""
    model = wide_model(family, attention)
    for lever in levers:
        lever(model)
    model.activation_checkpointing_enable()
    pack = long_pack(model.config, tokens, **options)
    gc.collect()
    with LiveBytes() as memory:
        loss_of(model, pack).backward()
    return memory.largest, memory.peak, memory.largest_by


@pytest.mark.parametrize(
    ("branches", "levers"),
    [(0, ()), (4, (save_attention_outputs, lambda model: tile_mlps(model, 256)))],
    ids=["samples", "shared documents and all levers"],
)
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_step_is_linear_in_the_length_of_the_row(family, branches, levers):
    found = [peaks(family, tokens, branches=branches, levers=levers) for tokens in LENGTHS]
    for shorter, longer in pairwise(found):
        assert longer[0] <= 2.1 * shorter[0], longer[2]
        assert longer[1] <= 2.1 * shorter[1]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_mask_or_scores_of_the_whole_square_are_seen(attention):
    attention = {"text_config": attention, "vision_config": "sdpa"}
    found = [peaks("qwen2_5_vl", tokens, attention, pages=0, samples=2) for tokens in (1536, 3072)]
    assert found[1][0] > 3.5 * found[0][0]
    assert found[1][0] >= 3072**2
