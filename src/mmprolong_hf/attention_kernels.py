"""Fused attention, forward and backward, by the kernels that torch holds: for CPUs, FlashAttention-2 or -3, and cuDNN."""

from typing import Protocol

import torch

from mmprolong_hf.layout import Bounds


class Kernel(Protocol):
    """
    A fused attention, forward and backward, over runs of queries and keys: run i of the queries sees run i of the keys.

    Queries are `(num_queries, num_heads, head_dim)`, keys and values `(num_keys, num_key_value_heads, head_dim)`, log-sum-exps
    `(num_heads, num_queries)` in float32. The runs of `bounds`, of queries and of keys, cover all of them. Gradients have the types
    of their inputs.
    """

    def forward(self, query, key, value, bounds: tuple[Bounds, Bounds], causal: bool, scale: float | None):
        """Output and log-sum-exp."""

    def backward(
        self, grad, query, key, value, out, lse, bounds: tuple[Bounds, Bounds], causal: bool, scale: float | None
    ):
        """Gradients of query, key and value, for the probabilities that `lse` says and the output `out`."""


class RunKernel:
    """A kernel that attends one run at a time, with the heads first: `_attend` and `_gradients` are of one run."""

    def forward(self, query, key, value, bounds, causal, scale):
        out = torch.empty_like(query)
        lse = query.new_empty(query.shape[1], query.shape[0], dtype=torch.promote_types(query.dtype, torch.float32))
        for queries, keys in _runs(bounds):
            views = _heads(query, queries), _heads(key, keys), _heads(value, keys)
            part, part_lse = self._attend(*views, causal, scale)
            out[queries], lse[:, queries] = part[0].transpose(0, 1), part_lse.view(query.shape[1], -1)
        return out, lse

    def backward(self, grad, query, key, value, out, lse, bounds, causal, scale):
        grads = [torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)]
        for queries, keys in _runs(bounds):
            views = _heads(grad, queries), _heads(query, queries), _heads(key, keys), _heads(value, keys)
            parts = self._gradients(*views, _heads(out, queries), lse[None, :, queries], causal, scale)
            for whole, run, part in zip(grads, (queries, keys, keys), parts):
                whole[run] = part[0].transpose(0, 1)
        return grads


class CpuKernel(RunKernel):
    """Torch's flash attention for CPUs."""

    def _attend(self, query, key, value, causal, scale):
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(query, key, value, 0.0, causal, scale=scale)

    def _gradients(self, grad, query, key, value, out, lse, causal, scale):
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
            grad, query, key, value, out, lse, 0.0, causal, scale=scale
        )


class FlashKernel:
    """
    Torch's own flash attention on CUDA, which is FlashAttention-2, all runs in one call. For float16 and bfloat16.
    """

    def forward(self, query, key, value, bounds, causal, scale):
        out, lse, *_ = torch.ops.aten._flash_attention_forward(
            query, key, value, *self._cu_seqlens(bounds, query.device), 0.0, causal, False, scale=scale
        )
        return out, lse

    def backward(self, grad, query, key, value, out, lse, bounds, causal, scale):
        no_dropout = torch.zeros(2, dtype=torch.uint64, device=query.device)  # its random state, which is not read
        return torch.ops.aten._flash_attention_backward(
            grad, query, key, value, out, lse, *self._cu_seqlens(bounds, query.device), 0.0, causal, no_dropout, no_dropout, scale=scale
        )  # fmt: skip

    @staticmethod
    def _cu_seqlens(bounds, device):
        queries, keys = bounds
        return queries.cu_seqlens(device), keys.cu_seqlens(device), queries.longest, keys.longest


class Flash3Kernel(FlashKernel):
    """
    FlashAttention-3 of the package `flash_attn_interface`, all runs in one call, on Hopper alone. For float16 and bfloat16.

    Called by the functions that torch has for it (`torch/nn/attention/_fa3.py`, a prototype in 2.13). Torch's public way,
    `activate_flash_attention_impl`, would put it in the place of all flash attention of the process, the vision tower's too, which
    it slows threefold (volcengine/verl#4670).
    """

    def forward(self, query, key, value, bounds, causal, scale):
        out, lse, *_ = self._functions()._fa3_flash_attention_forward_impl_default(
            query, key, value, *self._cu_seqlens(bounds, query.device), 0.0, causal, False, scale=scale
        )
        return out, lse

    def backward(self, grad, query, key, value, out, lse, bounds, causal, scale):
        return self._functions()._fa3_flash_attention_backward_impl(
            grad, query, key, value, out, lse, *self._cu_seqlens(bounds, query.device), 0.0, causal, None, None, scale=scale
        )  # fmt: skip

    @staticmethod
    def _functions():
        from torch.nn.attention import _fa3

        _fa3._fa3_import_module("flash_attn_interface")
        return _fa3


class CudnnKernel(RunKernel):
    """
    CuDNN's attention: written for Hopper's and Blackwell's tensor cores, and in every torch for CUDA. It makes and keeps a plan for
    each new length, so it is for packs of few long documents. For float16 and bfloat16.
    """

    def _attend(self, query, key, value, causal, scale):
        return torch.ops.aten._scaled_dot_product_cudnn_attention(
            query, key, value, None, True, 0.0, causal, scale=scale
        )[:2]

    def _gradients(self, grad, query, key, value, out, lse, causal, scale):
        no_dropout = torch.zeros((), dtype=torch.int64, device=query.device)
        lengths = query.shape[2], key.shape[2]
        return torch.ops.aten._scaled_dot_product_cudnn_attention_backward(
            grad, query, key, value, out, lse[..., None].contiguous(), no_dropout, no_dropout, None, None, None, *lengths, 0.0,
            causal, scale=scale,
        )  # fmt: skip


def _runs(bounds: tuple[Bounds, Bounds]) -> list[tuple[slice, slice]]:
    return [(slice(*queries), slice(*keys)) for queries, keys in zip(bounds[0].pairs, bounds[1].pairs, strict=True)]


def _heads(tensor: torch.Tensor, run: slice) -> torch.Tensor:
    """`(tokens, heads, head_dim)` -> `(1, heads, run, head_dim)`, a view."""
    return tensor[run].transpose(0, 1)[None]
