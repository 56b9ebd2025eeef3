"""Page images of any mode as the models' processors see them."""

from PIL import Image


def rgb(image: Image.Image) -> Image.Image:
    """
    An image in RGB, transparent places white: as transformers' processors convert it (`image_transforms.convert_to_rgb` of 5.23),
    where Pillow's own `convert` would show what lies under the transparency, mostly black.

    Example:

    ```python
    >>> page = Image.new("RGBA", (1, 2), (0, 0, 0, 0))
    >>> page.putpixel((0, 1), (10, 20, 30, 255))
    >>> list(rgb(page).get_flattened_data())
    [(255, 255, 255), (10, 20, 30)]

    ```
    """
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
