import pytest
import torch

from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.doctor.device import examine_device, peak_tflops


def config(**options):
    return MMProLongConfig(output_dir="", **{"bf16": False, "packs_per_step": 1} | options)


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H100 NVL", 835),
        ("NVIDIA H200", 989),
        ("NVIDIA H20", 148),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA A10", 125),
        ("NVIDIA GeForce RTX 4090", 165.2),
        ("NVIDIA A10G", None),
        ("Tesla V100-SXM2-32GB", None),
    ],
)
def test_peaks_by_name(name, peak):
    assert peak_tflops(name) == peak


def test_a_cpu_is_told_to_be_one():
    part = examine_device(config(use_cpu=True))
    assert [finding.state for finding in part.findings] == ["note"]
    assert "speed and FLOPs utilisation have no meaning here" in part.findings[0].text


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch sees a GPU here")
def test_a_driver_that_torch_does_not_use_is_wrong(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 575.57.08\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    finding = examine_device(config()).findings[-1]
    assert finding.state == "wrong"
    assert "sees no GPU" in finding.text
    assert "driver 575.57.08; install torch for that CUDA" in finding.text
    assert not examine_device(config(use_cpu=True)).is_wrong  # asked for


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_is_described():
    part = examine_device(config())
    assert [finding.what for finding in part.findings] == ["GPU", "memory", "CUDA", "bfloat16", "peak"]
    assert not part.is_wrong
