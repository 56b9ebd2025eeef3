"""What is active in training, each with what was seen of it."""

import os
from typing import Any

import torch
import torch.nn.functional as F

from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.doctor.findings import NOTE, OK, WRONG, Finding
from mmprolong_hf.doctor.observer import StepObserver
from mmprolong_hf.leak import IS_BLIND
from mmprolong_hf.positions import IGNORE_INDEX
from mmprolong_hf.trainer import MAX_LEAK, MMProLongTrainer


@torch.no_grad()
def check_loss(trainer: MMProLongTrainer, pack: dict[str, Any]) -> Finding:
    """
    The loss of the fused head against torch's cross entropy of plain logits.

    Args:
        trainer (`MMProLongTrainer`): Before training.
        pack (`dict`): Inputs on the model's device.
    """
    model, training = trainer.model, trainer.model.training
    inputs = {name: value for name, value in pack.items() if name != "labels"}
    at = (pack["labels"][0, 1:] != IGNORE_INDEX).nonzero()[:, 0]
    if len(at) == 0:
        return Finding("loss", "the first pack has no target: its pages are broken, as training will tell", NOTE)
    model.eval()
    with trainer.accelerator.autocast():
        fused = model(**pack, fused_lm_head=True).loss.item()
        logits = model(**inputs, logits_to_keep=at).logits[0].float()
    model.train(training)
    plain = F.cross_entropy(logits, pack["labels"][0, at + 1]).item()
    most = 1e-2 if trainer.args.bf16 or trainer.args.fp16 or model.dtype != torch.float32 else 1e-5
    text = f"{fused:.6f} by the fused head, {plain:.6f} by torch's cross entropy of {len(at)} targets"
    if not abs(fused - plain) <= most * plain:
        return Finding("loss", f"{text}, expected the same to {most:g}; install the tested trl", WRONG)
    return Finding("loss", text)


def check_leaks(trainer: MMProLongTrainer) -> Finding:
    """[`~mmprolong_hf.trainer.MMProLongTrainer.check_for_leaks`] on the recipe's own first pack, as training does it."""
    with trainer.accelerator.autocast():
        try:
            leak = trainer.check_for_leaks(trainer.model)
        except (RuntimeError, ValueError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            attention = trainer.model.config.text_config._attn_implementation
            named = "" if attention in str(error) or str(error) == IS_BLIND else f" (attention is {attention!r})"
            return Finding("samples of a pack", f"{error}{named}", WRONG)
    if leak is None:
        return Finding("samples of a pack", "no pack holds two samples, so none can see another", NOTE)
    return Finding(
        "samples of a pack", f"see each other by {leak:.1e} of what they see of themselves (at most {MAX_LEAK:g})"
    )


def describe_step(seen: StepObserver, args: MMProLongConfig, active: dict[str, str]) -> list[Finding]:
    """
    What a training step ran, beside what the recipe asks for.

    Args:
        seen (`StepObserver`): After the step.
        args (`MMProLongConfig`): The recipe.
        active (`dict[str, str]`): What the trainer says is active.
    """
    return [
        Finding("Liger", active["Liger"], NOTE if active["Liger"].startswith("off") else OK),
        _head(seen, args),
        _checkpointing(seen, args, active["gradient checkpointing"]),
        _mlps(seen, args, active["MLPs"]),
        _vision(seen, args, active["vision tower"]),
        _workers(args),
    ]


def _head(seen: StepObserver, args: MMProLongConfig) -> Finding:
    text = f"ran on {seen.head_rows:,} of {seen.tokens:,} tokens; {seen.supervised:,} are supervised"
    if seen.head_rows == seen.supervised:
        return Finding("loss head", text)
    if args.device.type == "cpu":
        return Finding("loss head", f"{text}. TRL's head runs on all of them on a CPU, on a GPU on those alone", NOTE)
    return Finding("loss head", f"{text}, expected these alone; install the tested trl", WRONG)


def _checkpointing(seen: StepObserver, args: MMProLongConfig, active: str) -> Finding:
    text = f"{active}. {seen.attention_forward} calls of a fused attention in the forward pass, {seen.attention_again} again in "
    text += f"the backward pass; {seen.layers_again} layers computed again"
    if seen.attention_forward == 0:
        return Finding(
            "gradient checkpointing", f"{text}. This attention has no fused call that could be counted", NOTE
        )
    again = args.activation_checkpointing and not args.save_attention
    if (seen.attention_again > 0) != again or (seen.layers_again > 0) != args.activation_checkpointing:
        return Finding("gradient checkpointing", f"{text}; this is not what is said to be active", WRONG)
    return Finding("gradient checkpointing", text)


def _mlps(seen: StepObserver, args: MMProLongConfig, active: str) -> Finding:
    text = f"{active}; {seen.mlp_rows:,} seen at most"
    return Finding("MLPs", text, WRONG if seen.mlp_rows > (args.mlp_tile or seen.mlp_rows) else OK)


def _vision(seen: StepObserver, args: MMProLongConfig, active: str) -> Finding:
    if seen.pixel_dtype is None:
        return Finding("vision tower", f"{active}; the step had no page", NOTE)
    pixels = (
        "uint8, normalised on the device"
        if seen.pixel_dtype == torch.uint8
        else f"{seen.pixel_dtype}".partition(".")[2]
    )
    text = f"{active}; {seen.vision_patches:,} patches seen at most, {seen.largest_image:,} in the largest page; pixels come as {pixels}"
    allowed = max(args.vision_chunk or seen.vision_patches, seen.largest_image)
    return Finding("vision tower", text, WRONG if seen.vision_patches > allowed else OK)


def _workers(args: MMProLongConfig) -> Finding:
    cores = len(os.sched_getaffinity(0))
    text = f"{args.dataloader_num_workers} beside training, on {cores} cores"
    return Finding(
        "data workers",
        text if args.dataloader_num_workers else f"{text}: training waits for every page",
        OK if args.dataloader_num_workers else NOTE,
    )
