"""What a training step really runs: counted from outside while the trainer takes its first."""

from contextlib import ExitStack
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import TrainerCallback

from mmprolong_hf.checkpointing import ATTENTION_OPS, base_of, language_layers
from mmprolong_hf.positions import IGNORE_INDEX

VOCABULARY_TILE = 32768  # columns of a tile of TRL's fused head


class StepObserver(TrainerCallback):
    """
    Counts in the first training step, by hooks on modules and by the operators that torch dispatches; what runs in eval mode (the
    leak test) is not counted.

    Attributes:
        attention_forward, attention_again (`int`): Calls of a fused attention of the language model in the forward pass, and in the
            backward pass, which gradient checkpointing makes.
        layers_again (`int`): Language layers that the backward pass entered again.
        head_rows, supervised, tokens (`int`): Rows that were multiplied with the LM head, targets, and tokens.
        most_supervised (`int`): Targets of the pack that has most.
        mlp_rows, vision_patches (`int`): Most rows that an MLP, and patches that the vision tower, took at a time.
        largest_image (`int`): Patches of the largest image.
        pixel_dtype (`torch.dtype`, *optional*): Of the pages that came to the model.
    """

    def __init__(self):
        self.attention_forward = self.attention_again = self.layers_again = 0
        self.supervised = self.most_supervised = self.tokens = 0
        self._tile_rows, self._head_tiles = 0, 1
        self.mlp_rows = self.vision_patches = self.largest_image = 0
        self.pixel_dtype: torch.dtype | None = None
        self._counting = self._backward = self._attending = False
        self._open = ExitStack()

    def on_step_begin(self, args, state, control, model: torch.nn.Module, **kwargs: Any) -> None:
        if state.global_step > 0:
            return
        config, layers = model.config.text_config, language_layers(model)
        self._head_shape = config.hidden_size, min(config.vocab_size, VOCABULARY_TILE)
        self._head_tiles = max(config.vocab_size // VOCABULARY_TILE, 1)  # of that shape; a smaller one may follow
        hooks = [
            model.register_forward_pre_hook(self._begin, with_kwargs=True),
            model.register_forward_hook(self._end),
            _vision_blocks(model)[0].register_forward_pre_hook(self._see_patches),
        ]
        for layer in layers:
            hooks.append(layer.self_attn.register_forward_pre_hook(self._enter_attention))
            # Checkpointing stops in the middle of a module when it has all that it needs
            hooks.append(layer.self_attn.register_forward_hook(self._leave_attention, always_call=True))
            hooks.append(layer.mlp.down_proj.register_forward_pre_hook(self._see_rows))
        for hook in hooks:
            self._open.callback(hook.remove)
        self._open.enter_context(_Dispatched(self._see_operator))

    def on_step_end(self, args, state, control, **kwargs: Any) -> None:
        self.close()

    @property
    def head_rows(self) -> int:
        return self._tile_rows // self._head_tiles

    def close(self) -> None:
        """Take everything off the model; also after a step that failed."""
        self._open.close()

    def _begin(self, model: torch.nn.Module, args: tuple, inputs: dict[str, Any]) -> None:
        self._counting, self._backward = model.training, False
        if self._counting:
            self.tokens += inputs["input_ids"].numel()
            supervised = int((inputs["labels"][:, 1:] != IGNORE_INDEX).sum())
            self.supervised += supervised
            self.most_supervised = max(self.most_supervised, supervised)
            if "pixel_values" in inputs:
                self.pixel_dtype = inputs["pixel_values"].dtype
                self.largest_image = max(self.largest_image, int(inputs["image_grid_thw"].prod(dim=1).max()))

    def _end(self, *args: Any) -> None:
        self._backward = True

    def _see_patches(self, block: torch.nn.Module, args: tuple) -> None:
        self.vision_patches = max(self.vision_patches, self._counting * args[0].shape[0])

    def _see_rows(self, projection: torch.nn.Module, args: tuple) -> None:
        self.mlp_rows = max(self.mlp_rows, self._counting * args[0].shape[-2])

    def _enter_attention(self, *args: Any) -> None:
        self._attending = self._counting
        self.layers_again += self._counting and self._backward

    def _leave_attention(self, *args: Any) -> None:
        self._attending = False

    def _see_operator(self, name: str, args: tuple) -> None:
        if self._attending and name in ATTENTION_OPS:
            self.attention_again += self._backward
            self.attention_forward += not self._backward
        elif name == "aten::mm" and self._counting and not self._backward:
            rows, inner = args[0].shape
            if (inner, args[1].shape[1]) == self._head_shape:
                self._tile_rows += rows


class _Dispatched(TorchDispatchMode):
    def __init__(self, see):
        super().__init__()
        self.see = see

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.see(func.name().partition(".")[0], args)
        return func(*args, **(kwargs or {}))


def _vision_blocks(model: torch.nn.Module) -> torch.nn.ModuleList:
    base = base_of(model)
    return base.model.visual.blocks
