"""Liger's kernels: what is said where they cannot run, and, on a GPU, their numbers. Triton's interpreter runs them here."""

import importlib.metadata
import subprocess
import sys

import pytest
import tiny
import torch
from interpreted_kernels import ATTENTION, assert_on, distance, step
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextRMSNorm, apply_rotary_pos_emb

from mmprolong_hf import kernels
from mmprolong_hf.kernels import LAYERS, LigerReport, use_liger, why_not_liger

CUDA = torch.device("cuda")
REAL = {  # the widths of Qwen2.5-VL-7B and Qwen3-VL-8B
    "qwen2_5_vl": {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "rope_parameters": {"rope_type": "default", "rope_theta": 4e6, "mrope_section": [16, 24, 24]},
    },
    "qwen3_vl": {
        "hidden_size": 4096,
        "intermediate_size": 12288,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "rope_parameters": {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [24, 20, 20], "mrope_interleaved": True},
    },
}  # fmt: skip


def on_a_gpu(test):
    return pytest.mark.gpu(pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")(test))


def test_in_the_interpreter(root, environment):
    pytest.importorskip("liger_kernel")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--tb=short",
        "-p",
        "no:cacheprovider",
        "tests/interpreted_kernels.py",
    ]
    done = subprocess.run(
        command, cwd=root, env=environment | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-5000:]


def test_without_a_gpu_the_model_stays_as_it_is():
    model = tiny.model(attention=ATTENTION)
    assert [str(report) for report in use_liger(model)] == [
        f"Liger {name}: off: they need a CUDA device, and the model is on cpu" for name in LAYERS
    ]
    assert not any("forward" in vars(module) for module in model.modules())
    with pytest.raises(
        ValueError, match=r"Liger swiglu: off: they need a CUDA device.*; leave it out of the Liger kernels"
    ):
        use_liger(model, ["swiglu"], strict=True)


def test_without_liger_or_with_an_old_one(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert why_not_liger(CUDA) == "liger-kernel is not installed: pip install 'mmprolong_hf[liger]'"
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.8.4")
    assert why_not_liger(CUDA) == "liger-kernel is 0.8.4, expected 0.8.5 or newer"
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.8.10")
    assert why_not_liger(CUDA) is None


def test_other_models_kernels_and_activations_are_refused():
    with pytest.raises(ValueError, match=r"expected a Qwen2\.5-VL or Qwen3-VL model"):
        use_liger(torch.nn.Linear(1, 1))
    model = tiny.model(hidden_act="gelu")
    with pytest.raises(ValueError, match=r"Liger kernels \['rope'\]: not among rms_norm, swiglu, rotary"):
        use_liger(model, ["rope", "swiglu"])
    with pytest.raises(ValueError, match="hidden_act is 'gelu', and it computes 'silu'"):
        use_liger(model, ["swiglu"], strict=True)


def test_an_attention_that_calls_no_rotary_function_is_refused():
    with pytest.raises(ValueError, match=r"Linear\.forward does not call apply_rotary_pos_emb"):
        kernels._with_our_rotary(torch.nn.Linear.forward)


def put_on(name, layer):
    kernels._put_on(name, layer)
    return layer


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA device")
def test_a_device_on_which_nothing_runs_any_more_is_not_taken_for_a_kernel_that_fails(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: kernels.OLDEST)
    with pytest.raises((AssertionError, RuntimeError), match="CUDA") as raised:
        use_liger(tiny.model(attention=ATTENTION), device=CUDA)
    assert "synchronize" in [entry.name for entry in raised.traceback]


def test_reports_tell_each_type_that_was_compared():
    report = LigerReport("rms_norm", 5, {torch.bfloat16: (4e-3, 3e-3), torch.float32: (2e-7, 1e-7)})
    compared = "in bfloat16 4.0e-03 from float64 (3.0e-03 plain); in float32 2.0e-07 from float64 (1.0e-07 plain)"
    assert str(report) == f"Liger rms_norm: on in 5 modules, {compared}"


@on_a_gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_real_widths_on_a_gpu(family, dtype):
    model = tiny.model(family, ATTENTION, num_hidden_layers=2, **REAL[family]).to(CUDA, dtype)
    assert_on(use_liger(model, strict=True), family)


@on_a_gpu
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_same_step_on_a_gpu(family):
    plain, ours = (tiny.model(family, ATTENTION).to(CUDA) for _ in range(2))
    assert_on(use_liger(ours, strict=True), family)
    assert 0 < distance(step(ours), step(plain)) < 1e-5


def last_rows(tensor, dim=1):
    return tensor.detach().narrow(dim, tensor.shape[dim] - 8, 8).clone()


def long(*shape):
    """A row of more than 2**31 numbers."""
    assert torch.Size(shape).numel() > 2**31
    return torch.randn(shape, device=CUDA, dtype=torch.bfloat16)


def assert_last_rows_equal(ours, plain):
    for tensor, expected in zip(ours, plain, strict=True):
        assert ((tensor.double() - expected.double()).norm() / expected.double().norm()).item() < 0.01


@on_a_gpu
@pytest.mark.parametrize("width", [3584, 128])  # a row a program, and 16
def test_a_norm_beyond_2_to_the_31_numbers(width):
    norm = Qwen3VLTextRMSNorm(width).to(CUDA, torch.bfloat16)
    torch.nn.init.normal_(norm.weight)
    x = long(1, 2**31 // width + 8, width).requires_grad_()
    end = last_rows(x).requires_grad_()
    expected = norm(end)
    grad = torch.randn_like(expected)
    whole = torch.zeros_like(x)  # so that the weight's gradient is that of the last rows
    whole[:, -8:] = grad
    out = put_on("rms_norm", norm)(x)
    ours = torch.autograd.grad(out, [x, norm.weight], whole)
    plain = torch.autograd.grad(expected, [end, norm.weight], grad)
    assert_last_rows_equal([last_rows(out), last_rows(ours[0]), ours[1]], [expected, *plain])


@on_a_gpu
def test_swiglu_beyond_2_to_the_31_numbers():
    from liger_kernel.ops.swiglu import LigerSiLUMulFunction

    inputs = [long(1, 2**31 // 18944 + 8, 18944).requires_grad_() for _ in range(2)]
    gate, up = (last_rows(tensor).requires_grad_() for tensor in inputs)
    expected = torch.nn.functional.silu(gate) * up
    out = LigerSiLUMulFunction.apply(*inputs)
    whole = torch.randn_like(out)
    plain = torch.autograd.grad(expected, [gate, up], last_rows(whole))
    ours = torch.autograd.grad(out, inputs, whole)  # writes over its inputs
    assert_last_rows_equal([last_rows(out), *map(last_rows, ours)], [expected, *plain])


@on_a_gpu
def test_rotary_beyond_2_to_the_31_numbers():
    tokens = 2**31 // 3584 + 8
    angles = torch.randn(1, tokens, 64, device=CUDA).repeat(1, 1, 2)
    cos, sin = angles.cos().bfloat16(), angles.sin().bfloat16()
    q = long(1, tokens, 28, 128).transpose(1, 2).requires_grad_()
    k = torch.randn(1, tokens, 4, 128, device=CUDA, dtype=torch.bfloat16).transpose(1, 2).requires_grad_()
    ends = [last_rows(tensor, 2).requires_grad_() for tensor in (q, k)]
    expected = apply_rotary_pos_emb(*ends, last_rows(cos), last_rows(sin))
    out = kernels._rotary(q, k, cos, sin)
    wholes = [torch.randn_like(tensor) for tensor in out]
    plain = torch.autograd.grad(expected, ends, [last_rows(whole, 2) for whole in wholes])
    ours = torch.autograd.grad(out, [q, k], wholes)
    assert_last_rows_equal([last_rows(tensor, 2) for tensor in (*out, *ours)], [*expected, *plain])
