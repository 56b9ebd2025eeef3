"""images.py: pages of every mode are to the models what their processors make of them."""

from io import BytesIO

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from transformers.image_transforms import convert_to_rgb

from mmprolong_hf.encoding import encode_page
from mmprolong_hf.images import rgb
from mmprolong_hf.pixels import PixelTable


def pages():
    """A drawn page in every mode that a file can hold, also with transparency."""
    page = tiny.page(0, 84, 112)
    clear = page.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(page.size))
    black = Image.new("RGBA", page.size, (0, 0, 0, 0))
    modes = {mode: page.convert(mode) for mode in ("RGB", "L", "1", "P", "CMYK", "YCbCr", "LAB", "I", "F")}
    modes |= {"RGBA": clear, "LA": clear.convert("LA"), "clear black": black}
    for name, options in {"tRNS of a palette": 3, "tRNS of RGB": page.getpixel((5, 5))}.items():
        buffer = BytesIO()
        image = page.quantize(16) if "palette" in name else page
        image.save(buffer, "PNG", transparency=options)
        modes[name] = Image.open(BytesIO(buffer.getvalue()))
    return modes


@pytest.mark.parametrize("name", pages())
def test_a_page_is_what_the_processor_makes_of_it(name):
    page, processor = pages()[name], tiny.processor()
    assert np.array_equal(np.asarray(rgb(page)), convert_to_rgb(page, return_numpy=True))
    theirs = processor.image_processor(images=[page], return_tensors="pt")["pixel_values"]
    assert torch.equal(encode_page(processor, page)["pixel_values"], theirs)
    table = PixelTable.of(processor.image_processor)
    assert torch.equal(table.patches(encode_page(processor, page, uint8=True)["pixel_values"], torch.float32), theirs)


def test_pillow_alone_would_show_what_is_transparent():
    black = pages()["clear black"]
    assert np.asarray(black.convert("RGB")).max() == 0
    assert np.asarray(rgb(black)).min() == 255
