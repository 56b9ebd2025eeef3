"""Attention over a pack, registered with transformers as `packed_attention`: samples apart, documents shared, never an L x L mask."""

import torch
import torch.nn.functional as F
from torch.nn.attention.bias import causal_lower_right
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface
from transformers.utils import is_flash_attn_2_available

from mmprolong_hf.attention_kernels import CpuKernel, CudnnKernel, Flash3Kernel, FlashKernel, Kernel
from mmprolong_hf.layout import Bounds, PackLayout
from mmprolong_hf.merged_attention import MergedAttention

PACKED_ATTENTION = "packed_attention"

# What computes it, by name; None is torch's public scaled_dot_product_attention, segment by segment.
KERNELS: dict[str, Kernel | None] = {
    "flash_attention_3": Flash3Kernel(),
    "flash_attention_2": FlashKernel(),
    "cudnn": CudnnKernel(),
    "cpu": CpuKernel(),
    "sdpa": None,
}
# What use_kernel was told, by type of device and of numbers: of the whole process, as torch's own choice of a backend is.
_chosen: dict[tuple[str, torch.dtype], str] = {}


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    layout: PackLayout | None = None,
    **kwargs,
) -> tuple[torch.Tensor, None]:
    """
    Causal attention within each sample of a pack; a document that samples share is computed once for all of them.

    Transformers' own SDPA and eager paths separate packed samples with a boolean mask of `T x T`: 16 GiB at 131,072 tokens. Here
    nothing grows faster than the row.

    Args:
        query (`torch.Tensor` of shape `(1, num_heads, T, head_dim)`):
        key, value (`torch.Tensor` of shape `(1, num_key_value_heads, T, head_dim)`):
        is_causal (`bool`, *optional*): `False` in a vision tower, whose images come here one by one.
        layout (`PackLayout`): From [`~mmprolong_hf.collator.PackCollator`]; without it the row is one sample.

    Returns:
        `torch.Tensor` of shape `(1, T, num_heads, head_dim)`, and `None` for the weights, which are never built.

    Raises:
        ValueError: when called with a cache (queries and keys of different lengths), which generation has, or with dropout.

    Example:

    ```python
    >>> _ = torch.manual_seed(0)
    >>> q, k, v = torch.randn(3, 1, 2, 5, 8)
    >>> packed, _ = packed_attention(torch.nn.Identity(), q, k, v, None, layout=PackLayout.from_lengths([[3], [2]]))
    >>> alone, _ = packed_attention(torch.nn.Identity(), q[:, :, 3:], k[:, :, 3:], v[:, :, 3:], None)
    >>> torch.equal(packed[:, 3:], alone)
    True

    ```
    """
    if is_causal is False:
        return F.scaled_dot_product_attention(query, key, value, scale=scaling).transpose(1, 2).contiguous(), None
    length = query.shape[2]
    if key.shape[2] != length:
        raise ValueError(
            f"{PACKED_ATTENTION} got {length} queries for {key.shape[2]} keys; it trains on whole rows and keeps no cache. "
            'Load the model with attn_implementation="sdpa" to generate.'
        )
    if dropout:
        raise ValueError(f"{PACKED_ATTENTION} got a dropout of {dropout}; it has none, set attention_dropout to 0")
    if layout is None:
        layout = PackLayout(Bounds((0, length)))
    # As torch does for its own attention; rotary leaves float32
    if torch.is_autocast_enabled(query.device.type):
        dtype = torch.get_autocast_dtype(query.device.type)
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    if (kernel := kernel_for(query)) is None:
        return concatenated_attention(query, key, value, layout, scaling), None
    tokens_first = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    return MergedAttention.apply(*tokens_first, layout, scaling, kernel)[None], None


def default_kernel(device: torch.device, dtype: torch.dtype) -> str:
    """
    The name of the kernel for tensors of a device and type where none was chosen.

    Example:

    ```python
    >>> default_kernel(torch.device("cpu"), torch.float32)
    'cpu'

    ```
    """
    if device.type == "cpu":
        return "cpu"
    half = dtype in (torch.float16, torch.bfloat16)
    return "flash_attention_2" if device.type == "cuda" and half else "sdpa"


def kernel_for(tensor: torch.Tensor) -> Kernel | None:
    """The kernel for a tensor: the one that was chosen for its device and type, else the default."""
    chosen = _chosen.get((tensor.device.type, tensor.dtype))
    return KERNELS[chosen or default_kernel(tensor.device, tensor.dtype)]


def use_kernel(name: str | None, device: torch.device, dtype: torch.dtype) -> None:
    """
    Lets all packed attention of this process be computed by a kernel, as
    [`~mmprolong_hf.attention_choice.choose_kernel`] does when it has seen that it works.

    Args:
        name (`str`, *optional*): One of `KERNELS`; the default if `None`.
        device (`torch.device`), dtype (`torch.dtype`): Of the queries that it is for.
    """
    if name is None:
        _chosen.pop((device.type, dtype), None)
    else:
        _chosen[device.type, dtype] = name


def concatenated_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layout: PackLayout, scaling: float | None = None
) -> torch.Tensor:
    """
    The same by torch's public `scaled_dot_product_attention`, one call a segment, a branch's keys being a copy of its document's
    and its own: for any device and type, slower the more branches there are.

    Args and Returns: as [`packed_attention`], without the weights.
    """
    document_of = {
        start: document.tokens
        for document in layout.documents
        for start, _ in layout.segments.pairs
        if document.end <= start < document.stop
    }
    parts = []
    for start, end in layout.segments.pairs:
        runs = [slice(start, end)]
        if start in document_of:
            runs.insert(0, document_of[start])
        keys, values = (torch.cat([tensor[:, :, run] for run in runs], dim=2) for tensor in (key, value))
        mask = causal_lower_right(end - start, keys.shape[2]) if len(runs) > 1 else None
        parts.append(
            F.scaled_dot_product_attention(
                query[:, :, start:end],
                keys,
                values,
                attn_mask=mask,
                scale=scaling,
                is_causal=mask is None,
                enable_gqa=query.shape[1] != key.shape[1],
            )
        )
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous()


def _no_mask(*args, attention_mask: torch.Tensor | None = None, **kwargs) -> None:
    if attention_mask is not None and not attention_mask.bool().all():
        raise ValueError(f"{PACKED_ATTENTION} got a padding mask; packs are not padded, pass none")


AttentionInterface.register(PACKED_ATTENTION, packed_attention)
AttentionMaskInterface.register(PACKED_ATTENTION, _no_mask)


def choose_attention() -> dict[str, str]:
    """
    The attention for training on packs, as `from_pretrained(attn_implementation=...)` takes it: ours for the language model, and
    for the vision tower FlashAttention-2 if it is installed.

    Example:

    ```python
    >>> choose_attention()["text_config"]
    'packed_attention'

    ```
    """
    return {
        "text_config": PACKED_ATTENTION,
        "vision_config": "flash_attention_2" if is_flash_attn_2_available() else "sdpa",
    }
