"""Sizes and encoding of page images."""

import io

import pytest
from PIL import Image

from mmprolong_hf.synthesis.images import IMAGE_FORMATS, encode_image, image_size
from mmprolong_hf.synthesis.rejected import RejectedDocument


@pytest.mark.parametrize("points", [(9000.0, 9000.0), (9000.0, 72.0), (7200.0, 10.0), (0.0, 72.0)])
def test_image_size_limits(points):
    with pytest.raises(RejectedDocument, match="page_too_large: page 1 would be"):
        image_size(points, dpi=144, max_pixels=40_000_000)


@pytest.mark.parametrize("image_format", IMAGE_FORMATS)
def test_a_fourth_byte_says_nothing(image_format):
    colours = [(10, 20, 30), (200, 100, 0), (255, 255, 255), (0, 0, 0)] * 64
    data, more = (bytes(v for colour in colours for v in (*colour, x)) for x in (0, 255))
    rgb = Image.frombytes("RGB", (16, 16), bytes(v for colour in colours for v in colour))
    first, second = (Image.frombuffer("RGBX", (16, 16), d, "raw", "RGBX", 0, 1) for d in (data, more))
    assert encode_image(first, image_format) == encode_image(second, image_format) == encode_image(rgb, image_format)


@pytest.mark.parametrize(("image_format", "is_lossless"), [("jpeg", False), ("png", True), ("webp", True)])
def test_which_formats_are_lossless(image_format, is_lossless):
    noise = Image.effect_noise((32, 32), 80).convert("RGB")
    decoded = Image.open(io.BytesIO(encode_image(noise, image_format)))
    assert (decoded.tobytes() == noise.tobytes()) is is_lossless
