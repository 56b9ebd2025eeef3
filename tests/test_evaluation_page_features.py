"""page_features.py: what is kept is what the vision tower makes of all pages together, within its bound."""

from io import BytesIO

import pytest
import tiny
import torch

from mmprolong_hf.evaluation.page_features import PageFeatures
from mmprolong_hf.evaluation.requests import PageImage


def page(seed: int) -> PageImage:
    buffer = BytesIO()
    tiny.page(seed, 84 + 28 * (seed % 3), 112).save(buffer, "PNG")
    return PageImage(buffer.getvalue())


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_pages_alone_have_the_features_of_pages_together(family):
    model, processor, pages = tiny.model(family), tiny.processor(family), [page(seed) for seed in range(4)]
    inputs = processor.image_processor(images=[page.open() for page in pages], return_tensors="pt")
    with torch.no_grad():
        together = model.model.get_image_features(**inputs, return_dict=True)
    features = PageFeatures(model, processor, 1 << 20)
    assert [features.grid(page) for page in pages] == [tuple(grid) for grid in inputs["image_grid_thw"].tolist()]
    sizes = [len(own) for own in together.pooler_output]
    for start, stop in ((0, sum(sizes)), (3, 5), (sizes[0], sizes[0] + 1), (5, sum(sizes) - 5)):
        rows = features.rows(pages, sizes, start, stop)
        torch.testing.assert_close(torch.cat(rows.pooler_output), torch.cat(together.pooler_output)[start:stop])
        layers = together.get("deepstack_features", [])
        assert len(rows.deepstack_features) == len(layers) == (family == "qwen3_vl")
        for ours, theirs in zip(rows.deepstack_features, layers):
            torch.testing.assert_close(torch.cat(ours), torch.cat(theirs)[start:stop])


def test_the_pages_used_last_are_kept_within_the_bound():
    model, pages = tiny.model(), [page(seed) for seed in (0, 3, 6)]  # of one size
    seen = []
    model.model.visual.register_forward_hook(lambda *_: seen.append(1))
    features = PageFeatures(model, tiny.processor(), 0)
    size = sum(tensor.nbytes for tensor in features.of(pages[0]))
    features = PageFeatures(model, tiny.processor(), 2 * size)
    seen.clear()
    for index in (0, 1, 0, 2, 0):  # 1 goes for 2, as 0 was used after it
        features.of(pages[index])
    assert len(seen) == 3
    assert features.kept_bytes == 2 * size
    features.of(pages[1])
    assert len(seen) == 4
