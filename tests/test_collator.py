"""Packed equals separate, in logits and in gradients; and every known way to pack wrongly is seen to leak."""

import pytest
import tiny
import torch
import torch.nn.functional as F

from mmprolong_hf.attention import PACKED_ATTENTION
from mmprolong_hf.collator import PackCollator
from mmprolong_hf.positions import IGNORE_INDEX

ATTENTION = {
    "eager": "eager",
    "sdpa": "sdpa",
    PACKED_ATTENTION: {"text_config": PACKED_ATTENTION, "vision_config": "sdpa"},
}
TOLERANCE = 1e-5
# (pages, width, height) of each sample; 0 pages is a text-only one
PACKS = {
    2: ((2, 84, 112), (1, 112, 56)),
    4: ((2, 84, 112), (0, 0, 0), (1, 112, 56), (3, 56, 56)),
    6: ((0, 0, 0), (1, 56, 56), (4, 56, 84), (0, 0, 0), (2, 112, 112), (1, 140, 56)),
}


def logits(model, pack):
    with torch.no_grad():
        return model(**{key: value for key, value in pack.items() if key != "labels"}).logits[0]


def separate_logits(model, samples):
    return torch.cat([logits(model, PackCollator()([sample])) for sample in samples])


@pytest.mark.parametrize("count", PACKS)
@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_packed_equals_separate(family, attention, count):
    model = tiny.model(family, ATTENTION[attention])
    samples = tiny.samples(tiny.processor(family), PACKS[count])
    separate = separate_logits(model, samples)
    assert separate.abs().max() > 1  # the difference below is small because the logits are equal, not because they are
    assert (logits(model, PackCollator()(samples)) - separate).abs().max() <= TOLERANCE


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_separate_equals_a_plain_forward_of_the_model(family):
    model = tiny.model(family)
    for sample in tiny.samples(tiny.processor(family)):
        plain = {key: sample[key][None] for key in ("input_ids", "mm_token_type_ids")}
        plain |= {key: sample[key] for key in ("pixel_values", "image_grid_thw") if key in sample}
        assert (logits(model, plain) - logits(model, PackCollator()([sample]))).abs().max() <= TOLERANCE


def gradients(model, packs):
    model.zero_grad()
    total = sum((pack["labels"] != IGNORE_INDEX).sum() for pack in packs)
    for pack in packs:
        out = model(**{key: value for key, value in pack.items() if key != "labels"}).logits[0, :-1]
        loss = F.cross_entropy(out, pack["labels"][0, 1:], ignore_index=IGNORE_INDEX, reduction="sum") / total
        loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def relative_difference(ours, theirs):
    return max(
        (ours[name] - theirs[name]).norm() / theirs[name].norm() for name in theirs if theirs[name].norm() > 1e-7
    )


@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_packed_gradients_equal_separate_gradients(family, attention):
    model = tiny.model(family, ATTENTION[attention])
    samples = tiny.samples(tiny.processor(family), PACKS[4])
    packed = gradients(model, [PackCollator()(samples)])
    separate = gradients(model, [PackCollator()([sample]) for sample in samples])
    assert packed.keys() == separate.keys()
    assert any("visual" in name for name in separate)
    assert relative_difference(packed, separate) <= TOLERANCE


def test_gradients_differ_when_the_first_token_of_a_sample_is_a_target():
    # What the collator's one line about first tokens prevents: predicting a sample's first token from the sample before.
    model, samples = tiny.model(), tiny.samples(tiny.processor(), PACKS[4])
    for sample in samples:
        sample["labels"][0] = sample["input_ids"][0]
    broken = PackCollator()(samples)
    broken["labels"] = torch.cat([sample["labels"] for sample in samples])[None]
    right = gradients(model, [PackCollator()(samples)])
    assert relative_difference(gradients(model, [broken]), right) > 0.01


def ones_mask(pack):
    return {**pack, "attention_mask": torch.ones_like(pack["input_ids"])}


def three_rows(pack):
    return {**pack, "position_ids": pack["position_ids"][1:]}


def default_cache(pack):
    return {key: value for key, value in pack.items() if key != "use_cache"}


def no_positions(pack):
    return {key: value for key, value in pack.items() if key != "position_ids"}


def text_row_not_restarted(pack):
    positions = pack["position_ids"].clone()
    positions[0, 0] = torch.arange(positions.shape[-1])
    return {**pack, "position_ids": positions}


@pytest.mark.parametrize("broken", [ones_mask, three_rows, default_cache, no_positions, text_row_not_restarted])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_near_misses_leak(family, attention, broken):
    model = tiny.model(family, attention)
    samples = tiny.samples(tiny.processor(family), PACKS[4])
    difference = (logits(model, broken(PackCollator()(samples))) - separate_logits(model, samples)).abs()
    assert difference.max() > 0.5, "transformers now keeps samples apart here: the collator may become simpler"


def test_our_attention_leaks_without_the_layout():
    model = tiny.model(attention=ATTENTION[PACKED_ATTENTION])
    samples = tiny.samples(tiny.processor(), PACKS[4])
    pack = {key: value for key, value in PackCollator()(samples).items() if key != "layout"}
    assert (logits(model, pack) - separate_logits(model, samples)).abs().max() > 0.5
