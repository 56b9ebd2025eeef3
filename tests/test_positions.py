import pytest
import tiny
import torch

from mmprolong_hf.collator import PackCollator
from mmprolong_hf.positions import mrope_position_ids


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_equal_to_the_models_own_positions(family):
    model, processor = tiny.model(family), tiny.processor(family)
    for sample in tiny.samples(processor):
        ours = mrope_position_ids(
            sample["mm_token_type_ids"], sample.get("image_grid_thw", torch.zeros(0, 3, dtype=torch.int64))
        )
        theirs, _ = model.model.get_rope_index(
            sample["input_ids"][None],
            mm_token_type_ids=sample["mm_token_type_ids"][None],
            image_grid_thw=sample.get("image_grid_thw"),
        )
        assert torch.equal(ours, theirs[:, 0])


def test_a_text_only_sample_has_equal_rows():
    positions = mrope_position_ids(torch.zeros(5), torch.zeros(0, 3, dtype=torch.int64))
    assert torch.equal(positions, torch.arange(5).expand(3, -1))


@pytest.mark.parametrize(
    ("types", "grid", "message"),
    [
        ([0, 1, 0, 1], [[1, 2, 2]], "2 runs of image tokens but 1 image grids"),
        ([0, 1, 0], [[1, 4, 2]], "grid of 2 x 1 tokens, but fewer image tokens"),
        ([0, 1, 1, 0], [[1, 2, 2]], "more image tokens than the image grids"),
        ([0, 1, 1, 0], [[2, 2, 2]], "2 frames; page images have one"),
    ],
)
def test_images_and_grids_that_do_not_match(types, grid, message):
    with pytest.raises(ValueError, match=message):
        mrope_position_ids(torch.tensor(types), torch.tensor(grid))


def test_the_text_row_restarts_in_every_sample():
    samples = tiny.samples(tiny.processor())
    pack = PackCollator()(samples)
    expected = torch.cat([torch.arange(len(sample["input_ids"])) for sample in samples])
    assert pack["position_ids"].shape == (4, 1, len(expected))
    assert torch.equal(pack["position_ids"][0, 0], expected)
