"""How fast a recipe trains here: steps of the real trainer, their FLOPs and what they held."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from peft import PeftModel

from mmprolong_hf.architecture import Architecture
from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.estimate import CostModel, head_flops, vision_flops
from mmprolong_hf.planning import cost_model, page_patches, parts_of
from mmprolong_hf.sharing import Parts
from mmprolong_hf.trainer import MMProLongTrainer


@dataclass(frozen=True)
class Timing:
    """
    The timed steps together; the first step of a run is not among them.

    Args:
        first_seconds (`float`): Of the first step, with the leak test, compiling and what counts.
        seconds (`list[float]`): Of each timed step.
        tokens, questions (`float`): Trained in them.
        data_wait (`float`): Mean share of the time that training waited for packs.
        flops (`float`): Model FLOPs, causal, vision included.
        again (`float`): FLOPs on top, computed a second time.
        losses (`list[float]`): Of all steps.
        peak_bytes (`int`, *optional*): Most GPU memory allocated in them, `None` on a CPU.
    """

    first_seconds: float
    seconds: list[float]
    tokens: float
    questions: float
    data_wait: float
    flops: float
    again: float
    losses: list[float]
    peak_bytes: int | None

    @property
    def total(self) -> float:
        """Seconds of the timed steps."""
        return sum(self.seconds)

    def utilization(self, peak_tflops: float) -> tuple[float, float]:
        """Shares of the peak: of the model's FLOPs (MFU), and of all that was computed (HFU)."""
        peak = self.total * peak_tflops * 1e12
        return self.flops / peak, (self.flops + self.again) / peak


def time_steps(trainer: MMProLongTrainer) -> Timing:
    """
    Trains `max_steps` steps and reads what the trainer logs of each.

    Args:
        trainer (`MMProLongTrainer`): That logs every step and saves nothing; its model is trained.
    """
    device = trainer.args.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    trainer.train()
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    steps = [entry for entry in trainer.state.log_history if "tokens_per_second" in entry]
    counted = [0.0] + [entry["num_tokens"] for entry in steps]
    tokens = [after - before for before, after in pairwise(counted)]
    seconds = [count / entry["tokens_per_second"] for count, entry in zip(tokens, steps)]
    model, again = (
        sum(step) for step in zip(*(_flops(trainer, number, steps[number]) for number in range(1, len(steps))))
    )
    return Timing(
        first_seconds=seconds[0],
        seconds=seconds[1:],
        tokens=sum(tokens[1:]),
        questions=sum(entry["questions"] for entry in steps[1:]),
        data_wait=sum(entry["data_wait"] * own for entry, own in zip(steps[1:], seconds[1:])) / sum(seconds[1:]),
        flops=model,
        again=again,
        losses=[entry["loss"] for entry in steps],
        peak_bytes=peak,
    )


def packs_of_step(trainer: MMProLongTrainer, step: int) -> list[list[int]]:
    """The packs of a step of the plan, from 0 on."""
    plan = trainer.plan(trainer.train_dataset)
    epoch, within = divmod(step, plan.steps_per_epoch)
    return plan.packs(epoch)[within * plan.packs_per_step : (within + 1) * plan.packs_per_step]


def costs(trainer: MMProLongTrainer, longest: int) -> tuple[CostModel, CostModel]:
    """
    What training costs: the model's FLOPs, and those on top that compute something again.

    Args:
        trainer (`MMProLongTrainer`): Its model, data and levers.
        longest (`int`): Tokens of the longest pack; a tile that is no shorter is none.
    """
    args, lora = trainer.args, isinstance(trainer.model, PeftModel)
    architecture = Architecture.from_config(trainer.model.config.to_dict())
    page = page_patches(trainer.train_dataset.with_format(None))
    model = cost_model(architecture, args, patches_per_image=page, lora=lora)
    return model, cost_of_recomputing(architecture, args, page=page, lora=lora, longest=longest)


def sizes_of(parts: Parts, packs: list[list[int]]) -> tuple[int, int, int]:
    """Tokens, attended pairs and patches of packs."""
    own = [part for pack in packs for part in pack]
    return tuple(int(column[own].sum()) for column in (parts.lengths, parts.pairs, parts.patches))


def _flops(trainer: MMProLongTrainer, step: int, logged: dict[str, float]) -> tuple[float, float]:
    """Of a step: the model's, and what is computed again."""
    parts, packs = parts_of(trainer.train_dataset, trainer.args), packs_of_step(trainer, step)
    model, again = costs(trainer, longest=max(sizes_of(parts, [pack])[0] for pack in packs))
    sizes = sizes_of(parts, packs)
    architecture = Architecture.from_config(trainer.model.config.to_dict())
    head = head_flops(architecture, int(logged["supervised_tokens"]), lora=isinstance(trainer.model, PeftModel))
    return float(model.flops(*sizes)) + head, float(again.flops(*sizes))


def cost_of_recomputing(
    architecture: Architecture, args: MMProLongConfig, *, page: int, lora: bool, longest: int
) -> CostModel:
    """
    What is computed a second time, which model FLOPs do not count: by gradient checkpointing and by tiles and chunks, and, in every
    fused attention's backward pass, the scores.

    Args:
        architecture (`Architecture`): The model.
        args (`MMProLongConfig`): Its levers.
        page (`int`): Patches of a typical page.
        lora (`bool`): Whether the model's own weights are frozen.
        longest (`int`): Tokens of the longest row; no tile is smaller than that.

    Example:

    ```python
    >>> from mmprolong_hf.architecture import QWEN2_5_VL_7B
    >>> args = MMProLongConfig(output_dir="", use_cpu=True, bf16=False, packs_per_step=1, save_attention=True)
    >>> again = cost_of_recomputing(QWEN2_5_VL_7B, args, page=4144, lora=True, longest=131072)
    >>> [round(value / 1e9, 4) for value in (again.token, again.pair, again.patch)]
    [13.0506, 0.0002, 0.0]

    ```
    """
    a, checkpoints = architecture, args.activation_checkpointing
    token = pair = patch = 0.0
    if checkpoints:
        token = 2.0 * a.language_weights
        pair = 0.0 if args.save_attention else 4.0 * a.num_layers * a.num_heads * a.head_dim
    elif args.mlp_tile is not None and args.mlp_tile < longest:
        token = 2.0 * a.num_layers * sum(rows * cols for rows, cols in a.linear_shapes[4:])
    trained = not (lora or args.freeze_vision_tower)
    if page and trained and (checkpoints or args.vision_chunk is not None):
        patch = vision_flops(a, [page]) / page
    return CostModel(token=token, pair=pair + 2.0 * a.num_layers * a.num_heads * a.head_dim, patch=patch)
