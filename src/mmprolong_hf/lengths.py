"""How many tokens and M-RoPE positions a page or a sample takes, from sizes alone: no image is opened, no processor called."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

MAX_ASPECT_RATIO = 200  # the processors refuse anything beyond
NUM_IMAGE_MARKERS = 2  # <|vision_start|> and <|vision_end|> stand around every image


@dataclass(frozen=True)
class ImageLimits:
    """
    The numbers of an image processor that decide how many tokens an image becomes.

    Args:
        patch_size (`int`, *optional*, defaults to `14`): Side of a vision patch in pixels (Qwen2.5-VL 14, Qwen3-VL 16).
        merge_size (`int`, *optional*, defaults to `2`): Patches along each side that are merged into one token.
        min_pixels (`int`, *optional*, defaults to `3136`): A smaller image is enlarged to this area.
        max_pixels (`int`, *optional*, defaults to `12845056`): A larger image is reduced to this area.

    Raises:
        ValueError: if a number is below 1 or `min_pixels` is above `max_pixels`.

    Example:

    ```python
    >>> ImageLimits().factor, ImageLimits(patch_size=16).factor
    (28, 32)
    >>> ImageLimits(min_pixels=5000, max_pixels=4000)
    Traceback (most recent call last):
    ...
    ValueError: min_pixels is 5000 and max_pixels 4000, expected min_pixels <= max_pixels

    ```
    """

    patch_size: int = 14
    merge_size: int = 2
    min_pixels: int = 3136
    max_pixels: int = 12845056

    def __post_init__(self):
        for name in ("patch_size", "merge_size", "min_pixels"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1")
        if self.min_pixels > self.max_pixels:
            raise ValueError(
                f"min_pixels is {self.min_pixels} and max_pixels {self.max_pixels}, expected min_pixels <= max_pixels"
            )

    @property
    def factor(self) -> int:
        """Side in pixels of the square that one token covers."""
        return self.patch_size * self.merge_size


# What the preprocessor configs of the published checkpoints say. The image processor class on its own stops at
# 1,003,520 pixels (1,280 tokens a page), so limits have to come from a checkpoint and never from the class.
QWEN2_5_VL_LIMITS = ImageLimits()
QWEN3_VL_LIMITS = ImageLimits(patch_size=16, min_pixels=65536, max_pixels=16777216)


def smart_resize(height: int, width: int, *, factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """
    The size to which the Qwen-VL processors resize an image: multiples of `factor`, area within the limits.

    Same function as `smart_resize` in transformers' `qwen2_vl` image processor, written without it so that planning
    needs no torch. Halves are rounded to even, as Python's `round` does.

    Args:
        height (`int`): Height of the image in pixels.
        width (`int`): Width of the image in pixels.
        factor (`int`): Side in pixels of the square that one token covers.
        min_pixels (`int`): Smallest area after resizing.
        max_pixels (`int`): Largest area after resizing.

    Returns:
        `tuple[int, int]`: (height, width) in pixels.

    Raises:
        ValueError: if a side is below one pixel or one side is more than 200 times the other.

    Example:

    ```python
    >>> smart_resize(1584, 1224, factor=28, min_pixels=3136, max_pixels=12845056)  # US Letter at 144 dpi
    (1596, 1232)
    >>> smart_resize(1, 201, factor=28, min_pixels=3136, max_pixels=12845056)
    Traceback (most recent call last):
    ...
    ValueError: image is 201 x 1 pixels, expected an aspect ratio of at most 200; leave the page out

    ```
    """
    if min(height, width) < 1:
        raise ValueError(f"image is {width} x {height} pixels, expected at least 1 x 1")
    if max(height, width) / min(height, width) > MAX_ASPECT_RATIO:
        raise ValueError(
            f"image is {width} x {height} pixels, expected an aspect ratio of at most {MAX_ASPECT_RATIO}; "
            "leave the page out"
        )
    new_height, new_width = round(height / factor) * factor, round(width / factor) * factor
    if new_height * new_width > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        new_height = max(factor, math.floor(height / shrink / factor) * factor)
        new_width = max(factor, math.floor(width / shrink / factor) * factor)
    elif new_height * new_width < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        new_height = math.ceil(height * grow / factor) * factor
        new_width = math.ceil(width * grow / factor) * factor
    return new_height, new_width


def page_grid(width: int, height: int, limits: ImageLimits = QWEN2_5_VL_LIMITS) -> tuple[int, int]:
    """
    Rows and columns of tokens that a page image becomes.

    Args:
        width (`int`): Width of the rendered page in pixels.
        height (`int`): Height of the rendered page in pixels.
        limits (`ImageLimits`, *optional*): The processor's limits; Qwen2.5-VL's if not given.

    Returns:
        `tuple[int, int]`: (rows, columns) after merging, so the page takes rows * columns tokens.

    Raises:
        ValueError: as `smart_resize`.

    Example:

    ```python
    >>> page_grid(1224, 1584)
    (57, 44)
    >>> page_grid(1224, 1584, QWEN3_VL_LIMITS)
    (50, 38)

    ```
    """
    new_height, new_width = smart_resize(
        height, width, factor=limits.factor, min_pixels=limits.min_pixels, max_pixels=limits.max_pixels
    )
    return new_height // limits.factor, new_width // limits.factor


def page_tokens(width: int, height: int, limits: ImageLimits = QWEN2_5_VL_LIMITS) -> int:
    """
    Image tokens of a page, without the two markers around it.

    Args:
        width (`int`): Width of the rendered page in pixels.
        height (`int`): Height of the rendered page in pixels.
        limits (`ImageLimits`, *optional*): The processor's limits; Qwen2.5-VL's if not given.

    Raises:
        ValueError: as `smart_resize`.

    Example:

    ```python
    >>> page_tokens(1224, 1584), page_tokens(1191, 1684)  # US Letter and A4 at 144 dpi
    (2508, 2580)

    ```
    """
    rows, cols = page_grid(width, height, limits)
    return rows * cols


def sample_length(text_tokens: int, grids: Iterable[tuple[int, int]]) -> int:
    """
    Tokens of a sample: its text, its images and the two markers around each image.

    Args:
        text_tokens (`int`): Tokens that belong to no image: chat template, page labels, question, answer. The markers
            around images are not among them.
        grids (`Iterable[tuple[int, int]]`): (rows, columns) of each image, from `page_grid`.

    Example:

    ```python
    >>> sample_length(100, [(57, 44), (57, 44)])  # 100 + 2 * (2508 + 2)
    5120

    ```
    """
    return text_tokens + sum(rows * cols + NUM_IMAGE_MARKERS for rows, cols in grids)


def sample_span(text_tokens: int, grids: Iterable[tuple[int, int]]) -> int:
    """
    M-RoPE positions that a sample spans, i.e. its largest position plus one.

    A text token moves the position counter by 1, an image by the longer side of its grid (`get_rope_index` of
    Qwen2.5-VL and Qwen3-VL in transformers), so positions grow far more slowly than tokens on page images.

    Args:
        text_tokens (`int`): Tokens that belong to no image, the markers around images not counted.
        grids (`Iterable[tuple[int, int]]`): (rows, columns) of each image, from `page_grid`.

    Example:

    ```python
    >>> sample_span(100, [(57, 44), (57, 44)])  # 100 + 2 * (57 + 2): its last token stands at position 217
    218
    >>> sample_length(2000, [(57, 44)] * 51), sample_span(2000, [(57, 44)] * 51)
    (130010, 5009)

    ```
    """
    return text_tokens + sum(max(rows, cols) + NUM_IMAGE_MARKERS for rows, cols in grids)
