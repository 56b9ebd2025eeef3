"""The merged kernel against a masked softmax, forward and backward; and every part of it, broken, is seen to matter."""

import random

import pytest
import torch

from mmprolong_hf import merged_attention
from mmprolong_hf.attention import concatenated_attention
from mmprolong_hf.attention_kernels import CpuKernel, CudnnKernel, FlashKernel
from mmprolong_hf.layout import Bounds, PackLayout
from mmprolong_hf.merged_attention import MergedAttention

SCALE = 0.3
LENGTHS = [[5], [7, 3, 1, 4], [1], [4, 2, 2]]  # samples of 5 and 1 tokens, documents of 7 and 4 with branches


def random_lengths(seed):
    """One to four parts; a document has up to five branches, some of one token."""
    rng = random.Random(seed)
    parts = [[rng.randint(1, 40)] for _ in range(rng.randint(1, 4))]
    for part in rng.sample(parts, rng.randint(1, len(parts))):
        part += [rng.choice([1, 1, 2, rng.randint(3, 30)]) for _ in range(rng.randint(1, 5))]
    return parts


def visible(lengths):
    """The mask, token by token, from the lengths alone."""
    tokens = [(part, segment) for part, own in enumerate(lengths) for segment, n in enumerate(own) for _ in range(n)]

    def sees(query, key):
        (part, segment), (key_part, key_segment) = tokens[query], tokens[key]
        return key <= query and key_part == part and key_segment in (0, segment)

    return torch.tensor([[sees(query, key) for key in range(len(tokens))] for query in range(len(tokens))])


def masked_softmax(query, key, value, lengths):
    groups = query.shape[1] // key.shape[1]
    query, key, value = (tensor.transpose(0, 1) for tensor in (query, key, value))
    scores = query @ key.repeat_interleave(groups, 0).transpose(1, 2) * SCALE
    scores = scores.masked_fill(~visible(lengths).to(query.device), -torch.inf)
    return (scores.softmax(-1) @ value.repeat_interleave(groups, 0)).transpose(0, 1)


def merged(query, key, value, lengths, kernel=None):
    return MergedAttention.apply(query, key, value, PackLayout.from_lengths(lengths), SCALE, kernel or CpuKernel())


def concatenated(query, key, value, lengths):
    heads_first = (tensor.transpose(0, 1)[None] for tensor in (query, key, value))
    return concatenated_attention(*heads_first, PackLayout.from_lengths(lengths), SCALE)[0]


def tensors(lengths, heads=(4, 2), head_dim=8, dtype=torch.float64, seed=0):
    """Query, key, value and the output's gradient."""
    torch.manual_seed(seed)
    length = sum(map(sum, lengths))
    shapes = ((heads[0], head_dim), (heads[1], head_dim), (heads[1], head_dim), (heads[0], head_dim))
    return [torch.randn(length, *shape, dtype=dtype) for shape in shapes]


def output_and_gradients(attention, inputs, *args):
    *leaves, grad = (tensor.detach() for tensor in inputs)
    leaves = [leaf.requires_grad_() for leaf in leaves]
    out = attention(*leaves, *args)
    return [out.detach(), *torch.autograd.grad(out, leaves, grad)]


def difference(ours, theirs):
    """The largest, relative to the largest number: of the output, and of the gradients of query, key and value."""
    return [((a.double() - b.double()).abs().max() / b.abs().max()).item() for a, b in zip(ours, theirs, strict=True)]


@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (6, 1)])
@pytest.mark.parametrize("attention", [merged, concatenated])
def test_equal_to_a_masked_softmax(attention, heads):
    for seed in range(8):
        lengths = random_lengths(seed)
        inputs = tensors(lengths, heads, seed=seed)
        exact = output_and_gradients(masked_softmax, inputs, lengths)
        assert max(difference(output_and_gradients(attention, inputs, lengths), exact)) < 1e-13
        inputs = [tensor.float() for tensor in inputs]
        assert max(difference(output_and_gradients(attention, inputs, lengths), exact)) < 2e-6


def test_half_precision_is_as_near_as_an_attention_of_one_part():
    lengths = [[40, 9, 1, 30]]
    inputs = [tensor.bfloat16() for tensor in tensors(lengths)]
    exact = output_and_gradients(masked_softmax, [tensor.double() for tensor in inputs], lengths)
    ours = difference(output_and_gradients(merged, inputs, lengths), exact)
    one_part = difference(output_and_gradients(concatenated, inputs, lengths), exact)
    assert max(one_part) < 0.02
    assert all(a < 1.5 * b for a, b in zip(ours, one_part))


def test_gradcheck():
    inputs = [tensor.requires_grad_() for tensor in tensors([[2], [3, 1, 2]], heads=(2, 1), head_dim=2)[:3]]
    assert torch.autograd.gradcheck(lambda *leaves: merged(*leaves, [[2], [3, 1, 2]]), inputs)


def test_a_document_with_one_branch_is_a_sample():
    inputs = tensors([[9]])
    one, whole = (output_and_gradients(merged, inputs, lengths) for lengths in ([[5, 4]], [[9]]))
    assert max(difference(one, whole)) < 1e-13


def test_a_sibling_changes_nothing_and_gets_nothing():
    *inputs, grad = tensors(LENGTHS)
    first, second = slice(12, 15), slice(15, 16)
    grad = torch.zeros_like(grad).index_copy_(0, torch.arange(12, 15), grad[first])  # a loss on the first branch alone
    before = output_and_gradients(merged, [*inputs, grad], LENGTHS)
    for tensor in inputs:
        tensor[second] = 100 * torch.randn_like(tensor[second])
    after = output_and_gradients(merged, [*inputs, grad], LENGTHS)
    assert torch.equal(before[0][first], after[0][first])
    assert not torch.equal(before[0][second], after[0][second])
    for was, now in zip(before[1:], after[1:]):
        assert torch.equal(was, now)
        assert now[first].any()
        assert not now[:5].any()
        assert not now[15:].any()
    assert all(gradient[5:12].any() for gradient in after[2:])  # the document's keys and values


class OwnLogSumExp(CpuKernel):
    """Each call's backward pass with that call's own log-sum-exp and output, as if it had been alone."""

    def __init__(self):
        self.own = []

    def forward(self, *args):
        out, lse = super().forward(*args)
        self.own.append((out.clone(), lse.clone()))
        return out, lse

    def backward(self, grad, query, key, value, out, lse, *args):
        return super().backward(grad, query, key, value, *self.own.pop(0), *args)


def test_broken_backward():
    inputs = tensors(LENGTHS)
    exact = output_and_gradients(masked_softmax, inputs, LENGTHS)
    broken = difference(output_and_gradients(merged, inputs, LENGTHS, OwnLogSumExp()), exact)
    assert broken[0] < 1e-13
    assert min(broken[1:]) > 0.01


def test_broken_merge(monkeypatch):
    inputs = tensors(LENGTHS)
    exact = output_and_gradients(masked_softmax, inputs, LENGTHS)
    monkeypatch.setattr(merged_attention, "_weighted", lambda out, log_weight: out / 2)  # a mean, whatever they weigh
    broken = difference(output_and_gradients(merged, inputs, LENGTHS), exact)
    assert min(broken[:3]) > 0.01  # the gradient of the values does not depend on the output


def test_broken_runs(monkeypatch):
    inputs = tensors(LENGTHS)
    exact = output_and_gradients(masked_softmax, inputs, LENGTHS)
    # A branch of the second document sees the first document
    monkeypatch.setattr(
        merged_attention, "_across", lambda layout: (Bounds.from_lengths([9, 3]), Bounds.from_lengths([7, 4]))
    )
    assert min(difference(output_and_gradients(merged, inputs, LENGTHS), exact)) > 0.01


@pytest.mark.parametrize("attention", [merged, concatenated])
@pytest.mark.parametrize(
    "wrong",
    [
        [[5], [7], [3], [1], [4], [1], [4, 2, 2]],  # branches that are blind to their document
        [[5], [7, 4, 4], [1], [4, 2, 2]],  # one that sees its sibling
        [[5], [7, 3, 1, 4, 1], [4, 2, 2]],  # a sample that is taken for a branch
    ],
)
def test_broken_layouts(attention, wrong):
    inputs = tensors(LENGTHS)
    exact = output_and_gradients(masked_softmax, inputs, LENGTHS)
    assert min(difference(output_and_gradients(attention, inputs, wrong), exact)) > 0.01


class Made(torch.utils._python_dispatch.TorchDispatchMode):
    """Elements of every tensor that is made, views apart."""

    def __enter__(self):
        self.sizes = []
        return super().__enter__()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if not function.is_view:
            made = out if isinstance(out, tuple | list) else (out,)
            self.sizes += [tensor.numel() for tensor in made if isinstance(tensor, torch.Tensor)]
        return out


@pytest.mark.parametrize("documents", [1, 2])
def test_keys_of_a_document_are_never_copied_for_each_branch(documents):
    lengths = [[2048, *[8] * 64]] * documents
    inputs = tensors(lengths, heads=(2, 2), dtype=torch.float32)
    size, copies = inputs[0].numel(), 64 * 2048 * documents * 2 * 8  # of the queries; of one copy of the keys a branch
    with Made() as made:
        output_and_gradients(merged, inputs, lengths)
    assert max(made.sizes) == size
    assert sum(made.sizes) < 32 * size < copies
    kept = []  # the guard: this is what joining keys and values costs, to be kept for the backward pass alone

    def keep(tensor):
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output_and_gradients(concatenated, inputs, lengths)
    assert sum(kept) > 2 * copies


@pytest.mark.parametrize("kernel", [FlashKernel(), CudnnKernel()])
def test_kernels_call_what_torch_declares(kernel):
    # On the meta device nothing is computed: the calls bind, and the shapes are those that the merge counts on.
    inputs = [tensor.to("meta", torch.bfloat16) for tensor in tensors(LENGTHS)]
    out, *grads = output_and_gradients(merged, inputs, LENGTHS, kernel)
    assert [tensor.shape for tensor in (out, *grads)] == [inputs[i].shape for i in (0, 0, 1, 2)]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (6, 1)])
@pytest.mark.parametrize("kernel", [FlashKernel(), CudnnKernel()])
def test_gpu_kernels_equal_a_masked_softmax(kernel, heads, dtype):
    for seed in range(8):
        lengths = random_lengths(seed)
        inputs = [tensor.to("cuda", dtype) for tensor in tensors(lengths, heads, head_dim=64, seed=seed)]
        exact = output_and_gradients(masked_softmax, [tensor.double() for tensor in inputs], lengths)
        assert max(difference(output_and_gradients(merged, inputs, lengths, kernel), exact)) < 0.02
    inputs = [tensor.to("cuda", dtype) for tensor in tensors(LENGTHS, heads, head_dim=64)]
    exact = output_and_gradients(masked_softmax, [tensor.double() for tensor in inputs], LENGTHS)
    wrong = [[5], [7, 4, 4], [1], [4, 2, 2]]  # the guard: the tolerance would not hide a branch that sees its sibling
    assert min(difference(output_and_gradients(merged, inputs, wrong, kernel), exact)) > 0.04


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_concatenated_attention_on_a_gpu():
    inputs = [tensor.cuda().float() for tensor in tensors(LENGTHS)]
    exact = output_and_gradients(masked_softmax, [tensor.double() for tensor in inputs], LENGTHS)
    assert max(difference(output_and_gradients(concatenated, inputs, LENGTHS), exact)) < 1e-5
