"""
The language model's MLPs a tile of tokens at a time, so that gate, up and their product never exist for a whole row.

As TiledMLP of Arctic Long Sequence Training (ALST, Bekman et al. 2025, arXiv 2506.13996), but in two autograd functions instead of
one, so that checkpointing does not compute an MLP a third time ([`_Backward`]).
"""

from collections.abc import Callable
from contextlib import contextmanager
from functools import partial

import torch
from peft import PeftModel
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import get_device_states, set_device_states
from transformers import PreTrainedModel

from mmprolong_hf.checkpointing import language_layers


def tile_mlps(model: PreTrainedModel | PeftModel, tokens: int) -> None:
    """
    Runs every MLP of the language model over tiles of tokens, forward and backward. What a layer's MLP holds at once falls from
    `6 * intermediate_size` numbers a token of the row (gate, up, its activation, and three gradients) to as many a token of the
    tile: at 131,072 tokens of Qwen2.5-VL-7B from 27.8 GiB to 1.7 GiB for tiles of 8,192.

    Each tile is computed again in the backward pass. Under gradient checkpointing that costs next to nothing: the MLP is the last
    of a layer, and the layer's own recomputation stops where the MLP's input is known again; only the last matrix, whose output
    nobody needs, is multiplied once more. Without checkpointing it costs one forward pass of the MLP.

    Args:
        model (`PreTrainedModel` or `PeftModel`): A Qwen2.5-VL or Qwen3-VL model; changed in place. Kernels that replace an MLP's
            `forward` come before, adapters before or after.
        tokens (`int`): Rows of a tile; a row that is no longer is computed as before.

    Raises:
        ValueError: for another model, or tiles of less than one token.
    """
    if tokens < 1:
        raise ValueError(f"mlp_tile is {tokens} tokens, expected at least 1, e.g. 8192")
    for layer in language_layers(model):
        layer.mlp.forward = partial(_tiled, layer.mlp, layer.mlp.forward, tokens)


def _tiled(mlp: torch.nn.Module, forward: Callable, tokens: int, hidden: torch.Tensor) -> torch.Tensor:
    if hidden.shape[1] <= tokens:
        return forward(hidden)
    tiles = _Tiles(mlp, forward, tokens, hidden)
    return _Forward.apply(_Backward.apply(hidden, tiles, *tiles.parameters), tiles)


class _Tiles:
    """
    One call of an MLP: how it is cut, and what it takes to compute it a second time as the first.

    Args:
        mlp (`torch.nn.Module`): Whose parameters get gradients.
        forward (`Callable`): What it computes, row by row.
        tokens (`int`): Rows of a tile.
        hidden (`torch.Tensor` of shape `(1, T, hidden_size)`): Its input, which is not kept here.
    """

    def __init__(self, mlp: torch.nn.Module, forward: Callable, tokens: int, hidden: torch.Tensor):
        self.forward = forward
        self.rows = [slice(start, start + tokens) for start in range(0, hidden.shape[1], tokens)]
        self.parameters = [parameter for parameter in mlp.parameters() if parameter.requires_grad]
        device = hidden.device.type
        # No cache: what is cast where no gradients are recorded would be used again where they are
        self.autocast = partial(
            torch.autocast,
            device,
            torch.get_autocast_dtype(device),
            torch.is_autocast_enabled(device),
            cache_enabled=False,
        )
        self.random = None  # LoRA's dropout, which draws the same numbers again
        if any(isinstance(module, torch.nn.Dropout) and module.training and module.p for module in mlp.modules()):
            self.random = device, torch.get_rng_state(), *get_device_states(hidden)

    def compute(self, tile: torch.Tensor) -> torch.Tensor:
        with self.autocast():
            return self.forward(tile)

    @contextmanager
    def same_random_numbers(self):
        """Those of the first time, until the block ends."""
        if self.random is None:
            yield
            return
        device, state, devices, states = self.random
        with torch.random.fork_rng(devices, device_type=device):
            torch.set_rng_state(state)
            set_device_states(devices, states, device_type=device)
            yield


class _Forward(torch.autograd.Function):
    """The output, tile by tile. Its gradient goes as it is to [`_Backward`], which stands before it."""

    @staticmethod
    def forward(ctx, hidden: torch.Tensor, tiles: _Tiles) -> torch.Tensor:
        out = None
        for rows in tiles.rows:
            part = tiles.compute(hidden[:, rows].detach())
            out = part.new_empty(hidden.shape) if out is None else out
            out[:, rows] = part
        return out

    @staticmethod
    def backward(ctx, grad: torch.Tensor):
        return grad, None


class _Backward(torch.autograd.Function):
    """
    Keeps the input, and turns the gradient of the output into those of the input and the parameters, each tile computed again.

    It stands before the computation so that the input is the last tensor of a layer that is kept: where the layer is recomputed,
    torch stops there (`early_stop`), and no MLP is computed a third time. One checkpoint per tile would be, all but its last.
    """

    @staticmethod
    def forward(ctx, hidden: torch.Tensor, tiles: _Tiles, *parameters: torch.nn.Parameter) -> torch.Tensor:
        ctx.save_for_backward(hidden)
        ctx.tiles = tiles
        return hidden.view_as(hidden)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: torch.Tensor):
        (hidden,), tiles = ctx.saved_tensors, ctx.tiles
        of_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        # In float32 at least, as one product over the whole row would be summed
        sums = [torch.zeros_like(p, dtype=torch.promote_types(p.dtype, torch.float32)) for p in tiles.parameters]
        with torch.enable_grad(), tiles.same_random_numbers():
            for rows in tiles.rows:
                tile = hidden[:, rows].detach().requires_grad_(of_hidden is not None)
                # No leaf: hooks on modules cannot have one under autograd.grad
                out = tiles.compute(tile.view_as(tile))
                wanted = [*tiles.parameters, *([tile] if tile.requires_grad else [])]
                grads = torch.autograd.grad(out, wanted, grad[:, rows].to(out.dtype))
                for total, part in zip(sums, grads):
                    total += part
                if tile.requires_grad:
                    of_hidden[:, rows] = grads[-1]
        return of_hidden, None, *(total.to(p.dtype) for total, p in zip(sums, tiles.parameters))
