import pytest
import tiny
import torch

from mmprolong_hf.encoding import encode_page
from mmprolong_hf.vision_attention import SEGMENT_ATTENTION, Segments, group_segments, segment_attention, tower_inputs

SIZES = ((60, 90), (300, 200), (97, 113), (250, 250), (300, 200), (28, 28), (134, 182))


def mixed_pages(family):
    """`pixel_values` and `image_grid_thw` of pages of mixed sizes, two of which are equal."""
    processor = tiny.processor(family, max_pixels=28 * 28 * 80)
    pages = [encode_page(processor, tiny.page(seed, *size)) for seed, size in enumerate(SIZES)]
    return tuple(torch.cat([page[name] for page in pages]) for name in ("pixel_values", "image_grid_thw"))


def features_and_gradients(tower, pixels, grids, **inputs):
    output = tower(pixels, grid_thw=grids, return_dict=True, **inputs)
    kinds = [output.pooler_output, *output.get("deepstack_features", [])]
    tower.zero_grad()
    sum(kind.sin().sum() for kind in kinds).backward()
    return [kind.detach() for kind in kinds] + [weight.grad.clone() for weight in tower.parameters()]


def error(ours, theirs):
    return max(((a - b).norm() / b.norm()).item() for a, b in zip(ours, theirs, strict=True))


def both(family, change=lambda inputs: inputs):
    """The plain tower's features and gradients, and those of one that attends by segments."""
    pixels, grids = mixed_pages(family)
    towers = [tiny.model(family).model.visual for _ in range(2)]
    group_segments(towers[1])
    assert towers[1].config._attn_implementation == SEGMENT_ATTENTION
    inputs = change(tower_inputs(towers[1], tuple(map(tuple, grids.tolist())), pixels.device))
    return features_and_gradients(towers[1], pixels, None, **inputs), features_and_gradients(towers[0], pixels, grids)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_features_and_gradients_are_those_of_the_plain_tower(family):
    assert error(*both(family)) < 1e-6


def test_all_kinds_of_windows_are_seen():
    tower = tiny.model().model.visual
    group_segments(tower)
    grids = tuple(map(tuple, mixed_pages("qwen2_5_vl")[1].tolist()))
    inputs = tower_inputs(tower, grids, torch.device("cpu"))
    windows, images = inputs["cu_window_seqlens"], inputs["cu_seqlens"]
    assert {length for _, length in windows.groups} == {4, 8, 16}  # whole windows, those of an edge and of a corner
    assert windows.order is None
    assert images.order is not None
    assert sum(number for number, _ in images.groups) == len(grids) > len(images.groups)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_windows_that_are_mixed_up_are_seen(family):
    def mix(inputs):
        segments = inputs["cu_seqlens"]
        return inputs | {"cu_seqlens": Segments(segments.groups, segments.order.roll(1))}

    assert error(*both(family, mix)) > 1e-3


def test_attention_is_called_once_for_a_length(monkeypatch):
    calls, original = [], torch.nn.functional.scaled_dot_product_attention

    def counted(query, *args, **kwargs):
        calls.append(tuple(query.shape))
        return original(query, *args, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", counted)
    segments = Segments.of(torch.tensor([0, 0, 1, 1, 1, 2, 2]))
    query = torch.randn(1, 2, 7, 8)
    segment_attention(torch.nn.Identity(), query, query, query, None, segments)
    assert calls == [(2, 2, 2, 8), (1, 2, 3, 8)]


def test_bounds_stay_bounds_for_flash_attention():
    tower, (_, grids) = tiny.model().model.visual, mixed_pages("qwen2_5_vl")
    tower.config._attn_implementation = "flash_attention_2"
    group_segments(tower)
    assert tower.config._attn_implementation == "flash_attention_2"
    inputs = tower_inputs(tower, tuple(map(tuple, grids.tolist())), torch.device("cpu"))
    assert inputs["cu_seqlens"].tolist() == [0, *grids.prod(-1).cumsum(0).tolist()]
    assert inputs["max_seqlen"] == grids.prod(-1).max()
    assert inputs["max_window_seqlen"] == 16
    assert inputs["cu_window_seqlens"][-1] == grids.prod(-1).sum()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_features_and_gradients_on_a_gpu(family):
    pixels, grids = (tensor.cuda() for tensor in mixed_pages(family))
    towers = [tiny.model(family).model.visual.cuda() for _ in range(2)]
    group_segments(towers[1])
    inputs = tower_inputs(towers[1], tuple(map(tuple, grids.tolist())), pixels.device)
    ours = features_and_gradients(towers[1], pixels, None, **inputs)
    assert error(ours, features_and_gradients(towers[0], pixels, grids)) < 1e-5
