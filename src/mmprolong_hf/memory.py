"""What a training step holds on a GPU at its peak, from sizes alone; no model is loaded. For `--dry_run`."""

from dataclasses import dataclass

from mmprolong_hf.architecture import Architecture
from mmprolong_hf.layer_memory import (
    Setup,
    attention_outputs,
    gathered,
    head,
    hidden_states,
    language_work,
    vision_hidden_states,
    vision_work,
)

# Bytes of optimizer state on the GPU for a trained weight: float32 or bfloat16 moments follow the weights (None); 8-bit moments
# have a float32 scale for each block of 256; paged ones are in host memory at the peak.
MOMENTS = {
    "adamw_torch": None,
    "adamw_torch_fused": None,
    "adamw_torch_8bit": 2 + 2 * 4 / 256,
    "adamw_8bit": 2 + 2 * 4 / 256,
    "adamw_bnb_8bit": 2 + 2 * 4 / 256,
    "paged_adamw_8bit": 0,
    "paged_adamw_32bit": 0,
    "sgd": 0,
}


@dataclass(frozen=True)
class MemoryEstimate:
    """
    Bytes on one GPU in a training step.

    Args:
        weights (`int`): This GPU's share of the weights, adapters included.
        gradients (`int`): Its share of the gradients, which stay between the packs of a step.
        optimizer (`int`): Its share of the optimizer's state.
        gathered (`int`): Unsharded or cast weights, and gradients not yet shared out or added, that exist at once.
        pixel_values (`int`): The pack's pages.
        hidden_states (`int`): Input of every language layer, kept by gradient checkpointing.
        attention_outputs (`int`): What `save_attention` keeps, but for the layer that `language_work` is of.
        language_work (`int`): What the backward pass of a language layer holds at most.
        vision_hidden_states (`int`): Input of every vision block, kept if the tower is trained as a whole; pages cast to bfloat16.
        vision_work (`int`): What a vision block, or a chunk of the tower, holds at most.
        head (`int`): Logits of the supervised tokens.
    """

    weights: int
    gradients: int
    optimizer: int
    gathered: int
    pixel_values: int
    hidden_states: int
    attention_outputs: int
    language_work: int
    vision_hidden_states: int
    vision_work: int
    head: int

    @property
    def states(self) -> int:
        """What is there between steps."""
        return self.weights + self.gradients + self.optimizer

    @property
    def activations(self) -> int:
        """The pages, and the larger of the peaks: the last language layer's backward pass, and the vision tower's."""
        language = self.hidden_states + self.attention_outputs + max(self.language_work, self.head)
        return self.pixel_values + self.vision_hidden_states + max(language, self.vision_work)

    @property
    def total(self) -> int:
        """All of it; the allocator's fragmentation, the CUDA context and communication buffers come on top, 2-4 GiB."""
        return self.states + self.gathered + self.activations


def memory_per_gpu(
    architecture: Architecture, *, pack_tokens: int, pack_patches: int, supervised_tokens: int, **setup
) -> MemoryEstimate:
    """
    Memory of a training step with gradient checkpointing, one pack at a time.

    It adds up, tensor by tensor, what transformers' layers and ours keep and make in the moments that can be the peak. Counted on
    small models where every tensor is seen, it is within 15 % (tests/test_memory.py). One process was counted: what FSDP2 shares out
    and gathers is reckoned from its rules alone.

    Args:
        architecture (`Architecture`): The model.
        pack_tokens (`int`): Tokens of the largest pack.
        pack_patches (`int`): Patches of its images, before merging.
        supervised_tokens (`int`): Its labelled tokens.
        setup: As for [`Setup`].

    Example:

    ```python
    >>> from mmprolong_hf.architecture import QWEN2_5_VL_7B
    >>> pack = {"pack_tokens": 131072, "pack_patches": 4 * 131072, "supervised_tokens": 40}
    >>> lora = {"lora_rank": 64, "train_vision": False, "uint8_pixels": True, "vision_chunk": 16384}
    >>> tiled = lora | {"mlp_tile": 8192}
    >>> [round(memory_per_gpu(QWEN2_5_VL_7B, **pack, **levers).total / 2**30) for levers in (lora, tiled)]
    [90, 61]

    ```
    """
    a, s = architecture, Setup(**setup)
    weights, gradients, optimizer = _states(a, s)
    return MemoryEstimate(
        weights=weights // s.num_gpus,
        gradients=gradients // s.num_gpus,
        optimizer=optimizer // s.num_gpus,
        gathered=gathered(a, s),
        pixel_values=pack_patches * (3 * a.patch_size**2 if s.uint8_pixels else 4 * a.patch_values),
        hidden_states=hidden_states(a, s, pack_tokens),
        attention_outputs=attention_outputs(a, s, pack_tokens),
        language_work=language_work(a, s, pack_tokens),
        vision_hidden_states=vision_hidden_states(a, s, pack_patches),
        vision_work=vision_work(a, s, pack_patches),
        head=head(a, s, supervised_tokens),
    )


def _states(a: Architecture, s: Setup) -> tuple[int, int, int]:
    """Bytes of all weights, gradients and optimizer states; adapters have float32 ones."""
    adapters = 0 if s.lora_rank is None else a.lora_parameters(s.lora_rank)
    language = a.num_parameters - a.vision_parameters if s.lora_rank is None else 0
    trained = language + s.train_vision * a.vision_parameters
    gradients = trained * s.weight_bytes + 4 * adapters
    moments = MOMENTS.get(s.optimizer)
    optimizer = 2 * gradients if moments is None else round(moments * (trained + adapters))
    return s.weight_bytes * a.num_parameters + 4 * adapters, gradients, optimizer


def lever_changes(
    architecture: Architecture, *, pack_tokens: int, pack_patches: int, supervised_tokens: int, **setup
) -> dict[str, int]:
    """
    What each setting that is not used yet would change.

    Args: as of [`memory_per_gpu`].

    Returns:
        `dict` from the setting, as a recipe says it, to the bytes by which the total would grow; negative where it saves.
    """
    pack = {"pack_tokens": pack_tokens, "pack_patches": pack_patches, "supervised_tokens": supervised_tokens}
    levers = {
        "mlp_tile: 8192": {"mlp_tile": 8192},
        "vision_chunk: 8192": {"vision_chunk": 8192},
        "activation_offloading: true": {"offload": True},
        "optim: paged_adamw_8bit": {"optimizer": "paged_adamw_8bit"},
        "freeze_vision_tower: true": {"train_vision": False},
        "use_peft: true": {"lora_rank": 64, "train_vision": False},
        "save_attention: true": {"save_attention": True},
    }
    used = Setup(**setup)
    now = memory_per_gpu(architecture, **pack, **setup).total
    changes = {
        name: memory_per_gpu(architecture, **pack, **setup | change).total - now
        for name, change in levers.items()
        if not any(type(getattr(used, key)) is int for key in change)  # a number that the recipe has chosen
    }
    return {name: change for name, change in changes.items() if change}
