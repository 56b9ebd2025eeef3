"""
Liger's RMSNorm, SwiGLU and rotary kernels on the layers of one model, each compared with the plain layer before it is used.

Rows of more than 2**31 numbers are right: in liger-kernel 0.8.5 (`ops/rms_norm.py`, `ops/swiglu.py`, `ops/rope.py`), as in TRL 1.16's
fused head (`kernels/chunked_logprob.py`), the offsets of rows are reckoned in int64.
"""

import functools
import importlib.metadata
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import FunctionType, MethodType

import torch
from packaging.version import Version
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLAttention, Qwen2_5_VLRMSNorm, Qwen2MLP
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextAttention, Qwen3VLTextMLP, Qwen3VLTextRMSNorm

from mmprolong_hf.checkpointing import language_layers
from mmprolong_hf.layer_probe import distances, plain_layers

LAYERS = {
    "rms_norm": (Qwen2_5_VLRMSNorm, Qwen3VLTextRMSNorm),
    "swiglu": (Qwen2MLP, Qwen3VLTextMLP),
    "rotary": (Qwen2_5_VLAttention, Qwen3VLTextAttention),
}
OLDEST = "0.8.5"  # the first whose arithmetic was read
TOLERANCE = 1e-5  # relative, of float32


@dataclass(frozen=True)
class LigerReport:
    """
    What was found of a kernel, and where it is on.

    Args:
        name (`str`): Of `LAYERS`.
        layers (`int`): Modules that it is on in; 0 where it is off.
        errors (`dict[torch.dtype, tuple[float, float]]`): Of each type it was compared in, the largest relative distance of output and
            gradients from float64, and the same of the plain layer.
        reason (`str`, *optional*): Why it is off.
    """

    name: str
    layers: int = 0
    errors: dict[torch.dtype, tuple[float, float]] = field(default_factory=dict)
    reason: str | None = None

    def __str__(self) -> str:
        if self.reason is not None:
            return f"Liger {self.name}: off: {self.reason}"
        errors = "; ".join(
            f"in {str(dtype).removeprefix('torch.')} {error:.1e} from float64 ({usual:.1e} plain)"
            for dtype, (error, usual) in self.errors.items()
        )
        return f"Liger {self.name}: on in {self.layers} modules, {errors}"


def use_liger(
    model: PreTrainedModel | PeftModel,
    kernels: Iterable[str] = tuple(LAYERS),
    *,
    strict: bool = False,
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> list[LigerReport]:
    """
    Puts Liger's kernels on the language model of one instance. Names of modules and keys of the state dict stay; adapters, sharding
    and gradient checkpointing may come before or after, `tile_mlps` after.

    Each is first compared with the plain layer, forward and backward, on layers of the same class and width made for it: in the type
    that the model computes in, norms in that of their weights too, in which they compute under autocast. One that raises, or is farther from float64 than twice the plain layer, stays off. Where an input's type is not its norm's (the norms of
    queries and keys of a float32 model under autocast), the norm is computed by the plain layer.

    SwiGLU's backward pass writes its gradients over gate and up: a graph goes backward once, without `retain_graph`.

    Args:
        model (`PreTrainedModel` or `PeftModel`): A Qwen2.5-VL or Qwen3-VL model; changed in place.
        kernels (`Iterable[str]`): Of `LAYERS`.
        strict (`bool`): Whether a kernel that cannot be used is an error, instead of a reason in its report.
        device (`torch.device`), dtype (`torch.dtype`): Where and in what type the model will compute; as it is now if `None`.

    Returns:
        `list[LigerReport]`: One of each kernel.

    Raises:
        ValueError: for another model or kernel, and with `strict` for a kernel that cannot be used, the model being unchanged then.
        RuntimeError: when a kernel has left the device in a state in which nothing runs any more.
    """
    language_layers(model)  # refuses other families
    language_model, kernels = model.get_decoder(), list(kernels)
    if unknown := set(kernels) - set(LAYERS):
        raise ValueError(f"Liger kernels {sorted(unknown)}: not among {', '.join(LAYERS)}")
    device, dtype = torch.device(device or language_model.device), dtype or language_model.dtype
    found = {name: [m for m in language_model.modules() if isinstance(m, LAYERS[name])] for name in kernels}
    reports = [_examine(name, modules, language_model, device, dtype) for name, modules in found.items()]
    for report in reports:
        if strict and report.reason is not None:
            raise ValueError(f"{report}; leave it out of the Liger kernels, or mend that")
    for report in reports:
        if report.reason is None:
            for module in found[report.name]:
                _put_on(report.name, module)
    return reports


def why_not_liger(device: torch.device) -> str | None:
    """
    Why Liger's kernels cannot run on a device, or `None` where they can be tried.

    Example:

    ```python
    >>> why_not_liger(torch.device("cpu"))
    'they need a CUDA device, and the model is on cpu'

    ```
    """
    if device.type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        return f"they need a CUDA device, and the model is on {device.type}"
    try:
        version = importlib.metadata.version("liger-kernel")
    except importlib.metadata.PackageNotFoundError:
        return "liger-kernel is not installed: pip install 'mmprolong_hf[liger]'"
    if Version(version) < Version(OLDEST):
        return f"liger-kernel is {version}, expected {OLDEST} or newer"
    return None


def _put_on(name: str, module: nn.Module) -> None:
    # A method, so that a copy of the module is bound to the copy
    module.forward = MethodType(_forward(name, type(module)), module)


def _forward(name: str, layer: type[nn.Module]) -> Callable:
    if name == "rotary":
        return _with_our_rotary(layer.forward)
    return {"rms_norm": _rms_norm, "swiglu": _swiglu}[name]


def _rms_norm(self: nn.Module, hidden_states: torch.Tensor) -> torch.Tensor:
    from liger_kernel.ops.rms_norm import LigerRMSNormFunction

    if hidden_states.dtype != self.weight.dtype:  # the plain layer returns the wider type, the kernel the input's
        return type(self).forward(self, hidden_states)
    # Not in place: the gradient that comes in is autograd's, which may hand it to others too
    return LigerRMSNormFunction.apply(hidden_states, self.weight, self.variance_epsilon, 0.0, "llama", False, None)


def _swiglu(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
    from liger_kernel.ops.swiglu import LigerSiLUMulFunction

    return self.down_proj(LigerSiLUMulFunction.apply(self.gate_proj(x), self.up_proj(x)))


def _rotary(
    q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    from liger_kernel.ops.rope import LigerRopeFunction

    # The kernel writes its results over q and k, and autograd does not see that: of copies, so that whatever layer they come from
    # may keep them for its gradient. It is one pass more over them, where the plain function makes six.
    dtype = torch.promote_types(q.dtype, cos.dtype)  # as q * cos has it
    return LigerRopeFunction.apply(q.to(dtype, copy=True), k.to(dtype, copy=True), cos, sin)


@functools.cache
def _with_our_rotary(forward: FunctionType) -> FunctionType:
    """
    An attention's `forward` with another `apply_rotary_pos_emb`.

    Transformers 5.23 calls it as a function of its module, which all models of a family share: changed there, it would be changed
    in every model of the process. So this is the same code with globals of its own. It may go when attentions call a rotary
    function that they hold themselves.
    """
    if "apply_rotary_pos_emb" not in forward.__code__.co_names:
        raise ValueError(f"{forward.__qualname__} does not call apply_rotary_pos_emb; transformers 5.23 does")
    names = forward.__globals__ | {"apply_rotary_pos_emb": _rotary}
    ours = FunctionType(forward.__code__, names, argdefs=forward.__defaults__, closure=forward.__closure__)
    ours.__kwdefaults__ = forward.__kwdefaults__
    return functools.update_wrapper(ours, forward)


def _examine(
    name: str, modules: list[nn.Module], language_model: PreTrainedModel, device: torch.device, dtype: torch.dtype
) -> LigerReport:
    """What is to be said of a kernel before it is put on."""
    reason = why_not_liger(device)
    if name == "swiglu" and (activation := language_model.config.hidden_act) != "silu":
        reason = f"hidden_act is {activation!r}, and it computes 'silu'"
    if any("forward" in vars(module) for module in modules):
        reason = "its layers have had their forward replaced already; call use_liger once, and before tile_mlps"
    if reason is not None:
        return LigerReport(name, reason=reason)
    dtypes = {dtype: None} | ({module.weight.dtype: None for module in modules} if name == "rms_norm" else {})
    errors = {}
    for own in dtypes:
        try:
            found = _compare(name, modules, language_model, device, own)
        except Exception as failure:  # whatever Triton, its compiler or the device raise: the plain layer is there
            if device.type == "cuda":
                torch.cuda.synchronize(
                    device
                )  # raises too where the CUDA context is gone, and with it the plain layer
            first_line = str(failure).partition("\n")[0]
            return LigerReport(name, 0, errors, f"it failed on {device.type} in {own}: {first_line}")
        errors[own] = max(ours for _, ours, _ in found), max(plain for _, _, plain in found)
        for what, ours, plain in found:
            if not ours <= max(2 * plain, TOLERANCE):
                reason = f"in {own} {what} is {ours:.1e} from float64, expected {plain:.1e} as by the plain layer"
                return LigerReport(name, 0, errors, reason)
    return LigerReport(name, len(modules), errors)


def _compare(
    name: str, modules: list[nn.Module], language_model: PreTrainedModel, device: torch.device, dtype: torch.dtype
) -> list[tuple[str, float, float]]:
    put_on = functools.partial(_put_on, name)
    with torch.autocast(device.type, enabled=False), torch.enable_grad():
        cases = plain_layers(name, modules, language_model, device, dtype)
        return [entry for case in cases for entry in distances(put_on, *case)]
