"""Page images: how large they are, and how they are encoded."""

import io
import math

from PIL import Image

from ..lengths import MAX_ASPECT_RATIO
from .rejected import RejectedDocument

POINTS_PER_INCH = 72
MAX_SIDE = 16_384  # pixels; JPEG itself ends at 65,535
JPEG_QUALITY = 85
# PNG and WebP are lossless and cost five and fifteen times as much to write as JPEG
_SAVE_OPTIONS = {"jpeg": {"quality": JPEG_QUALITY}, "png": {}, "webp": {"lossless": True}}
IMAGE_FORMATS = tuple(_SAVE_OPTIONS)


def to_pixels(points: tuple[float, float], dpi: int) -> tuple[int, int]:
    """
    Width and height in pixels as MuPDF rounds them: outwards, forgiving a thousandth.

    Args:
        points (`tuple[float, float]`): Width and height in points.
        dpi (`int`): Pixels per inch.

    Example:

    ```python
    >>> to_pixels((595.276, 612.0001), 144)
    (1191, 1224)

    ```
    """
    width, height = (math.ceil(p * dpi / POINTS_PER_INCH - 1e-3) for p in points)
    return width, height


def image_size(points: tuple[float, float], *, dpi: int, max_pixels: int, number: int = 1) -> tuple[int, int]:
    """
    Pixels of a page before it is rendered, so that a page of 20 m never asks for memory.

    Args:
        points (`tuple[float, float]`): Width and height in points.
        dpi (`int`): Pixels per inch.
        max_pixels (`int`): More are rejected.
        number (`int`, *optional*, defaults to `1`): The page, for the message.

    Raises:
        RejectedDocument: page_too_large.

    Example:

    ```python
    >>> image_size((612.0, 792.0), dpi=144, max_pixels=40_000_000)
    (1224, 1584)
    >>> image_size((56693.0, 792.0), dpi=144, max_pixels=40_000_000, number=3)
    Traceback (most recent call last):
    ...
    mmprolong_hf.synthesis.rejected.RejectedDocument: page_too_large: page 3 would be 113386 x 1584 pixels at 144 dpi; expected at most 40000000 pixels, 16384 on a side and 200:1

    ```
    """
    width, height = to_pixels(points, dpi)
    if (
        min(width, height) < 1
        or width * height > max_pixels
        or max(width, height) > MAX_SIDE
        or max(width, height) > MAX_ASPECT_RATIO * min(width, height)
    ):
        raise RejectedDocument(
            "page_too_large",
            f"page {number} would be {width} x {height} pixels at {dpi} dpi; expected at most {max_pixels} pixels, "
            f"{MAX_SIDE} on a side and {MAX_ASPECT_RATIO}:1",
        )
    return width, height


def encode_image(image: Image.Image, image_format: str) -> bytes:
    """
    A rendered page as the bytes of an image file.

    Args:
        image (`PIL.Image.Image`): In mode RGB, or RGBX, whose fourth byte says nothing.
        image_format (`str`): One of `IMAGE_FORMATS`.

    Raises:
        ValueError: for an unknown format.

    Example:

    ```python
    >>> encode_image(Image.new("RGB", (4, 4), "white"), "png")[1:4]
    b'PNG'
    >>> encode_image(Image.new("RGB", (4, 4), "white"), "gif")
    Traceback (most recent call last):
    ...
    ValueError: image_format is 'gif', expected one of jpeg, png, webp

    ```
    """
    if image_format not in _SAVE_OPTIONS:
        raise ValueError(f"image_format is {image_format!r}, expected one of {', '.join(IMAGE_FORMATS)}")
    if image_format != "jpeg" and image.mode == "RGBX":  # the JPEG writer skips the fourth byte by itself
        image = image.convert("RGB")
    encoded = io.BytesIO()
    image.save(encoded, image_format, **_SAVE_OPTIONS[image_format])
    return encoded.getvalue()
