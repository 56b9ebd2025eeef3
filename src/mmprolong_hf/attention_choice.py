"""Which kernel computes packed attention here: chosen when training starts, and only after it has been seen to be right."""

import importlib.util
from dataclasses import dataclass

import torch

from mmprolong_hf.attention import concatenated_attention, default_kernel, packed_attention, use_kernel
from mmprolong_hf.layout import PackLayout

CHOICES = ("auto", "flash_attention_3", "flash_attention_2", "cudnn", "sdpa")
LAYOUT = [[175], [512, 64, 1, 75], [130, 17, 16]]  # tokens: a sample, and two documents with their branches


@dataclass(frozen=True)
class KernelReport:
    """
    What was found of a kernel.

    Args:
        name (`str`): Of `attention.KERNELS`.
        error (`float`, *optional*): Largest relative distance, of the output and the three gradients, from float32.
        usual (`float`, *optional*): The same of torch's public attention in the same type.
        reason (`str`, *optional*): Why it cannot be used here.
    """

    name: str
    error: float | None = None
    usual: float | None = None
    reason: str | None = None

    def __str__(self) -> str:
        if self.reason is not None:
            return f"{self.name}: not usable: {self.reason}"
        return f"{self.name}: {self.error:.1e} from float32 ({self.usual:.1e} by torch's scaled_dot_product_attention)"


def choose_kernel(
    choice: str, device: torch.device, dtype: torch.dtype, *, num_heads: int, num_key_value_heads: int, head_dim: int
) -> KernelReport:
    """
    Lets packed attention be computed by the kernel of a name, once it has been compared with float32 on the device.

    Args:
        choice (`str`): One of `CHOICES`. `"auto"` is FlashAttention-3 where its package is installed and works, else the default of
            device and type ([`~mmprolong_hf.attention.default_kernel`]).
        device (`torch.device`), dtype (`torch.dtype`): Of queries, keys and values.
        num_heads, num_key_value_heads, head_dim (`int`): The model's.

    Raises:
        ValueError: when the kernel that was asked for cannot run here, or is wrong.

    Example:

    ```python
    >>> sizes = {"num_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
    >>> choose_kernel("auto", torch.device("cpu"), torch.float32, **sizes).name
    'cpu'

    ```
    """
    names = [choice]
    if choice == "auto":
        has_flash_3 = device.type == "cuda" and importlib.util.find_spec("flash_attn_interface") is not None
        names = ["flash_attention_3"] * has_flash_3 + [default_kernel(device, dtype)]
    for name in names:
        report = probe_kernel(name, device, dtype, num_heads, num_key_value_heads, head_dim)
        if report.reason is None:
            return report
    raise ValueError(f"attention_kernel is {choice!r}, but {report}; leave attention_kernel out, or name another")


def probe_kernel(
    name: str, device: torch.device, dtype: torch.dtype, num_heads: int, num_key_value_heads: int, head_dim: int
) -> KernelReport:
    """
    Compares a kernel with float32, on a pack with shared documents, and leaves it in use if it is as exact as torch's public
    attention. Else the default is in use again.

    Args: as [`choose_kernel`].
    """
    layout = PackLayout.from_lengths(LAYOUT)
    generator = torch.Generator().manual_seed(0)
    shape = (1, layout.segments.values[-1], head_dim)
    heads = (num_heads, num_key_value_heads, num_key_value_heads)
    tensors = [torch.randn(1, n, *shape[1:], generator=generator).to(device, dtype) for n in heads]
    grad = torch.randn(1, shape[1], num_heads, head_dim, generator=generator).to(device, dtype)

    def results(attend, dtype: torch.dtype) -> list[torch.Tensor]:
        inputs = [tensor.to(dtype).requires_grad_() for tensor in tensors]
        with torch.enable_grad(), torch.autocast(device.type, enabled=False):
            out = attend(*inputs)
        return [out, *torch.autograd.grad(out, inputs, grad.to(dtype))]

    exact = results(lambda *qkv: concatenated_attention(*qkv, layout), torch.float32)
    usual = _distance(results(lambda *qkv: concatenated_attention(*qkv, layout), dtype), exact)
    use_kernel(name, device, dtype)
    try:
        error = _distance(results(lambda *qkv: packed_attention(None, *qkv, None, layout=layout)[0], dtype), exact)
    # Torch's or the package's, of a kernel that is not installed, or not for this device, type or size
    except (RuntimeError, ImportError, AttributeError) as failure:
        use_kernel(None, device, dtype)
        return KernelReport(name, reason=f"it failed on {device.type} in {dtype}: {str(failure).partition('. ')[0]}")
    if not error <= max(2 * usual, 1e-5):
        use_kernel(None, device, dtype)
        return KernelReport(
            name, error, usual, reason=f"its results are {error:.1e} from float32, expected {usual:.1e}"
        )
    return KernelReport(name, error, usual)


def _distance(found: list[torch.Tensor], exact: list[torch.Tensor]) -> float:
    """Largest relative distance, nan if there is one."""
    return torch.stack([(a.float() - b).norm() / b.norm() for a, b in zip(found, exact, strict=True)]).max().item()
