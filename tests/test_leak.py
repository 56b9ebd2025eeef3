import pytest
import tiny
import torch
from test_collator import ATTENTION, default_cache, ones_mask, text_row_not_restarted, three_rows

from mmprolong_hf.attention import PACKED_ATTENTION, choose_attention
from mmprolong_hf.collator import PackCollator
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
    with pytest.raises(ValueError, match="the leak test saw nothing"):
        measure_leak(model, PackCollator()(tiny.samples(tiny.processor())))


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
    assert measure_leak(model, ones_mask(pack)) > 0.1 or model.config.text_config._attn_implementation == PACKED_ATTENTION
