"""Encodes rendered pages."""

import io

from PIL import Image

JPEG_QUALITY = 85
# PNG and WebP are lossless and cost five and fifteen times as much to write as JPEG
_SAVE_OPTIONS = {"jpeg": {"quality": JPEG_QUALITY}, "png": {}, "webp": {"lossless": True}}
IMAGE_FORMATS = tuple(_SAVE_OPTIONS)


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
