"""A layer of the language model made anew, plain and changed, and how far each is from float64: what a kernel has to show first."""

import copy
from collections.abc import Callable, Iterator

import torch
from torch import nn
from transformers import PreTrainedModel

TOKENS = 317  # no multiple of any block
# From here on Liger norms rows of up to 256 numbers by another kernel, 16 at a time
NARROW, MANY_ROWS = 256, 2**15


def plain_layers(
    name: str, modules: list[nn.Module], language_model: PreTrainedModel, device: torch.device, dtype: torch.dtype
) -> Iterator[tuple[nn.Module, Callable, torch.Tensor]]:
    """
    Layers of a model's classes and widths with numbers of their own, for the model's may be sharded, adapted or not loaded yet.

    Args:
        name (`str`): Of `kernels.LAYERS`.
        modules (`list[nn.Module]`): Those of the model that it names.
        language_model (`PreTrainedModel`): Theirs.
        device (`torch.device`), dtype (`torch.dtype`): Where and in what type the model will compute.

    Yields:
        A layer, how to call it, and an input of shape `(1, rows, width)`.
    """
    layer, config = type(modules[0]), copy.deepcopy(language_model.config)
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int, mean: float = 0.0, std: float = 1.0) -> torch.Tensor:
        return (mean + std * torch.randn(*shape, generator=generator)).to(device, dtype)

    def made(*args, **kwargs) -> nn.Module:
        with torch.device("meta"):  # draws no number from the run's generators
            plain = layer(*args, **kwargs)
        plain = plain.to(dtype).to_empty(device=device)
        for parameter in plain.parameters():
            std, mean = (parameter.shape[1] ** -0.5, 0.0) if parameter.dim() == 2 else (0.1, 1.0)
            parameter.data = random(*parameter.shape, mean=mean, std=std)
        return plain

    if name == "rms_norm":
        for width in sorted({module.weight.numel() for module in modules}):
            for rows in (TOKENS, MANY_ROWS + TOKENS) if width <= NARROW else (TOKENS,):
                yield made(width, config.rms_norm_eps), nn.Module.__call__, random(1, rows, width)
    elif name == "swiglu":
        config.hidden_size = min(config.hidden_size, 256)  # the kernel is between the projections, and does not see it
        yield made(config), nn.Module.__call__, random(1, TOKENS, config.hidden_size)
    else:
        config._attn_implementation = "eager"
        rotary = type(language_model.rotary_emb)(config).to(device)
        positions = torch.randint(config.max_position_embeddings, (3, 1, TOKENS), generator=generator).to(device)

        def attend(attention: nn.Module, hidden: torch.Tensor) -> torch.Tensor:
            return attention(hidden, position_embeddings=rotary(hidden, positions), attention_mask=None)[0]

        yield made(config, layer_idx=0), attend, random(1, TOKENS, config.hidden_size)


def distances(
    change: Callable[[nn.Module], None], plain: nn.Module, call: Callable, hidden: torch.Tensor
) -> list[tuple[str, float, float]]:
    """
    Compares a layer that is changed with the plain one, forward and backward.

    Args:
        change (`Callable`): Changes a layer in place.
        plain (`nn.Module`), call (`Callable`), hidden (`torch.Tensor`): As [`plain_layers`] yields them.

    Returns:
        Of the output and of the gradients of input and weights: which, the relative distance of the changed layer from float64, and
        the plain layer's. `nan` where there is one.
    """
    exact, ours = copy.deepcopy(plain).double(), copy.deepcopy(plain)
    change(ours)
    grad = hidden.roll(1, 1)

    def results(layer: nn.Module, dtype: torch.dtype) -> list[torch.Tensor]:
        leaf = hidden.detach().to(dtype).requires_grad_()
        out = call(layer, leaf)
        return [out.detach(), *torch.autograd.grad(out, [leaf, *layer.parameters()], grad.to(dtype))]

    names = ["the output", "the gradient of the input", *(f"the gradient of {n}" for n, _ in plain.named_parameters())]
    reference = results(exact, torch.float64)
    found = [results(layer, hidden.dtype) for layer in (ours, plain)]
    errors = [[((a - b).norm() / b.norm()).item() for a, b in zip(tensors, reference)] for tensors in found]
    return list(zip(names, *errors))
