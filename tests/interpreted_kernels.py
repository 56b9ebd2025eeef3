"""
Liger's kernels in Triton's interpreter, on a CPU. test_kernels.py runs this file in a process of its own, with TRITON_INTERPRET=1:
Triton reads it where it is imported first.
"""

import copy

import numpy as np
import pytest
import tiny
import torch
import torch.distributed as dist
from peft import LoraConfig, get_peft_model
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb

from mmprolong_hf import kernels, layer_probe
from mmprolong_hf.attention import PACKED_ATTENTION
from mmprolong_hf.checkpointing import save_attention_outputs
from mmprolong_hf.collator import PackCollator
from mmprolong_hf.kernels import LAYERS, use_liger
from mmprolong_hf.models import LANGUAGE_LINEARS
from mmprolong_hf.tiled_mlp import tile_mlps

ATTENTION = {"text_config": PACKED_ATTENTION, "vision_config": "sdpa"}
FUNCTIONS = {
    "rms_norm": "liger_kernel.ops.rms_norm.LigerRMSNormFunction",
    "swiglu": "liger_kernel.ops.swiglu.LigerSiLUMulFunction",
    "rotary": "liger_kernel.ops.rope.LigerRopeFunction",
}
MODULES = {"qwen2_5_vl": (5, 2, 2), "qwen3_vl": (9, 2, 2)}  # Qwen3-VL norms queries and keys too
TOLERANCE = 2e-6


@pytest.fixture(autouse=True)
def short_probes(monkeypatch):
    monkeypatch.setattr(layer_probe, "TOKENS", 9)
    monkeypatch.setattr(layer_probe, "MANY_ROWS", 0)


@pytest.fixture
def interpreter(monkeypatch):
    """Triton 3.9's, with what it lacks of a GPU's: numbers that are floats become tensors, and libdevice has an rsqrt."""
    import triton.language as tl
    from triton.runtime import interpreter

    convert = interpreter._implicit_cvt

    def convert_floats_too(argument):
        if not isinstance(argument, float):
            return convert(argument)
        return tl.tensor(interpreter.TensorHandle(np.array([argument], dtype=np.float32), tl.float32), tl.float32)

    monkeypatch.setattr(interpreter, "_implicit_cvt", convert_floats_too)
    monkeypatch.setattr("liger_kernel.ops.rms_norm.rsqrt", lambda x: tl.rsqrt(x))


def sample(ids, **extra):
    ids = torch.tensor(ids)
    return {"input_ids": ids, "labels": ids.clone(), "mm_token_type_ids": torch.zeros_like(ids), **extra}


def pack():
    """A sample of 3 tokens, and a document of 4 that two questions share."""
    document = [30, 31, 32, 33]
    questions = [sample(document + tail, document_length=4) for tail in ([40, 41, 42], [50, 51])]
    for question in questions:
        question["labels"][:5] = -100
    return PackCollator()([sample([20, 21, 22]), questions])


def with_adapters(model):
    torch.manual_seed(1)
    # Not PEFT's initial zeros, which have no gradient
    return get_peft_model(model, LoraConfig(r=4, target_modules=LANGUAGE_LINEARS, init_lora_weights=False))


def step(model):
    """The loss, and every gradient."""
    inputs = {key: value.to(model.device) if torch.is_tensor(value) else value for key, value in pack().items()}
    loss = model.train()(**inputs).loss
    loss.backward()
    grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return {"loss": loss.detach()} | grads


def distance(ours, plain):
    """Largest relative distance."""
    assert ours.keys() == plain.keys()
    return max(((ours[name] - plain[name]).norm() / plain[name].norm()).item() for name in plain)


def assert_on(reports, family):
    assert [(report.reason, report.layers) for report in reports] == [(None, n) for n in MODULES[family]]


@pytest.mark.parametrize(
    ("family", "adapters"), [("qwen2_5_vl", None), ("qwen2_5_vl", "after"), ("qwen3_vl", None), ("qwen3_vl", "before")]
)
def test_the_same_step(interpreter, family, adapters):
    plain, ours = tiny.model(family, ATTENTION), tiny.model(family, ATTENTION)
    if adapters is not None:
        plain = with_adapters(plain)
    if adapters == "before":
        ours = with_adapters(ours)
    keys, names = list(ours.state_dict()), [name for name, _ in ours.named_modules()]
    assert_on(use_liger(ours, strict=True), family)
    assert (list(ours.state_dict()), [name for name, _ in ours.named_modules()]) == (keys, names)
    if adapters == "after":
        ours = with_adapters(ours)
    expected = step(plain)
    assert 0 < distance(step(ours), expected) < TOLERANCE
    ours.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    save_attention_outputs(ours)
    tile_mlps(ours, 5)
    assert distance(step(ours), expected) < TOLERANCE


@pytest.mark.parametrize("use_reentrant", [True, False])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_rotary_is_computed_again_as_it_was(family, use_reentrant):
    plain, ours = with_adapters(tiny.model(family, ATTENTION)), with_adapters(tiny.model(family, ATTENTION))
    use_liger(ours, ["rotary"], strict=True)
    for model in (plain, ours):
        model.enable_input_require_grads()
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": use_reentrant})
    assert distance(step(ours), step(plain)) < TOLERANCE


def test_sharded_afterwards_and_saved(interpreter, tmp_path):
    model = tiny.model("qwen3_vl", ATTENTION)
    expected = step(model)
    assert_on(use_liger(model, strict=True), "qwen3_vl")
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path, attn_implementation=ATTENTION)
    assert not any("forward" in vars(module) for module in again.modules())
    assert distance(step(again), expected) == 0
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        for layer in model.model.language_model.layers:
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
        ours = {name: getattr(tensor, "_local_tensor", tensor) for name, tensor in step(model).items()}
    finally:
        dist.destroy_process_group()
    assert 0 < distance(ours, expected) < TOLERANCE


def test_one_instance_alone_and_its_copies(interpreter):
    ours, other = tiny.model(attention=ATTENTION), tiny.model(attention=ATTENTION)
    use_liger(ours, strict=True)
    twin = copy.deepcopy(ours)
    norm = twin.model.language_model.norm
    assert norm.forward.__self__ is norm
    for attention in LAYERS["rotary"]:
        assert attention.forward.__globals__["apply_rotary_pos_emb"] is not kernels._rotary
    assert not any("forward" in vars(m) for m in [*other.modules(), *ours.model.visual.modules(), ours.lm_head])


def test_float32_weights_under_autocast(interpreter):
    plain, ours = tiny.model("qwen3_vl", ATTENTION), tiny.model("qwen3_vl", ATTENTION)
    use_liger(ours, strict=True)
    with torch.autocast("cpu", torch.float16):
        assert distance(step(ours), step(plain)) < 0.02
        attention = ours.model.language_model.layers[0].self_attn
        assert attention.q_norm(torch.ones(1, 16).half()).dtype == torch.float32


def wrong(monkeypatch, name, forward):
    """Liger's function 1 % too large, or its gradient."""
    module, _, function = FUNCTIONS[name].rpartition(".")
    right = getattr(pytest.importorskip(module), function).apply

    class Wrong:
        @staticmethod
        def apply(*args):
            out = right(*args)
            outs = out if isinstance(out, tuple) else (out,)
            if forward:
                outs = tuple(tensor * 1.01 for tensor in outs)
            else:
                [tensor.register_hook(lambda grad: grad * 1.01) for tensor in outs]
            return outs if isinstance(out, tuple) else outs[0]

    monkeypatch.setattr(FUNCTIONS[name], Wrong)


def test_norms_are_compared_in_the_type_of_their_weights_too(interpreter, monkeypatch):
    reports = use_liger(tiny.model("qwen3_vl", ATTENTION), strict=True, dtype=torch.float16)
    assert [list(report.errors) for report in reports] == [[torch.float16, torch.float32], *[[torch.float16]] * 2]
    right = kernels._rms_norm
    monkeypatch.setattr(
        kernels, "_rms_norm", lambda self, x: right(self, x) * (1.01 if x.dtype == torch.float32 else 1)
    )
    (report,) = use_liger(tiny.model("qwen3_vl", ATTENTION), ["rms_norm"], dtype=torch.float16)
    assert (report.layers, list(report.errors)) == (0, [torch.float16, torch.float32])
    assert report.reason.startswith("in torch.float32 the output is 1.0e-02 from float64")


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_a_wrong_kernel_is_left_off(interpreter, monkeypatch, name, forward):
    model = tiny.model("qwen3_vl", ATTENTION)
    (right,) = use_liger(model, [name], dtype=torch.float16)
    assert right.reason is None
    wrong(monkeypatch, name, forward)
    model = tiny.model("qwen3_vl", ATTENTION)
    (report,) = use_liger(model, [name], dtype=torch.float16)
    assert report.layers == 0
    assert report.errors[torch.float16][0] > 2 * right.errors[torch.float16][0]
    assert "from float64, expected" in str(report)
    assert not any("forward" in vars(module) for module in model.modules())


def test_a_wrong_kernel_that_is_put_on_is_seen(interpreter, monkeypatch):
    expected = step(tiny.model(attention=ATTENTION))
    for name in LAYERS:
        model = tiny.model(attention=ATTENTION)
        use_liger(model, [name], strict=True)
        with monkeypatch.context() as broken:
            wrong(broken, name, forward=True)
            assert distance(step(model), expected) > 1e-3


def test_kernels_that_raise_are_left_off_with_what_they_raised():
    # Triton 3.9's interpreter as it is: it hands floats on as Python's
    model = tiny.model(attention=ATTENTION)
    with pytest.raises(
        ValueError, match=r"Liger rms_norm: off: it failed on cpu in torch.float32: .*'float' object has no"
    ):
        use_liger(model, strict=True)
    assert not any("forward" in vars(module) for module in model.modules())
    norms, swiglu, rotary = use_liger(model)
    assert "'float' object has no attribute 'to'" in norms.reason
    assert "'float' object has no attribute 'to'" in swiglu.reason
    assert rotary.layers == 2
    assert distance(step(model), step(tiny.model(attention=ATTENTION))) < TOLERANCE


def test_queries_that_a_layer_keeps_for_its_gradient_are_not_overwritten():
    states = [torch.randn(1, 3, 2, 8, requires_grad=True) for _ in range(2)]
    half = torch.randn(2, 1, 3, 4)
    cos, sin = torch.cat((half, half), -1)
    grads = []
    for rotate in (kernels._rotary, apply_rotary_pos_emb):
        q, k = rotate(*(state.exp().transpose(1, 2) for state in states), cos, sin)  # exp keeps its output
        grads += torch.autograd.grad(q.sum() + 2 * k.sum(), states)
    for ours, plain in zip(grads[:2], grads[2:]):
        torch.testing.assert_close(ours, plain)


def test_no_random_number_of_the_run_is_used(interpreter):
    model, state = tiny.model(attention=ATTENTION), torch.get_rng_state()
    use_liger(model, strict=True)
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ValueError, match="forward replaced already; call use_liger once"):
        use_liger(model, ["swiglu"], strict=True)
