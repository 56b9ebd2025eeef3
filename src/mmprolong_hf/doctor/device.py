"""The device that a recipe trains on, and its peak."""

import shutil
import subprocess

import torch

from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.doctor.findings import NOTE, WRONG, Finding, Part

# Dense bfloat16 peaks with float32 sums, TFLOPS, by a part of the device's name: NVIDIA's data sheets of B200, H200, H100, A100,
# L40S, A10 (half of what they give with sparsity), its white papers of Ada and GA102 for the GeForces; H20 as in arXiv 2605.13831.
PEAKS = {
    "B200": 2250.0,
    "H200 NVL": 835.0,
    "H200": 989.0,
    "H100 NVL": 835.0,
    "H100 PCIe": 756.0,
    "H100": 989.0,
    "H800": 989.0,
    "H20": 148.0,
    "A100": 312.0,
    "A800": 312.0,
    "L40S": 362.0,
    "A10": 125.0,
    "RTX 4090": 165.2,
    "RTX 3090": 71.0,
}


def peak_tflops(name: str) -> float | None:
    """
    The peak of a GPU by the name that CUDA gives it, `None` where it is not in the table.

    Example:

    ```python
    >>> peak_tflops("NVIDIA H100 80GB HBM3"), peak_tflops("NVIDIA H100 PCIe"), peak_tflops("Tesla T4")
    (989.0, 756.0, None)

    ```
    """
    words = f"{name} ".replace("-", " ")  # A100-SXM4-80GB; the blank tells A10 from A100
    return next((peak for known, peak in PEAKS.items() if f"{known} " in words), None)


def examine_device(args: MMProLongConfig) -> Part:
    """
    What there is, and whether the recipe can use it.

    Args:
        args (`MMProLongConfig`): Its `device`, `bf16` and `peak_tflops`.
    """
    if args.device.type != "cuda":
        return Part("Device", _without_gpu(args))
    index = args.device
    name, (major, minor) = torch.cuda.get_device_name(index), torch.cuda.get_device_capability(index)
    free, total = torch.cuda.mem_get_info(index)
    findings = [
        Finding("GPU", f"{torch.cuda.device_count()} x {name}, compute capability {major}.{minor}"),
        Finding("memory", f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free"),
        Finding("CUDA", f"{torch.version.cuda} in torch {torch.__version__}; driver {_driver()}"),
    ]
    if torch.cuda.is_bf16_supported(including_emulation=False):
        on = "on" if args.bf16 else "off: this GPU has fast bfloat16, set bf16: true"
        findings.append(Finding("bfloat16", on, "ok" if args.bf16 else NOTE))
    else:
        findings.append(
            Finding("bfloat16", "this GPU has none; capability 8.0 or newer has", WRONG if args.bf16 else NOTE)
        )
    peak = peak_tflops(name)
    if peak is None:
        findings.append(
            Finding("peak", f"{args.peak_tflops:g} TFLOPS as the recipe says; {name} is in no table here", NOTE)
        )
    else:
        same = peak == args.peak_tflops
        other = "" if same else f"; the recipe's peak_tflops is {args.peak_tflops:g}, which its dry run reckons with"
        findings.append(Finding("peak", f"{peak:g} TFLOPS, dense bfloat16{other}", "ok" if same else NOTE))
    return Part("Device", findings)


def _without_gpu(args: MMProLongConfig) -> list[Finding]:
    found = Finding(
        "device", f"{args.device}: what follows is exact, but speed and FLOPs utilisation have no meaning here", NOTE
    )
    if args.use_cpu or shutil.which("nvidia-smi") is None:
        return [found]
    build = "a build without CUDA" if torch.version.cuda is None else f"built for CUDA {torch.version.cuda}"
    text = f"torch {torch.__version__} sees no GPU ({build}), but there is a driver {_driver()}; install torch for that CUDA"
    return [found, Finding("CUDA", text, WRONG)]


def _driver() -> str:
    """The version that `nvidia-smi` tells."""
    if shutil.which("nvidia-smi") is None:
        return "unknown (there is no nvidia-smi)"
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    told = subprocess.run(command, capture_output=True, text=True).stdout.split()
    return told[0] if told else "unknown (nvidia-smi tells none)"
