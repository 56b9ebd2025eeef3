"""Checkpointing that keeps attention outputs: the same step, attention computed once, and as many bytes as it says."""

import gc
from functools import partial

import pytest
import tiny
import torch
from live_bytes import Calls, LiveBytes
from test_shared_documents import ATTENTION, build, gradients, mixed
from test_trainer import make_trainer
from torch.utils.checkpoint import checkpoint

from mmprolong_hf import attention, merged_attention
from mmprolong_hf.attention_kernels import CpuKernel
from mmprolong_hf.checkpointing import ATTENTION_OPS, language_layers, save_attention_outputs
from mmprolong_hf.collator import PackCollator

ATTENTION_OP = "aten::_scaled_dot_product_flash_attention_for_cpu"
A_TOKEN = 4 * (16 * 4 + 4)  # bytes that a layer keeps: heads x (head_dim x itemsize + 4)
SAMPLES = ((2, 84, 112), (0, 0, 0), (1, 112, 56))  # pages, width, height


def packed(family, shared=True):
    return PackCollator()(mixed(family) if shared else tiny.samples(tiny.processor(family), SAMPLES))


def text_pack():
    """A document without pages, with three questions."""
    ids = torch.arange(3, 60)
    samples = [torch.cat([ids, 60 + 20 * k + torch.arange(4 + 5 * k)]) for k in range(3)]
    return PackCollator()(
        [
            [
                {
                    "input_ids": sample,
                    "labels": torch.where(torch.arange(len(sample)) > 58, sample, -100),
                    "mm_token_type_ids": torch.zeros_like(sample),
                    "document_length": 57,
                }
                for sample in samples
            ]
        ]
    )


def step(model, pack):
    """Loss, gradients, and how often attention ran in the backward pass."""
    loss = model.train()(**pack).loss
    with Calls() as calls:
        loss.backward()
    return loss.detach(), gradients(model), calls.count.get(ATTENTION_OP, 0)


def equal(one, other):
    assert one[1].keys() == other[1].keys()
    return torch.equal(one[0], other[0]) and all(torch.equal(one[1][name], other[1][name]) for name in one[1])


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_same_step_without_a_second_attention(family, lora, shared):
    pack = packed(family, shared)
    model = build(family, lora)
    model.activation_checkpointing_enable()
    plain = step(model, pack)
    save_attention_outputs(model)
    kept = step(model, pack)
    assert equal(kept, plain)
    calls = len(pack["layout"].segments.pairs) + len(pack["layout"].documents)
    assert plain[2] - kept[2] == 2 * calls  # in two layers; those that are left are the vision tower's
    pack = text_pack()
    assert step(model, pack)[2] == 0


@pytest.mark.parametrize("before", [True, False])
def test_turned_on_before_or_after_checkpointing_and_adapters(before):
    model, pack = build("qwen2_5_vl"), text_pack()
    if before:
        save_attention_outputs(model)
    model.activation_checkpointing_enable({"use_reentrant": False, "preserve_rng_state": False})
    if not before:
        save_attention_outputs(model)
    assert step(model, pack)[2] == 0
    model.activation_checkpointing_enable(every_n_layers=2)  # again, with other settings
    assert [layer.gradient_checkpointing for layer in language_layers(model)] == [True, False]
    assert step(model, pack)[2] == 0
    model.activation_checkpointing_disable()
    assert step(model, pack)[2] == 0


def test_trainer_turns_it_on_inside_train(tmp_path):
    steps = {}
    for keep in (False, True):
        model = tiny.model(attention=ATTENTION)
        if keep:
            save_attention_outputs(model)
        trainer = make_trainer(tmp_path, model=model, gradient_checkpointing=True, max_steps=1, packs_per_step=1)
        calls, training_step = Calls(), trainer.training_step

        def counted(*args, calls=calls, training_step=training_step):
            with calls:
                return training_step(*args)

        trainer.training_step = counted
        trainer.train()
        steps[keep] = calls.count[ATTENTION_OP], {name: p.detach() for name, p in trainer.model.named_parameters()}
    assert steps[True][0] < steps[False][0]
    assert all(torch.equal(steps[True][1][name], value) for name, value in steps[False][1].items())


class OneCall(CpuKernel):
    """All runs in one operator, whose outputs it returns as they are, as torch's flash attention on CUDA does."""

    def forward(self, query, key, value, bounds, causal, scale):
        mask = torch.full((query.shape[0], key.shape[0]), -torch.inf)
        for (start, stop), (first, last) in zip(bounds[0].pairs, bounds[1].pairs, strict=True):
            mask[start:stop, first:last] = (
                torch.full((stop - start, last - first), -torch.inf).triu(1) if causal else 0
            )
        heads = (tensor.transpose(0, 1)[None] for tensor in (query, key, value))
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            *heads, 0.0, False, attn_mask=mask, scale=scale
        )
        return out[0].transpose(0, 1), lse[0]


def test_what_is_kept_is_not_merged_twice(monkeypatch):
    monkeypatch.setitem(attention.KERNELS, "cpu", OneCall())
    pack, model = text_pack(), build("qwen2_5_vl", lora=True)
    assert pack["layout"].documents
    model.activation_checkpointing_enable()
    plain = step(model, pack)
    save_attention_outputs(model)
    kept = step(model, pack)
    assert equal(kept, plain)
    assert (kept[2], plain[2]) == (0, 4)  # two layers, each once on segments and once across
    # Merged in place instead, what was kept is no longer what the kernel returned
    monkeypatch.setattr(torch.Tensor, "clone", lambda tensor: tensor)
    with pytest.raises(RuntimeError, match="cached during selective activation checkpoint has been mutated"):
        step(model, pack)


def test_a_wrong_output_kept_is_a_wrong_gradient(monkeypatch):
    model, pack = build("qwen2_5_vl", lora=True), packed("qwen2_5_vl")
    model.activation_checkpointing_enable()
    plain = step(model, pack)
    save_attention_outputs(model)
    loss = model.train()(**pack).loss
    monkeypatch.setattr(
        merged_attention, "_weighted", lambda out, log_weight: out
    )  # how the kept parts are merged again
    loss.backward()
    assert not equal((loss.detach(), gradients(model)), plain)


def test_as_many_bytes_as_it_says():
    pack, held = packed("qwen2_5_vl", shared=False), []
    for keep in (False, True):
        model = build("qwen2_5_vl")
        model.activation_checkpointing_enable()
        if keep:
            save_attention_outputs(model)
        with LiveBytes() as memory:
            loss = model.train()(**pack).loss
            gc.collect()  # the forward pass leaves reference cycles
            held.append(memory.live)
        del loss
    assert held[1] - held[0] == 2 * A_TOKEN * pack["input_ids"].numel()


def test_with_hidden_states_offloaded_to_the_host():
    """As `activation_checkpointing_kwargs: {offload: true}` does, whose pinned memory there is for GPUs alone."""

    def offloaded(function, *args, **kwargs):
        with torch.autograd.graph.save_on_cpu():
            return checkpoint(function, *args, **kwargs)

    model, pack = build("qwen2_5_vl", lora=True), text_pack()
    save_attention_outputs(model)
    model.activation_checkpointing_enable()
    kept = step(model, pack)
    model.get_base_model()._set_gradient_checkpointing(True, partial(offloaded, use_reentrant=False))
    assert equal(step(model, pack), kept)
    assert kept[2] == 0


def test_under_hooks_on_everything_that_is_saved():
    """As TRL's `activation_offloading` does: here what hooks are given becomes an array of numpy, which is not counted."""
    pack, held = packed("qwen2_5_vl", shared=False), {}

    def away():
        return torch.autograd.graph.saved_tensors_hooks(lambda t: t.detach().numpy().copy(), torch.from_numpy)

    for keep in (False, True):
        model = build("qwen2_5_vl")
        if keep:
            save_attention_outputs(model)
        model.activation_checkpointing_enable()
        expected = step(model, pack)
        with away():
            assert equal(step(model, pack), expected)
            with LiveBytes() as memory:
                loss = model(**pack).loss
                gc.collect()  # the forward pass leaves reference cycles
                held[keep] = memory.live
            del loss
    # Attention's outputs are all that is left on the device: hooks do not see them
    assert held[True] - held[False] == 2 * A_TOKEN * pack["input_ids"].numel()


def test_every_operator_that_torch_has_is_known_by_its_name():
    names = {name for name in ATTENTION_OPS if name.startswith("aten::")}
    assert names <= {schema.name for schema in torch._C._jit_get_all_schemas()}


def test_refusals():
    with pytest.raises(ValueError, match=r"the model is a Linear, expected a Qwen2.5-VL or Qwen3-VL model"):
        save_attention_outputs(torch.nn.Linear(1, 1))
    with pytest.raises(ValueError, match="attn_implementation is 'eager'"):
        save_attention_outputs(tiny.model(attention="eager"))
    model = tiny.model()
    save_attention_outputs(model)
    with pytest.raises(ValueError, match="use_reentrant is true in activation_checkpointing_kwargs"):
        model.activation_checkpointing_enable({"use_reentrant": True})
