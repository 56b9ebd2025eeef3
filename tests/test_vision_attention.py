import pytest
import tiny
import torch
from transformers import AttentionInterface, vision_utils

from mmprolong_hf import vision_attention
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


GRIDS = (
    (1, 8, 12),
    (1, 20, 14),
    (1, 8, 12),
    (2, 6, 10),
    (1, 14, 20),
    (1, 8, 8),
)  # equal, turned, of two frames, whole windows


def theirs(family, tower, grids):
    """What a tower reckons itself."""
    grids, merge = torch.tensor(grids), tower.spatial_merge_size
    inputs = {
        "position_ids": vision_utils.get_vision_position_ids(grids, merge),
        "cu_seqlens": vision_utils.get_vision_cu_seqlens(grids),
    }
    if family == "qwen2_5_vl":
        names = ("window_index", "cu_window_seqlens")
        found = vision_utils.get_vision_window_index(grids, merge, tower.window_size, tower.patch_size)
    else:
        names = ("interp_indices", "interp_weights")
        mode, align = tower.interpolation_mode, tower.interpolation_align_corners
        side = tower.num_grid_per_side
        found = vision_utils.get_vision_interpolation_indices_and_weights(grids, side, mode, align, merge)
    return inputs | dict(zip(names, found))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_assembled_inputs_are_transformers_own(family):
    tower = tiny.model(family).model.visual
    tower.config._attn_implementation = "flash_attention_2"
    ours = tower_inputs(tower, GRIDS, torch.device("cpu"))
    expected = theirs(family, tower, GRIDS)
    assert {name for name in ours if not name.startswith("max_")} == set(expected)
    for name, tensor in expected.items():
        torch.testing.assert_close(ours[name], tensor, rtol=0, atol=0)
        kind = name.removeprefix("cu_")
        assert kind == name or ours[f"max_{kind.removesuffix('s')}"] == tensor.diff().max()
    assert not torch.equal(tower_inputs(tower, GRIDS[::-1], torch.device("cpu"))["position_ids"], ours["position_ids"])


def patches_of(segments, patch_of_row):
    """The patches of every segment."""
    rows = patch_of_row if segments.order is None else patch_of_row[segments.order]
    lengths = [length for number, length in segments.groups for _ in range(number)]
    return {frozenset(part.tolist()) for part in rows.split(lengths)}


def patches_between(bounds, patch_of_row):
    return {frozenset(part.tolist()) for part in patch_of_row.split(bounds.diff().tolist())}


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_segments_hold_the_patches_that_transformers_windows_and_images_hold(family):
    tower = tiny.model(family).model.visual
    group_segments(tower)
    ours, expected = tower_inputs(tower, GRIDS, torch.device("cpu")), theirs(family, tower, GRIDS)
    num_patches = len(expected["position_ids"])
    rows, their_rows = ours.get("window_index"), expected.get("window_index")
    if rows is None:
        rows = their_rows = torch.arange(num_patches)
    else:
        rows, their_rows = (
            torch.arange(num_patches).unflatten(0, (-1, 4))[index].flatten() for index in (rows, their_rows)
        )
    for kind in {name.removeprefix("cu_") for name in ours if name.startswith("cu_")}:
        found = patches_of(ours[f"cu_{kind}"], rows)
        assert found == patches_between(expected[f"cu_{kind}"], their_rows)
        assert found != patches_of(ours[f"cu_{kind}"], rows.roll(1))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_size_is_reckoned_once(family, monkeypatch):
    tower, calls = tiny.model(family).model.visual, []
    reckon = vision_attention.get_vision_position_ids
    monkeypatch.setattr(vision_attention, "get_vision_position_ids", lambda *args: calls.append(1) or reckon(*args))
    for pages in (30, 70):
        tower_inputs(tower, ((1, 86, 2), (1, 88, 2)) * pages, torch.device("cpu"))
    assert len(calls) <= 2


def test_transformers_decides_by_the_name_who_gets_the_whole_row(monkeypatch):
    def attend(module, query, *args, **kwargs):
        calls.append(query.shape[2])
        return query.transpose(1, 2), None

    pixels, grids = mixed_pages("qwen2_5_vl")
    whole = {}
    for name in ("of_a_flash", "of_a_lash"):
        monkeypatch.setitem(AttentionInterface._global_mapping, name, attend)
        tower, calls = tiny.model().model.visual, []
        tower.config._attn_implementation = name
        tower(pixels, grid_thw=grids)
        whole[name] = all(length == len(pixels) for length in calls)
    assert whole == {"of_a_flash": True, "of_a_lash": False}
    assert "flash" in SEGMENT_ATTENTION


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
    segments = Segments.of([[(0, 2)], [(2, 5)], [(5, 7)]])
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
