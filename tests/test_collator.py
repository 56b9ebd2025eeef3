"""Packed equals separate, in logits and in gradients; and every known way to pack wrongly is seen to leak."""

import pytest
import tiny
import torch
import torch.nn.functional as F

from mmprolong_hf.attention import PACKED_ATTENTION
from mmprolong_hf.collator import PackCollator
from mmprolong_hf.encoding import encode_sample
from mmprolong_hf.layout import SharedDocument
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


def questions_of(family="qwen2_5_vl", count=3):
    """Samples of one document of two pages, whose answers have different lengths."""
    pages = [tiny.page(n, 84 + 28 * n) for n in range(2)]
    return [
        encode_sample(tiny.processor(family), pages, [1, 2], f"What is on page {k}?", "7 " * 3**k + "x")
        for k in range(count)
    ]


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_shared_document_stands_once_and_each_branch_goes_on_from_it(family):
    model, (plain, *_), samples = tiny.model(family), tiny.samples(tiny.processor(family)), questions_of(family)
    pack = PackCollator()([plain, samples])
    begin, length = len(plain["input_ids"]), samples[0]["document_length"]
    assert pack["layout"].documents == (SharedDocument(begin, begin + length, pack["input_ids"].shape[1]),)
    assert torch.equal(pack["pixel_values"], torch.cat([plain["pixel_values"], samples[0]["pixel_values"]]))
    assert not any("seq_lens" in key or "max_length" in key for key in pack)
    for sample, (start, end) in zip(samples, pack["layout"].leaves[1:], strict=True):
        inputs = {key: sample[key][None] for key in ("input_ids", "mm_token_type_ids")}
        positions, _ = model.model.get_rope_index(**inputs, image_grid_thw=sample["image_grid_thw"])
        whole = torch.cat([torch.arange(len(sample["input_ids"]))[None], positions[:, 0]])
        run = [*range(begin, begin + length), *range(start, end)]
        assert torch.equal(pack["position_ids"][:, 0, run], whole)
        for key in ("input_ids", "labels", "mm_token_type_ids"):
            assert torch.equal(pack[key][0, run], sample[key])
    supervised = sum((sample["labels"] != IGNORE_INDEX).sum() for sample in [plain, *samples])
    assert (pack["labels"] != IGNORE_INDEX).sum() == supervised


def changed(sample, **columns):
    return {**sample, **{name: change(sample[name].clone()) for name, change in columns.items()}}


@pytest.mark.parametrize(
    "columns",
    [
        {"input_ids": lambda ids: ids.index_fill_(0, torch.tensor([2]), 9)},  # another document
        {"pixel_values": lambda pixels: pixels.flip(0)},  # other pages of the same sizes
        {"image_grid_thw": lambda grids: grids[:, [0, 2, 1]]},  # pages that are as wide as these are high
    ],
)
def test_samples_of_different_documents_cannot_share(columns):
    first, second, third = questions_of()
    with pytest.raises(ValueError, match="begin with different tokens or pages; group samples of one document"):
        PackCollator()([[first, changed(second, **columns), third]])


def test_samples_with_other_pages_or_none_cannot_share():
    first, second, _ = questions_of()
    fewer = encode_sample(tiny.processor(), [tiny.page(0)], [1], "Why?", "x")
    blank = {key: value for key, value in second.items() if key != "pixel_values"}
    for other in (fewer, blank):
        with pytest.raises(ValueError, match="begin with different tokens or pages"):
            PackCollator()([[first, other]])


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize(
    ("column", "place", "value"),
    [
        ("labels", -1, 40),  # the document's last token
        ("labels", 0, 40),  # a branch's first, which that one predicts for all branches
        ("mm_token_type_ids", 0, 1),  # an image in a branch
    ],
)
def test_targets_and_images_on_the_wrong_side_are_refused(column, place, value, later):
    samples = questions_of()
    at = torch.tensor([samples[0]["document_length"] + place])
    samples[later] = changed(samples[later], **{column: lambda values: values.index_fill_(0, at, value)})
    with pytest.raises(ValueError, match="a target or an image on the wrong side of its document_length"):
        PackCollator()([samples])


def test_questions_without_a_document_cannot_share():
    text = [encode_sample(tiny.processor(), [], [], question, "x") for question in ("Why?", "Who?")]
    with pytest.raises(ValueError, match=r"on the wrong side of its document_length \(0\)"):
        PackCollator()([text])
