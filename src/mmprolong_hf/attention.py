"""Attention over a pack, sample by sample, registered with transformers as `packed_sdpa`: never an L x L mask."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface
from transformers.utils import is_flash_attn_2_available, is_flash_attn_3_available

PACKED_SDPA = "packed_sdpa"


def packed_sdpa(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    **kwargs,
) -> tuple[torch.Tensor, None]:
    """
    Causal attention within each sample of a pack, by one call of torch's `scaled_dot_product_attention` per sample.

    Transformers' own SDPA and eager paths separate packed samples with a boolean mask of `T x T`: 16 GiB at 131,072 tokens.
    Here the largest thing is one sample's attention, which torch's fused kernels never write out.

    Args:
        query (`torch.Tensor` of shape `(1, num_heads, T, head_dim)`):
        key, value (`torch.Tensor` of shape `(1, num_key_value_heads, T, head_dim)`):
        cu_seq_lens_q (`torch.Tensor` of shape `(num_samples + 1,)`): Bounds of the samples; without it the row is one sample.

    Returns:
        `torch.Tensor` of shape `(1, T, num_heads, head_dim)`, and `None` for the weights, which are never built.

    Raises:
        ValueError: when called with a cache (queries and keys of different lengths): generate with `attn_implementation="sdpa"`.

    Example:

    ```python
    >>> _ = torch.manual_seed(0)
    >>> q, k, v = torch.randn(3, 1, 2, 5, 8)
    >>> packed, _ = packed_sdpa(torch.nn.Identity(), q, k, v, None, is_causal=True, cu_seq_lens_q=torch.tensor([0, 3, 5]))
    >>> alone, _ = packed_sdpa(torch.nn.Identity(), q[:, :, 3:], k[:, :, 3:], v[:, :, 3:], None, is_causal=True)
    >>> torch.equal(packed[:, 3:], alone)
    True

    ```
    """
    length = query.shape[2]
    if key.shape[2] != length:
        raise ValueError(
            f"{PACKED_SDPA} got {length} queries for {key.shape[2]} keys; it trains on whole rows and keeps no cache. "
            'Load the model with attn_implementation="sdpa" to generate.'
        )
    causal = module.is_causal if is_causal is None else is_causal
    bounds = [0, length] if cu_seq_lens_q is None else cu_seq_lens_q.tolist()
    segments = [
        F.scaled_dot_product_attention(
            query[:, :, start:end],
            key[:, :, start:end],
            value[:, :, start:end],
            dropout_p=dropout,
            scale=scaling,
            is_causal=causal,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        for start, end in pairwise(bounds)
    ]
    return torch.cat(segments, dim=2).transpose(1, 2).contiguous(), None


def _no_mask(*args, attention_mask: torch.Tensor | None = None, **kwargs) -> None:
    if attention_mask is not None and not attention_mask.bool().all():
        raise ValueError(f"{PACKED_SDPA} got a padding mask; packs are not padded, pass none")


AttentionInterface.register(PACKED_SDPA, packed_sdpa)
AttentionMaskInterface.register(PACKED_SDPA, _no_mask)


def choose_attention() -> dict[str, str]:
    """
    The best attention here for training on packs, as `from_pretrained(attn_implementation=...)` takes it: FlashAttention if it
    is installed (3 for the language model, but 2 for the vision tower, which 3 slows down), else per-sample SDPA.

    Example:

    ```python
    >>> choose_attention()["text_config"] in ("flash_attention_3", "flash_attention_2", "packed_sdpa")
    True

    ```
    """
    flash_2, flash_3 = is_flash_attn_2_available(), is_flash_attn_3_available()
    text = "flash_attention_3" if flash_3 else "flash_attention_2" if flash_2 else PACKED_SDPA
    return {"text_config": text, "vision_config": "flash_attention_2" if flash_2 else "sdpa"}
