"""prefix_attention.py: the newest queries see all keys up to their own, with grouped heads too, and a model keeps its attention."""

import pytest
import tiny
import torch

from mmprolong_hf.evaluation.prefix_attention import PREFIX_ATTENTION, prefix_attention, prefix_attention_in


class Layer(torch.nn.Module):
    num_key_value_groups = 2


class Seven(torch.nn.Module):
    num_key_value_groups = 7


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("num_new", [1, 3, 9])
def test_equal_to_a_masked_softmax(num_new, masked):
    torch.manual_seed(0)
    query, key, value = torch.randn(1, 4, num_new, 8), torch.randn(1, 2, 9, 8), torch.randn(1, 2, 9, 8)
    seen = torch.ones(num_new, 9).tril(9 - num_new).bool()
    if masked:
        seen[:, 2:4] = False
    scores = query @ key.repeat_interleave(2, 1).transpose(2, 3) * 0.3
    expected = scores.masked_fill(~seen, -torch.inf).softmax(-1) @ value.repeat_interleave(2, 1)
    out, weights = prefix_attention(Layer(), query, key, value, seen[None, None] if masked else None, scaling=0.3)
    assert weights is None
    torch.testing.assert_close(out, expected.transpose(1, 2))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_needs_no_mask_in_half_precision():
    torch.manual_seed(0)
    query = torch.randn(1, 14, 4000, 128, device="cuda", dtype=torch.bfloat16)
    key, value = torch.randn(2, 1, 2, 50_000, 128, device="cuda", dtype=torch.bfloat16)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    out, _ = prefix_attention(torch.nn.Identity(), query, key, value, None)
    assert torch.cuda.max_memory_allocated() - before < 4000 * 50_000  # bytes, of a mask
    seen = torch.ones(4000, 50_000, device="cuda").tril(46_000).bool()[None, None]
    expected, _ = prefix_attention(Seven(), query, key, value, seen)
    torch.testing.assert_close(out, expected, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_model_has_it_inside_the_block_only(family):
    model = tiny.model(family, "eager")

    def attention():
        text = {layer.self_attn.config._attn_implementation for layer in model.model.language_model.layers}
        return text, model.config.vision_config._attn_implementation

    with prefix_attention_in(model):
        assert attention() == ({PREFIX_ATTENTION}, "eager")
    assert attention() == ({"eager"}, "eager")
    with pytest.raises(ZeroDivisionError), prefix_attention_in(model):
        1 / 0  # noqa: B018
    assert attention() == ({"eager"}, "eager")
