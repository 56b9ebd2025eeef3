import pytest
import tiny
import torch

from mmprolong_hf.attention import PACKED_ATTENTION, choose_attention, packed_attention
from mmprolong_hf.collator import PackCollator
from mmprolong_hf.layout import PackLayout


def test_equal_to_a_masked_softmax():
    torch.manual_seed(0)
    query, key, value = torch.randn(1, 4, 9, 8), torch.randn(1, 2, 9, 8), torch.randn(1, 2, 9, 8)
    layout = PackLayout.from_lengths([[4], [1], [4]])
    bounds = layout.segments.cu_seqlens("cpu")
    sample = torch.bucketize(torch.arange(9), bounds[1:], right=True)
    visible = (sample[:, None] == sample) & (torch.arange(9)[:, None] >= torch.arange(9))
    scores = query @ key.repeat_interleave(2, 1).transpose(2, 3) * 0.3
    expected = scores.masked_fill(~visible, -torch.inf).softmax(-1) @ value.repeat_interleave(2, 1)
    out, weights = packed_attention(torch.nn.Identity(), query, key, value, None, scaling=0.3, layout=layout)
    assert weights is None
    torch.testing.assert_close(out, expected.transpose(1, 2))


@pytest.mark.parametrize("shared", [False, True])
def test_no_square_tensor_is_ever_made(shared):
    # 4,096 tokens, in samples of 64 or a document of 2,048 with branches of 64: anything of T x T would be 16.8M elements, and
    # the largest tensor here is far below.
    length, largest = 4096, 0

    class Largest(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            out = function(*args, **(kwargs or {}))
            for tensor in out if isinstance(out, tuple) else (out,):
                largest = max(largest, tensor.numel() if isinstance(tensor, torch.Tensor) else 0)
            return out

    text = {
        "input_ids": torch.full((2112 if shared else 64,), 40),
        "labels": torch.full((2112 if shared else 64,), -100),
        "mm_token_type_ids": torch.zeros(2112 if shared else 64).int(),
        "document_length": 2048 if shared else 0,
    }
    pack = PackCollator()([[text] * 32] if shared else [text] * 64)
    assert pack["input_ids"].shape == (1, length)
    del pack["labels"]
    model = tiny.model(attention={"text_config": PACKED_ATTENTION, "vision_config": "sdpa"})
    with torch.no_grad(), Largest():
        model.model(**pack)
    packed = largest
    assert packed < length * length / 16
    largest, model = 0, tiny.model(attention="sdpa")
    with torch.no_grad(), Largest():
        model.model(**pack)
    assert largest >= length * length  # the guard: this is what the default path does


def test_a_cache_dropout_and_a_padding_mask_are_refused():
    tensors = torch.randn(3, 1, 2, 5, 8)
    with pytest.raises(ValueError, match="1 queries for 5 keys"):
        packed_attention(torch.nn.Identity(), tensors[0][:, :, :1], tensors[1], tensors[2], None)
    with pytest.raises(ValueError, match=r"got a dropout of 0\.1; it has none"):
        packed_attention(torch.nn.Identity(), *tensors, None, dropout=0.1)
    model = tiny.model(attention={"text_config": PACKED_ATTENTION, "vision_config": "sdpa"})
    with pytest.raises(ValueError, match="packs are not padded"):
        model(input_ids=torch.full((1, 4), 40), attention_mask=torch.tensor([[0, 1, 1, 1]]), use_cache=False)


def test_the_choice_here_loads_a_model(tmp_path):
    tiny.model().save_pretrained(tmp_path)
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(tmp_path, attn_implementation=choose_attention())
    assert model.config.text_config._attn_implementation == choose_attention()["text_config"]
    assert model.config.vision_config._attn_implementation == choose_attention()["vision_config"]
