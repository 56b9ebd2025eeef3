"""The timed steps as findings: rates, FLOPs utilisation, memory beside its estimate."""

import torch
from peft import PeftModel

from mmprolong_hf.architecture import Architecture
from mmprolong_hf.data_wait import MOST_WAIT
from mmprolong_hf.doctor.device import peak_tflops
from mmprolong_hf.doctor.findings import NOTE, OK, WRONG, Finding
from mmprolong_hf.doctor.observer import StepObserver
from mmprolong_hf.doctor.timing import Timing, packs_of_step, sizes_of
from mmprolong_hf.memory import memory_per_gpu
from mmprolong_hf.planning import parts_of
from mmprolong_hf.trainer import MMProLongTrainer

FAR = 0.15  # of the measured peak: how far the estimate may be


def describe_timing(trainer: MMProLongTrainer, timing: Timing, seen: StepObserver) -> list[Finding]:
    """
    Args:
        trainer (`MMProLongTrainer`): After the steps.
        timing (`Timing`): Of them.
        seen (`StepObserver`): Of the first.
    """
    seconds = ", ".join(f"{value:.3g}" for value in timing.seconds)
    state = OK if timing.data_wait <= MOST_WAIT else NOTE
    return [
        Finding(
            "seconds a step", f"{seconds}; the first {timing.first_seconds:.3g}, with the leak test and what counts"
        ),
        Finding("tokens", f"{timing.tokens / timing.total:,.0f} a second"),
        Finding("questions", f"{timing.questions / timing.total:.3g} a second"),
        Finding("data wait", f"{timing.data_wait:.1%} of the time, expected at most {MOST_WAIT:.0%}", state),
        Finding("loss", ", ".join(f"{loss:.4f}" for loss in timing.losses)),
        *_utilization(trainer, timing),
        _memory(trainer, timing, seen),
    ]


def _utilization(trainer: MMProLongTrainer, timing: Timing) -> list[Finding]:
    """Of the GPU's peak."""
    flops = f"{timing.flops / timing.total / 1e12:.3g} TFLOPS of the model (causal, vision included), "
    flops += f"{(timing.flops + timing.again) / timing.total / 1e12:.3g} with what is computed again"
    if trainer.args.device.type != "cuda":
        return [Finding("FLOPs", f"{flops}; no MFU: a CPU's peak has no meaning here", NOTE)]
    name = torch.cuda.get_device_name(trainer.args.device)
    peak = peak_tflops(name) or trainer.args.peak_tflops
    model, hardware = timing.utilization(peak)
    if hardware > 1:
        text = f"{flops}: more than the peak of {peak:g}; set peak_tflops to that of {name}"
        return [Finding("FLOPs", text, WRONG)]
    return [
        Finding("FLOPs", flops),
        Finding("causal MFU", f"{model:.1%} of {peak:g} TFLOPS"),
        Finding("hardware FLOPs", f"{hardware:.1%}, what is computed again counted"),
    ]


def _memory(trainer: MMProLongTrainer, timing: Timing, seen: StepObserver) -> Finding:
    """The peak beside the estimate for the largest pack of the steps."""
    args = trainer.args
    if not args.activation_checkpointing:
        told = (
            "on a CPU it is not measured"
            if timing.peak_bytes is None
            else f"{timing.peak_bytes / 2**30:.1f} GiB at most"
        )
        return Finding("memory", f"{told}; there is no estimate without gradient checkpointing", NOTE)
    parts = parts_of(trainer.train_dataset, args)
    steps = range(1 + len(timing.seconds))
    packs = [pack for step in steps for pack in packs_of_step(trainer, step)]
    tokens, _, patches = max(sizes_of(parts, [pack]) for pack in packs)
    lora = isinstance(trainer.model, PeftModel)
    half = args.bf16 or args.fp16
    estimate = memory_per_gpu(
        Architecture.from_config(trainer.model.config.to_dict()),
        pack_tokens=tokens,
        pack_patches=patches,
        supervised_tokens=seen.most_supervised,
        train_vision=not (lora or args.freeze_vision_tower),
        lora_rank=trainer.model.peft_config["default"].r if lora else None,
        weight_bytes=trainer.model.dtype.itemsize,
        compute_bytes=2 if half else trainer.model.dtype.itemsize,
        optimizer=args.optim,
        save_attention=args.save_attention,
        mlp_tile=args.mlp_tile,
        vision_chunk=args.vision_chunk,
        offload=args.activation_offloading,
        uint8_pixels=seen.pixel_dtype == torch.uint8,
    )
    told = f"{_size(estimate.total)} estimated for a pack of {tokens:,} tokens"
    if timing.peak_bytes is None:
        return Finding("memory", f"{told}; on a CPU it is not measured", NOTE)
    off = estimate.total / timing.peak_bytes - 1
    text = f"{_size(timing.peak_bytes)} at most, {told} ({off:+.0%})"
    return Finding("memory", text, OK if abs(off) <= FAR else NOTE)


def _size(num_bytes: float) -> str:
    return f"{num_bytes / 2**30:.1f} GiB" if num_bytes >= 2**30 else f"{num_bytes / 2**20:.1f} MiB"
