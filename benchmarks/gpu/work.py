"""What a run has to compute and to hold, from sizes alone."""

from dataclasses import dataclass
from typing import Any

from random_document import LORA
from training import COMMON, Run

from mmprolong_hf.architecture import Architecture
from mmprolong_hf.estimate import CostModel, head_flops
from mmprolong_hf.memory import MemoryEstimate, memory_per_gpu
from mmprolong_hf.positions import IGNORE_INDEX


@dataclass(frozen=True)
class Work:
    """
    Args:
        tokens, patches, supervised (`int`): Of a step.
        model_flops (`float`): Of [`~mmprolong_hf.estimate.CostModel`]: pairs that attend alone, the vision tower too, nothing that is
            computed again.
        hardware_flops (`float`): With what gradient checkpointing computes again: every language layer's forward pass, without
            attention where `save_attention` keeps it, and the vision tower's where that is trained.
        memory (`MemoryEstimate`): Of our trainer with the run's levers.
    """

    tokens: int
    patches: int
    supervised: int
    model_flops: float
    hardware_flops: float
    memory: MemoryEstimate

    @classmethod
    def of(cls, architecture: Architecture, run: Run, pack: dict[str, Any]) -> "Work":
        tokens, supervised = pack["input_ids"].numel(), int((pack["labels"] != IGNORE_INDEX).sum())
        sizes = pack["image_grid_thw"].prod(-1)
        patches, pairs = int(sizes.sum()), tokens * (tokens + 1) // 2
        cost = CostModel.of(architecture, patches_per_image=int(sizes[0]), train_vision=not run.lora, lora=run.lora)
        model = cost.flops(tokens, pairs, patches) + head_flops(architecture, supervised, lora=run.lora)
        again = 2 * architecture.language_weights * tokens
        again += 0 if run.options.get("save_attention") else cost.pair / 3 * pairs
        again += 0 if run.lora else cost.patch / 3 * patches
        return cls(
            tokens, patches, supervised, model, model + again, _memory(architecture, run, tokens, patches, supervised)
        )


def _memory(architecture: Architecture, run: Run, tokens: int, patches: int, supervised: int) -> MemoryEstimate:
    options = run.options
    return memory_per_gpu(
        architecture,
        pack_tokens=tokens,
        pack_patches=patches,
        supervised_tokens=supervised,
        train_vision=not run.lora,
        lora_rank=LORA.r if run.lora else None,
        optimizer=COMMON["optim"],
        save_attention=options.get("save_attention", False),
        mlp_tile=options.get("mlp_tile"),
        offload=options.get("activation_offloading", False),
        vision_chunk=options.get("vision_chunk"),
        uint8_pixels=options.get("uint8_pixels", False),
    )


def pinned_bytes(architecture: Architecture, tokens: int) -> int:
    """Host memory that TRL's activation offloading takes for the inputs of all layers; torch pins it in powers of two."""
    size = 2 * tokens * architecture.hidden_size
    return architecture.num_layers * 2 ** (size - 1).bit_length()
