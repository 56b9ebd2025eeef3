"""A document that questions share gives each of them what it would have alone: loss, logits and the gradient of every parameter."""

import pytest
import tiny
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model

from mmprolong_hf.attention import PACKED_ATTENTION, choose_attention
from mmprolong_hf.collator import PackCollator
from mmprolong_hf.encoding import encode_branch, encode_document, encode_sample
from mmprolong_hf.layout import PackLayout
from mmprolong_hf.models import LANGUAGE_LINEARS
from mmprolong_hf.positions import IGNORE_INDEX

ATTENTION = {"text_config": PACKED_ATTENTION, "vision_config": "sdpa"}
GPU = (pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"))
TOLERANCE = 1e-5
# Characters, which are about as many tokens
ANSWER_LENGTHS = [1, 300, 2, 40, 7, 1, 120, 3, 1, 25, 60, 4, 1, 9, 200, 2]


def branches(family, count, *, seed=0, num_pages=3):
    """Questions of very different lengths about one document."""
    processor, numbers = tiny.processor(family), range(1, num_pages + 1)
    document = encode_document(processor, [tiny.page(10 * seed + n, 84 + 28 * n) for n in numbers], numbers)
    return [
        encode_branch(processor, document, numbers, "Why? " * (1 + 5 * (k % 4)) + str(k), ("x7" * length)[:length])
        for k, length in enumerate(ANSWER_LENGTHS[:count])
    ]


def mixed(family):
    """A sample with a page, a document with three questions, one without a page, a document with two questions."""
    processor = tiny.processor(family)
    plain = encode_sample(processor, [tiny.page(90)], [4], "What is on page 4?", "nothing")
    text = encode_sample(processor, [], [], "What is the title?", "none " * 9 + "of it")
    return [plain, branches(family, 3), text, branches(family, 2, seed=1, num_pages=1)]


def flat(parts):
    return [sample for part in parts for sample in (part if isinstance(part, list) else [part])]


def build(family, lora=False, attention=ATTENTION):
    model = tiny.model(family, attention)
    if not lora:
        return model
    torch.manual_seed(1)
    # Not PEFT's initial zeros, which have no gradient
    return get_peft_model(model, LoraConfig(r=4, target_modules=LANGUAGE_LINEARS, init_lora_weights=False))


def loss_of(logits, labels):
    return F.cross_entropy(logits[:-1].float(), labels[1:], ignore_index=IGNORE_INDEX, reduction="sum")


def gradients(model):
    grads = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad}
    model.zero_grad()
    return grads


def shared(model, parts, change=lambda pack: pack):
    """Loss, logits (of each sample, its document's among them) and gradients of a pack."""
    pack = PackCollator()(parts)
    layout, pack = pack["layout"], change(pack)
    logits = model(**{key: value for key, value in pack.items() if key != "labels"}).logits[0]
    loss = loss_of(logits, pack["labels"][0])
    loss.backward()
    runs = [[d.tokens for d in layout.documents if d.end <= i < d.stop] + [slice(i, j)] for i, j in layout.leaves]
    return loss.detach(), [torch.cat([logits[run].detach() for run in own]) for own in runs], gradients(model)


def separate(model, parts):
    """The same of the samples one by one, by transformers alone: no pack, no positions of ours."""
    loss, logits = 0, []
    for sample in flat(parts):
        inputs = {key: sample[key][None] for key in ("input_ids", "mm_token_type_ids")}
        inputs |= {key: sample[key] for key in ("pixel_values", "image_grid_thw") if key in sample}
        out = model(**inputs, use_cache=False).logits[0]
        own = loss_of(out, sample["labels"])
        own.backward()
        loss, logits = loss + own.detach(), [*logits, out.detach()]
    return loss, logits, gradients(model)


def differences(ours, theirs):
    """Of the loss, of the logits and of the gradients, the worst one, relative to its size."""
    (loss, logits, grads), (other_loss, other_logits, other_grads) = ours, theirs
    assert len(logits) == len(other_logits)
    assert grads.keys() == other_grads.keys()
    assert all(grad.norm() > 1e-4 for grad in other_grads.values())  # no parameter passes for want of a gradient
    of_logits = [(own - other).abs().max() / other.abs().max() for own, other in zip(logits, other_logits)]
    of_gradients = [(grads[name] - other_grads[name]).norm() / other_grads[name].norm() for name in grads]
    return abs(loss - other_loss).item() / other_loss.item(), max(of_logits).item(), max(of_gradients).item()


@pytest.mark.parametrize("count", [1, 2, 5, 16, "mixed"])
@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_shared_equals_separate(family, lora, count):
    parts = mixed(family) if count == "mixed" else [branches(family, count)]
    expected = separate(build(family, lora, attention="sdpa"), parts)
    model = build(family, lora).train()
    passes = []
    layer = model.get_submodule(next(name for name, _ in model.named_modules() if name.endswith("layers.0.mlp")))
    layer.register_forward_pre_hook(lambda *args: passes.append(1))
    assert max(differences(shared(model, parts), expected)) <= TOLERANCE
    model.activation_checkpointing_enable({"use_reentrant": False})
    assert max(differences(shared(model, parts), expected)) <= TOLERANCE
    assert len(passes) == 3  # the guard: with checkpointing, once more in the backward pass
    assert any(".visual." in name for name in expected[2]) != lora


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_one_question_alone_is_a_plain_sample_to_the_bit(family):
    model, (sample,) = build(family), branches(family, 1)
    ours, plain = shared(model, [[sample]]), shared(model, [sample])
    torch.testing.assert_close(ours, plain, rtol=0, atol=0)
    torch.testing.assert_close(plain, separate(model, [sample]), rtol=0, atol=0)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_vision_tower_runs_once_a_document(family):
    model, parts = build(family), mixed(family)
    patches = []
    model.model.visual.register_forward_pre_hook(lambda module, args: patches.append(len(args[0])))
    shared(model, parts)
    once = [part[0] if isinstance(part, list) else part for part in parts]
    assert patches == [sum(len(sample["pixel_values"]) for sample in once if "pixel_values" in sample)]
    patches.clear()
    separate(model, parts)
    assert sum(patches) == sum(len(sample["pixel_values"]) for sample in flat(parts) if "pixel_values" in sample)


def to(values, device):
    return torch.utils._pytree.tree_map_only(torch.Tensor, lambda tensor: tensor.to(device), values)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_bf16_is_as_near_as_separate_samples(family, device):
    # As recipes train: the weights in float32. On a GPU this is what exercises its kernel.
    parts = mixed(family)
    exact = separate(build(family), parts)
    model = build(family, attention=choose_attention()).train().to(device)
    with torch.autocast(device, torch.bfloat16):
        one_by_one = differences(to(separate(model, to(parts, device)), "cpu"), exact)
        packed = differences(to(shared(model, parts, lambda pack: to(pack, device)), "cpu"), exact)
        wrong = shared(model, parts, lambda pack: to({**pack, "layout": PackLayout(pack["layout"].segments)}, device))
    assert max(one_by_one) < 0.08
    assert all(a < max(2 * b, 1e-3) for a, b in zip(packed, one_by_one)), (packed, one_by_one)
    assert min(differences(to(wrong, "cpu"), exact)[1:]) > 0.2  # the guard: branches that are blind to their document


def in_part(pack, lengths):
    return {**pack, "layout": PackLayout.from_lengths(lengths)}


def moved(pack, start, end, by):
    positions = pack["position_ids"].clone()
    positions[:, 0, start:end] += by
    return {**pack, "position_ids": positions}


def labelled(pack, start, end, labels):
    return {**pack, "labels": pack["labels"].index_fill(1, torch.arange(start, end), labels)}


def lengths_of(parts):
    """Of the document and of each branch."""
    document = parts[0][0]["document_length"]
    return [document, *(len(sample["input_ids"]) - document for sample in parts[0])]


BROKEN = {
    "blind": lambda pack, d, a, b, c: in_part(pack, [[d], [a], [b], [c]]),
    "one is blind": lambda pack, d, a, b, c: in_part(pack, [[d, a, b], [c]]),
    "sees its sibling": lambda pack, d, a, b, c: in_part(pack, [[d, a + b, c]]),
    "one sample": lambda pack, d, a, b, c: in_part(pack, [[d + a + b + c]]),
    "goes on after its sibling": lambda pack, d, a, b, c: moved(pack, d + a, d + a + b, a),
    "one too far": lambda pack, d, a, b, c: moved(pack, d + a, d + a + b, 1),
    "restarts": lambda pack, d, a, b, c: moved(pack, d, d + a, -pack["position_ids"][:, 0, d, None]),
    "a branch is dropped": lambda pack, d, a, b, c: labelled(pack, d, d + a, IGNORE_INDEX),
    "the document's last token is a query": lambda pack, d, a, b, c: labelled(pack, d, d + 1, pack["input_ids"][0, d]),
    "a branch's last token is a query": lambda pack, d, a, b, c: labelled(pack, d + a, d + a + 1, pack["input_ids"][0, d + a]),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_broken(family, name):
    model, parts = build(family), [branches(family, 3)]
    right, wrong = shared(model, parts), shared(model, parts, lambda pack: BROKEN[name](pack, *lengths_of(parts)))
    of_loss, of_logits, of_gradients = differences(wrong, right)
    assert of_loss > TOLERANCE
    assert of_gradients > 100 * TOLERANCE
    assert (of_logits > 1000 * TOLERANCE) != ("last token" in name or "dropped" in name)


def test_a_branch_counted_twice():
    model, samples = build("qwen2_5_vl"), branches("qwen2_5_vl", 2)
    (loss, _, right), (more, _, wrong) = (shared(model, [part]) for part in (samples, [*samples, samples[1]]))
    assert more > 1.1 * loss
    assert all((wrong[name] - right[name]).norm() > 0.01 * right[name].norm() for name in right)


def rewritten(sample, start, end):
    """The sample with this run of its text in reverse."""
    ids = sample["input_ids"].clone()
    ids[start:end] = ids[start:end].flip(0)
    return {**sample, "input_ids": ids}


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_siblings_text_changes_nothing_and_the_documents_does(family):
    model, samples = build(family), branches(family, 3)
    silent = [{**sample, "labels": torch.full_like(sample["labels"], IGNORE_INDEX)} for sample in samples]
    samples = [silent[0], samples[1], silent[2]]  # a loss on the second alone
    length = samples[0]["document_length"]
    loss, logits, grads = shared(model, [samples])
    siblings = [rewritten(sample, length, None) if sample is not samples[1] else sample for sample in samples]
    other_loss, other_logits, other_grads = shared(model, [siblings])
    torch.testing.assert_close((other_loss, other_logits[1]), (loss, logits[1]), rtol=0, atol=0)
    torch.testing.assert_close(other_grads, grads, rtol=0, atol=0)
    assert loss > 1
    assert all((other_logits[i] != logits[i]).any() for i in (0, 2))
    _, other_logits, _ = shared(model, [[rewritten(sample, 0, 5) for sample in samples]])
    assert all((other[length:] != own[length:]).any(dim=1).all() for other, own in zip(other_logits, logits))
