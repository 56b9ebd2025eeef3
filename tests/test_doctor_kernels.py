import torch
from test_trainer import make_trainer

from mmprolong_hf.attention import kernel_for
from mmprolong_hf.attention_choice import CHOICES
from mmprolong_hf.attention_kernels import CpuKernel
from mmprolong_hf.doctor.examination import first_pack
from mmprolong_hf.doctor.kernels import describe_kernels, describe_other_attention, measure_kernels


def test_kernels_of_a_cpu(tmp_path):
    trainer = make_trainer(tmp_path)
    layout = trainer.data_collator(first_pack(trainer))["layout"]
    kernels = measure_kernels(trainer, layout)
    assert kernels[0].report.name == "cpu"
    assert sorted(kernel.report.name for kernel in kernels) == sorted(["cpu", *CHOICES[1:]])
    usable = {kernel.report.name: kernel for kernel in kernels if kernel.report.reason is None}
    assert usable.keys() == {"cpu", "sdpa"}
    assert all(kernel.forward > 0 < kernel.backward for kernel in usable.values())
    assert isinstance(kernel_for(torch.zeros(1)), CpuKernel)  # what was in use is in use


def test_every_kernel_is_told_with_its_reason(tmp_path):
    trainer = make_trainer(tmp_path)
    kernels = measure_kernels(trainer, trainer.data_collator(first_pack(trainer))["layout"])
    lines = {finding.text.partition(":")[0]: finding.text for finding in describe_kernels(kernels, tokens=96)}
    assert "from float32" in lines["cpu"]
    assert "ms forward and backward, a layer of 96 tokens" in lines["cpu"]
    assert (
        "not usable: it failed on cpu in torch.float32: No module named 'flash_attn_interface'"
        in lines["flash_attention_3"]
    )


def test_transformers_masks_are_told():
    assert "a mask of T x T" in describe_other_attention("sdpa").text
    assert "mask" not in describe_other_attention("flash_attention_2").text
