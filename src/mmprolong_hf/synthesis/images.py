"""Page images: how large they are, what stands where on them, and how they are encoded."""

import io
import math
from collections.abc import Callable, Sequence

from PIL import Image

from ..lengths import MAX_ASPECT_RATIO
from .elements import Box
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


def placer(points: tuple[float, float], rotation: Sequence[float] | None = None) -> Callable[[tuple], Box]:
    """
    From MuPDF's boxes, which are those of the unrotated page in points, to fractions of the image, which is rotated.

    Args:
        points (`tuple[float, float]`): Width and height of the page in points, as rotated.
        rotation (`Sequence[float]`, *optional*): The six numbers of the page's rotation matrix, if it is rotated.

    Example:

    ```python
    >>> placer((600.0, 800.0))((60.0, 80.0, 300.0, 900.0))  # what reaches over the edge is cut there
    (0.1, 0.1, 0.5, 1.0)
    >>> placer((800.0, 600.0), (0, 1, -1, 0, 800, 0))((60.0, 80.0, 300.0, 160.0))  # a page of 600 x 800 turned clockwise
    (0.8, 0.1, 0.9, 0.5)

    ```
    """
    width, height = points

    def place(box) -> Box:
        x0, y0, x1, y1 = box
        if rotation:
            a, b, c, d, e, f = rotation
            x0, y0, x1, y1 = a * x0 + c * y0 + e, b * x0 + d * y0 + f, a * x1 + c * y1 + e, b * x1 + d * y1 + f
            x0, x1 = (x1, x0) if x1 < x0 else (x0, x1)
            y0, y1 = (y1, y0) if y1 < y0 else (y0, y1)
        return _inside(x0 / width), _inside(y0 / height), _inside(x1 / width), _inside(y1 / height)

    return place


def _inside(part: float) -> float:
    part = round(part, 5)
    return 0.0 if part < 0.0 else 1.0 if part > 1.0 else part


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
