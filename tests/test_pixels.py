from itertools import accumulate

import pytest
import tiny
import torch
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from mmprolong_hf.encoding import encode_document, encode_page
from mmprolong_hf.pixels import PixelTable, uint8_page

SIZES = ((60, 90), (400, 130), (33, 300), (112, 112))  # enlarged, reduced, odd, already a fit


def image_processor(patch_size):
    """With numbers as Qwen3-VL's processor has them (0.5), or OpenAI's CLIP for Qwen2.5-VL."""
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3} if patch_size == 16 else {}
    return Qwen2VLImageProcessorPil(patch_size=patch_size, min_pixels=28 * 28, max_pixels=28 * 28 * 16, **half)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("patch_size", [14, 16])
def test_numbers_are_the_processors_to_the_bit(patch_size, size):
    images, page = image_processor(patch_size), tiny.page(3, *size)
    made = uint8_page(images, page)
    expected = images(images=[page], return_tensors="pt")
    assert made["pixel_values"].dtype == torch.uint8
    assert torch.equal(made["image_grid_thw"], expected["image_grid_thw"])
    table = PixelTable.of(images)
    for dtype in (torch.float32, torch.bfloat16):
        assert torch.equal(table.patches(made["pixel_values"], dtype), expected["pixel_values"].to(dtype))
    assert made["pixel_values"].nbytes * 8 == expected["pixel_values"].nbytes


def test_the_table_holds_what_rescaling_and_normalizing_make_of_a_value():
    images = image_processor(14)
    table = PixelTable.of(images).numbers
    for channel, value in ((0, 0), (1, 255), (2, 77)):
        expected = (value / 255 - images.image_mean[channel]) / images.image_std[channel]
        assert table[channel, value].item() == pytest.approx(expected, rel=1e-5)
    assert (table.diff(dim=1) > 0).all()


def test_many_patches_need_little_beside_the_result():
    table = PixelTable(torch.rand(3, 256), num_frames=2)
    pixels = torch.randint(256, (50_000, 48), dtype=torch.uint8)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        made = table.patches(pixels, torch.float32)
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    assert max(accumulate(event.nbytes() for event in events)) < 1.2 * made.nbytes
    channels = [
        table.numbers[channel][own.long()] for channel, own in enumerate(pixels.unflatten(1, (3, 16)).unbind(1))
    ]
    assert torch.equal(made, torch.stack(channels, 1)[:, :, None].expand(-1, -1, 2, -1).flatten(1))


def test_another_processors_table_is_seen():
    page = tiny.page(3)
    ours = PixelTable.of(image_processor(16)).patches(
        uint8_page(image_processor(14), page)["pixel_values"], torch.float32
    )
    assert not torch.allclose(ours, image_processor(14)(images=[page], return_tensors="pt")["pixel_values"], atol=0.1)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_encoding_keeps_pages_as_uint8_where_asked(family):
    processor, page = tiny.processor(family), tiny.page(1)
    assert encode_page(processor, page)["pixel_values"].dtype == torch.float32
    document = encode_document(processor, [page, page], [1, 2], uint8=True)
    plain = encode_document(processor, [page, page], [1, 2])
    assert document["pixel_values"].dtype == torch.uint8
    assert torch.equal(document["input_ids"], plain["input_ids"])
    assert torch.equal(document["image_grid_thw"], plain["image_grid_thw"])
    table = PixelTable.of(processor.image_processor)
    assert torch.equal(table.patches(document["pixel_values"], torch.float32), plain["pixel_values"])
