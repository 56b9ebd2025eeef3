"""
Attention over a pack in two fused calls: every segment on itself, every branch on its document, merged by log-sum-exp.

For a branch's query with the keys of its document (1) and of its own branch (2), each call gives an output `o` and the log of the
sum of its exponentiated scores, `l`; the softmax over both sets of keys is

    l = log(exp(l1) + exp(l2)),    o = exp(l1 - l) o1 + exp(l2 - l) o2

The gradients are exact too: a fused backward pass computes the probabilities of its keys again as `exp(score - l)`, and with the
merged `l` and `o` in the place of its own these are the probabilities of the whole softmax (as in ring attention, Liu et al. 2023,
arXiv 2310.01889). So a document's keys are read once for all its branches and never copied.
"""

import torch

from mmprolong_hf.attention_kernels import Kernel
from mmprolong_hf.layout import Bounds, PackLayout


class MergedAttention(torch.autograd.Function):
    """
    Attention over a pack; see the file's first lines.

    Args (of `apply`):
        query (`torch.Tensor` of shape `(T, num_heads, head_dim)`):
        key, value (`torch.Tensor` of shape `(T, num_key_value_heads, head_dim)`):
        layout (`PackLayout`): Of the pack.
        scale (`float` or `None`): Of the scores; `head_dim**-0.5` if `None`.
        kernel (`Kernel`): What attends.

    Returns:
        `torch.Tensor` of shape `(T, num_heads, head_dim)`.

    Example:

    ```python
    >>> from mmprolong_hf.attention_kernels import CpuKernel
    >>> _ = torch.manual_seed(0)
    >>> q, k, v = torch.randn(3, 7, 2, 8)
    >>> shared = MergedAttention.apply(q, k, v, PackLayout.from_lengths([[4, 1, 2]]), None, CpuKernel())
    >>> alone = [torch.cat([x[:4], x[5:]]) for x in (q, k, v)]  # the document and its second branch as a sample
    >>> alone = MergedAttention.apply(*alone, PackLayout.from_lengths([[6]]), None, CpuKernel())
    >>> torch.allclose(shared[5:], alone[4:], atol=1e-6)
    True

    ```
    """

    @staticmethod
    def forward(ctx, query, key, value, layout: PackLayout, scale: float | None, kernel: Kernel) -> torch.Tensor:
        out, lse = kernel.forward(query, key, value, (layout.segments, layout.segments), True, scale)
        if layout.documents:
            # Checkpointing may keep what the kernel returned, to merge it once more
            out, lse = out.clone(), lse.clone()
            branches, documents = _runs_of(layout)
            far, far_lse = kernel.forward(
                _gather(query, branches), _gather(key, documents), _gather(value, documents), _across(layout), False, scale
            )  # fmt: skip
            near, near_lse = _gather(out, branches), _gather(lse.T, branches)
            merged = torch.logaddexp(near_lse, far_lse.T)
            _scatter(out, branches, _weighted(near, near_lse - merged) + _weighted(far, far_lse.T - merged))
            _scatter(lse.T, branches, merged)
        ctx.save_for_backward(query, key, value, out, lse)
        ctx.layout, ctx.scale, ctx.kernel = layout, scale, kernel
        return out

    @staticmethod
    def backward(ctx, grad: torch.Tensor):
        query, key, value, out, lse = ctx.saved_tensors
        layout, scale, kernel = ctx.layout, ctx.scale, ctx.kernel
        grad = grad.contiguous()
        grads = kernel.backward(grad, query, key, value, out, lse, (layout.segments, layout.segments), True, scale)
        if layout.documents:
            branches, documents = _runs_of(layout)
            parts = kernel.backward(
                _gather(grad, branches),
                _gather(query, branches),
                _gather(key, documents),
                _gather(value, documents),
                _gather(out, branches),
                _gather(lse.T, branches).T.contiguous(),
                _across(layout),
                False,
                scale,
            )
            for whole, runs, part in zip(grads, (branches, documents, documents), parts):
                _scatter(whole, runs, _gather(whole, runs) + part)
        return *grads, None, None, None


def _runs_of(layout: PackLayout) -> tuple[list[slice], list[slice]]:
    return [d.branches for d in layout.documents], [d.tokens for d in layout.documents]


def _across(layout: PackLayout) -> tuple[Bounds, Bounds]:
    return layout.branch_bounds, layout.document_bounds


def _gather(tensor: torch.Tensor, runs: list[slice]) -> torch.Tensor:
    """These runs end to end; a view where there is one."""
    return tensor[runs[0]] if len(runs) == 1 else torch.cat([tensor[run] for run in runs])


def _scatter(tensor: torch.Tensor, runs: list[slice], values: torch.Tensor) -> None:
    """Writes `values`, laid end to end, into these runs."""
    sizes = [run.stop - run.start for run in runs]
    for run, part in zip(runs, values.split(sizes)):
        tensor[run] = part


def _weighted(out: torch.Tensor, log_weight: torch.Tensor) -> torch.Tensor:
    """`(tokens, heads, head_dim)` times exp of `(tokens, heads)`, in float32: the sum of two such is rounded once."""
    return out * log_weight.exp()[..., None]
