"""attention_choice.py: a kernel is used only after it was seen to be right."""

import pytest
import tiny
import torch

from mmprolong_hf import attention
from mmprolong_hf.attention import KERNELS, kernel_for
from mmprolong_hf.attention_choice import CHOICES, choose_kernel, probe_kernel
from mmprolong_hf.attention_kernels import CpuKernel

SIZES = {"num_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _default_kernel():
    yield
    attention._chosen.clear()


@pytest.mark.parametrize(("choice", "name"), [("auto", "cpu"), ("sdpa", "sdpa")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_works_here_is_used_and_its_distance_told(choice, name, dtype):
    report = choose_kernel(choice, CPU, dtype, **SIZES)
    assert report.name == name
    assert kernel_for(torch.zeros(1, dtype=dtype)) is KERNELS[name]
    other = torch.float16 if dtype == torch.bfloat16 else torch.bfloat16
    assert kernel_for(torch.zeros(1, dtype=other)) is KERNELS["cpu"]  # chosen for one type, the default for others
    limit = 1e-5 if dtype == torch.float32 else 0.02
    assert (report.error == 0) == (name == "sdpa" and dtype == torch.float32)  # that is what it is compared with
    assert report.error < limit
    assert str(report).startswith(f"{name}: {report.error:.1e} from float32 (")


@pytest.mark.parametrize("choice", ["flash_attention_2", "flash_attention_3", "cudnn"])
def test_what_does_not_work_here_is_an_error_with_torchs_reason(choice):
    with pytest.raises(
        ValueError, match=rf"attention_kernel is '{choice}', but {choice}: not usable: .+ or name another"
    ):
        choose_kernel(choice, CPU, torch.float32, **SIZES)
    assert kernel_for(torch.zeros(1)) is KERNELS["cpu"]  # as before


class Blind(CpuKernel):
    """Forgets the scale of the backward pass."""

    def backward(self, grad, query, key, value, out, lse, bounds, causal, scale):
        return super().backward(grad, query, key, value, out, lse, bounds, causal, 0.3)


def test_a_kernel_that_is_wrong_is_not_used(monkeypatch):
    monkeypatch.setitem(attention.KERNELS, "cpu", Blind())
    report = probe_kernel("cpu", CPU, torch.float32, 4, 2, 16)
    assert "from float32, expected" in report.reason
    assert report.error > 0.01
    with pytest.raises(ValueError, match="from float32, expected"):
        choose_kernel("auto", CPU, torch.float32, **SIZES)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_kernel_here_gives_a_model_the_same_losses(family):
    model = tiny.model(family, attention.choose_attention())
    ids = torch.randint(20, 200, (1, 64), generator=torch.Generator().manual_seed(0))
    losses = []
    for choice in ("auto", "sdpa"):
        choose_kernel(choice, CPU, torch.float32, **SIZES)
        losses.append(model(input_ids=ids, labels=ids, use_cache=False).loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("choice", [choice for choice in CHOICES if choice != "flash_attention_3"])
def test_kernels_on_a_gpu(choice):
    report = choose_kernel(
        choice, torch.device("cuda"), torch.bfloat16, num_heads=28, num_key_value_heads=4, head_dim=128
    )
    assert report.error < 0.02


@torch.no_grad()
def test_where_gradients_are_off_kernels_are_compared_all_the_same():
    assert choose_kernel("auto", CPU, torch.float32, **SIZES).error < 1e-5
