"""Which kernels can compute packed attention here: how far each is from float32, and how long it takes on the recipe's own pack."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from mmprolong_hf.attention import PACKED_ATTENTION, default_kernel, packed_attention
from mmprolong_hf.attention_choice import CHOICES, KernelReport, choose_kernel, probe_kernel
from mmprolong_hf.checkpointing import base_of
from mmprolong_hf.doctor.findings import NOTE, Finding
from mmprolong_hf.layout import PackLayout
from mmprolong_hf.trainer import MMProLongTrainer

REPEATS = 3


@dataclass(frozen=True)
class KernelTime:
    """
    A kernel on a layer's attention of a pack.

    Args:
        report (`KernelReport`): What was found of it.
        forward, backward (`float`): Seconds; 0 where it is not usable.
    """

    report: KernelReport
    forward: float = 0.0
    backward: float = 0.0


def measure_kernels(trainer: MMProLongTrainer, layout: PackLayout) -> list[KernelTime]:
    """
    Every kernel of this device, the one in use first. That one is in use again afterwards.

    Args:
        trainer (`MMProLongTrainer`): Whose model attends by [`~mmprolong_hf.attention.packed_attention`].
        layout (`PackLayout`): Of a pack.
    """
    args, config = trainer.args, trainer.model.config.text_config
    dtype = torch.bfloat16 if args.bf16 else torch.float16 if args.fp16 else trainer.model.dtype
    base = base_of(trainer.model)
    sizes = {
        "num_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": base.get_decoder().layers[0].self_attn.head_dim,
    }
    in_use = choose_kernel(args.attention_kernel, args.device, dtype, **sizes)
    times = [_timed(in_use, layout, args.device, dtype, sizes)]
    names = {*CHOICES[1:], default_kernel(args.device, dtype)} - {in_use.name}
    for name in sorted(names):
        report = probe_kernel(name, args.device, dtype, *sizes.values())
        times.append(_timed(report, layout, args.device, dtype, sizes))
    choose_kernel(args.attention_kernel, args.device, dtype, **sizes)
    return times


def describe_kernels(times: list[KernelTime], tokens: int) -> list[Finding]:
    """
    Args:
        times (`list[KernelTime]`): From [`measure_kernels`].
        tokens (`int`): Of the pack they were measured on.
    """
    findings = []
    for i, kernel in enumerate(times):
        what = PACKED_ATTENTION if i == 0 else "other kernel"
        text = str(kernel.report)
        if kernel.report.reason is None:
            seconds = f"{kernel.forward * 1e3:.1f} + {kernel.backward * 1e3:.1f} ms forward and backward, a layer of {tokens:,} tokens"
            text += f"; {seconds}"
        findings.append(Finding(what, text))
    return findings


def describe_other_attention(implementation: str) -> Finding:
    """Of a model that does not attend by ours."""
    text = f"{implementation!r}, transformers' own"
    if implementation in ("sdpa", "eager"):
        text += ": it separates samples by a mask of T x T, which at 131,072 tokens is 16 GiB; leave attn_implementation out"
    return Finding("attention", text, NOTE)


def _timed(
    report: KernelReport, layout: PackLayout, device: torch.device, dtype: torch.dtype, sizes: dict[str, int]
) -> KernelTime:
    """The kernel of this report is in use."""
    if report.reason is not None:
        return KernelTime(report)
    generator = torch.Generator(device).manual_seed(0)
    heads = (sizes["num_heads"], sizes["num_key_value_heads"], sizes["num_key_value_heads"])
    shapes = [(1, n, layout.segments.values[-1], sizes["head_dim"]) for n in heads]
    inputs = [torch.randn(shape, generator=generator, device=device, dtype=dtype).requires_grad_() for shape in shapes]
    forward, backward = [], []
    for _ in range(1 + REPEATS):  # the first one compiles and plans
        out, seconds = _clock(lambda: packed_attention(None, *inputs, None, layout=layout)[0], device)
        forward.append(seconds)
        backward.append(_clock(lambda out=out: torch.autograd.grad(out, inputs, out.detach()), device)[1])
    return KernelTime(report, min(forward[1:]), min(backward[1:]))


def _clock(run: Callable, device: torch.device) -> tuple:
    """What it returns, and its seconds."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    result = run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return result, time.perf_counter() - began
