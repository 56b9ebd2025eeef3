import pytest
import tiny
import torch
from test_collator import ATTENTION, default_cache, ones_mask, text_row_not_restarted, three_rows

from mmprolong_hf.attention import PACKED_ATTENTION, choose_attention
from mmprolong_hf.collator import PackCollator
from mmprolong_hf.encoding import encode_sample
from mmprolong_hf.layout import PackLayout
from mmprolong_hf.leak import measure_leak


@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_separate_samples_measure_zero(family, attention):
    model = tiny.model(family, ATTENTION[attention]).train()
    assert measure_leak(model, PackCollator()(tiny.samples(tiny.processor(family)))) == 0
    assert model.training


@pytest.mark.parametrize("broken", [ones_mask, default_cache])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_samples_that_see_each_other_measure_much(family, broken):
    pack = broken(PackCollator()(tiny.samples(tiny.processor(family))))
    assert measure_leak(tiny.model(family), pack) > 0.1


def test_bounds_that_are_ignored_measure_much():
    pack = three_rows(PackCollator()(tiny.samples(tiny.processor())))
    assert measure_leak(tiny.model(), pack) > 0.1


def test_positions_that_do_not_restart_are_named():
    pack = text_row_not_restarted(PackCollator()(tiny.samples(tiny.processor())))
    with pytest.raises(ValueError, match="expected 0 in every row"):
        measure_leak(tiny.model(), pack)


def test_one_sample_cannot_leak():
    with pytest.raises(ValueError, match="at least two samples, got one"):
        measure_leak(tiny.model(), PackCollator()(tiny.samples(tiny.processor())[:1]))


def test_a_test_that_sees_nothing_is_refused():
    model = tiny.model()
    torch.nn.init.zeros_(model.lm_head.weight)
    with pytest.raises(ValueError, match="did not change its own logits; the leak test saw nothing"):
        measure_leak(model, PackCollator()(tiny.samples(tiny.processor())))


def parts_of(family="qwen2_5_vl"):
    """A sample, and a document with three questions."""
    processor = tiny.processor(family)
    pages = [tiny.page(n) for n in range(2)]
    questions = [encode_sample(processor, pages, [1, 2], f"What is on page {k}?", "7 " * k + "x") for k in range(3)]
    return [*tiny.samples(processor, ((1, 112, 56),)), questions]


def attending(layout, family="qwen2_5_vl"):
    """A model whose attention is told another layout than the pack has."""
    model = tiny.model(family, ATTENTION[PACKED_ATTENTION])
    model.register_forward_pre_hook(
        lambda module, args, kwargs: (args, {**kwargs, "layout": layout}), with_kwargs=True
    )
    return model


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1), slice(1, None)])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_shared_documents_measure_zero(family, order):
    model = tiny.model(family, ATTENTION[PACKED_ATTENTION])
    assert measure_leak(model, PackCollator()(parts_of(family)[order])) == 0


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_branches_that_do_not_see_their_document_are_named(family):
    pack = PackCollator()(parts_of(family))
    with pytest.raises(
        ValueError, match="does not see the document it shares; attention has to be 'packed_attention'"
    ):
        measure_leak(attending(PackLayout(pack["layout"].segments), family), pack)
    # What transformers' own attention makes of such a pack: it begins a sample wherever the text row jumps
    with pytest.raises(ValueError, match="does not see the document it shares"):
        measure_leak(tiny.model(family), pack)


def test_one_blind_branch_is_enough():
    pack = PackCollator()(parts_of())
    sample, document, first, second, third = (end - start for start, end in pack["layout"].segments.pairs)
    last_blind = PackLayout.from_lengths([[sample], [document, first, second], [third]])
    with pytest.raises(ValueError, match="does not see the document it shares"):
        measure_leak(attending(last_blind), pack)


@pytest.mark.parametrize("document_first", [False, True])
def test_a_branch_that_sees_its_sibling_measures_much(document_first):
    (sample, questions), length = parts_of(), parts_of()[1][0]["document_length"]
    own = [len(question["input_ids"]) - length for question in questions]
    lengths = [[len(sample["input_ids"])], [length, own[0] + own[1], own[2]]]
    order = -1 if document_first else 1
    pack = PackCollator()([sample, questions][::order])
    assert measure_leak(attending(PackLayout.from_lengths(lengths[::order])), pack) > 0.1


def test_a_sample_that_sees_a_document_measures_much():
    sample, questions = parts_of()
    pack = PackCollator()([questions, sample])
    lengths = [end - start for start, end in pack["layout"].segments.pairs]
    assert measure_leak(attending(PackLayout.from_lengths([lengths])), pack) > 0.1


def test_positions_of_a_document_that_do_not_restart_are_named():
    pack = text_row_not_restarted(PackCollator()(parts_of()))
    with pytest.raises(ValueError, match="expected 0 in every row"):
        measure_leak(tiny.model(attention=ATTENTION[PACKED_ATTENTION]), pack)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_separate_samples_measure_zero_on_a_gpu(family, dtype):
    model = tiny.model(family, choose_attention() if dtype == torch.bfloat16 else ATTENTION[PACKED_ATTENTION])
    model = model.to("cuda", dtype)
    pack = PackCollator()(tiny.samples(tiny.processor(family)))
    pack = {key: value.cuda() if isinstance(value, torch.Tensor) else value for key, value in pack.items()}
    assert measure_leak(model, pack) == 0
    shared = PackCollator()(parts_of(family))
    shared = {key: value.cuda() if isinstance(value, torch.Tensor) else value for key, value in shared.items()}
    assert measure_leak(model, shared) == 0
    assert (
        measure_leak(model, ones_mask(pack)) > 0.1 or model.config.text_config._attn_implementation == PACKED_ATTENTION
    )
