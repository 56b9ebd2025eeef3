"""Attention of new tokens to a cache and to themselves, registered with transformers as `prefix_attention`."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch.nn.attention.bias import causal_lower_right
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

PREFIX_ATTENTION = "prefix_attention"


def prefix_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **kwargs,
) -> tuple[torch.Tensor, None]:
    """
    Without a mask, queries are the newest of the keys and see all before them. Transformers' own SDPA has a boolean mask for that,
    of chunk x context, which keeps torch from its flash kernel; here the kernel knows the triangle. With a mask, as SDPA.

    Args:
        query (`torch.Tensor` of shape `(1, num_heads, num_new, head_dim)`):
        key, value (`torch.Tensor` of shape `(1, num_key_value_heads, num_cached + num_new, head_dim)`):
        attention_mask (`torch.Tensor` of shape `(1, 1, num_new, num_cached + num_new)`, *optional*): True where seen.

    Returns:
        `torch.Tensor` of shape `(1, num_new, num_heads, head_dim)`, and `None` for the weights, which are never built.

    Example:

    ```python
    >>> _ = torch.manual_seed(0)
    >>> q, k, v = torch.randn(3, 1, 2, 5, 8)
    >>> whole, _ = prefix_attention(torch.nn.Identity(), q, k, v, None)
    >>> newest, _ = prefix_attention(torch.nn.Identity(), q[:, :, 3:], k, v, None)
    >>> torch.allclose(newest, whole[:, 3:], atol=1e-6)
    True

    ```
    """
    if attention_mask is not None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling)
    num_new, num_keys = query.shape[2], key.shape[2]
    triangle = causal_lower_right(num_new, num_keys)
    gqa = query.shape[1] != key.shape[1]
    out = F.scaled_dot_product_attention(query, key, value, attn_mask=triangle, scale=scaling, enable_gqa=gqa)
    return out.transpose(1, 2).contiguous(), None


# No mask function is registered with it: transformers then makes no mask of its own and passes on one of four dimensions.
AttentionInterface.register(PREFIX_ATTENTION, prefix_attention)


@contextmanager
def prefix_attention_in(model: PreTrainedModel) -> Iterator[None]:
    """A model's language half attends by [`prefix_attention`] inside the block, and as before after it."""
    before = model.config.get_text_config()._attn_implementation
    model.set_attn_implementation({"text_config": PREFIX_ATTENTION})
    try:
        yield
    finally:
        model.set_attn_implementation({"text_config": before})
