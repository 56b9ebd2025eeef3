"""
Page images as uint8 patches on their way to the device, and the numbers of the vision tower again once they are there.

An image processor makes float32 patches in which every image stands twice, as two frames of a film: 8 bytes for each of its
pixels' own. What it does after resizing depends on nothing but a pixel's value and channel, so a table of 256 numbers a channel,
read off the processor itself, says it all.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from transformers.image_processing_utils import BaseImageProcessor
from transformers.image_utils import SizeDict

from mmprolong_hf.images import rgb

CHUNK = 4096  # patches that are looked up at a time, with places in int32 beside the result


def uint8_page(image_processor: BaseImageProcessor, image: Image.Image) -> dict[str, torch.Tensor]:
    """
    A page as its processor resizes it, before numbers are made of its pixels.

    Returns:
        `dict` with `pixel_values` `(num_patches, channels * patch_size**2)` uint8, one frame, in the processor's order of patches,
        and `image_grid_thw` `(1, 3)`.
    """
    factor = image_processor.patch_size * image_processor.merge_size
    resized = image_processor.resize(
        image_processor.process_image(rgb(image), do_convert_rgb=False),
        size=SizeDict(**dict(image_processor.size)),
        resample=image_processor.resample,
        factor=factor,
    )
    return _patches(image_processor, np.asarray(resized))


def _patches(image_processor: BaseImageProcessor, image: np.ndarray) -> dict[str, torch.Tensor]:
    """Of an image `(channels, height, width)`."""
    patch, merge = image_processor.patch_size, image_processor.merge_size
    channels, rows, columns = image.shape[0], image.shape[1] // patch, image.shape[2] // patch
    # Patches that are merged into a token stand together.
    split = image.reshape(channels, rows // merge, merge, patch, columns // merge, merge, patch)
    patches = np.ascontiguousarray(split.transpose(1, 4, 2, 5, 0, 3, 6)).reshape(rows * columns, -1)
    return {"pixel_values": torch.from_numpy(patches), "image_grid_thw": torch.tensor([[1, rows, columns]])}


@dataclass(frozen=True)
class PixelTable:
    """
    What an image processor makes of each value of a pixel.

    Args:
        numbers (`torch.Tensor` of shape `(channels, 256)`): float32.
        num_frames (`int`): The processor's `temporal_patch_size`.

    Example: one channel, patches of two pixels

    ```python
    >>> table = PixelTable(torch.arange(256.0)[None] / 255, num_frames=2)
    >>> table.patches(torch.tensor([[0, 255]], dtype=torch.uint8), torch.float32)
    tensor([[0., 1., 0., 1.]])

    ```
    """

    numbers: torch.Tensor
    num_frames: int

    @classmethod
    def of(cls, image_processor: BaseImageProcessor) -> "PixelTable":
        """Read off what the processor makes of an image that has all values."""
        side = image_processor.patch_size * image_processor.merge_size
        image = np.broadcast_to(np.resize(np.arange(256, dtype=np.uint8), (side, side)), (3, side, side))
        made = image_processor(images=[image.transpose(1, 2, 0)], do_resize=False, return_tensors="pt")["pixel_values"]
        values = _patches(image_processor, image)["pixel_values"].unflatten(1, (3, -1)).long()
        made = made.unflatten(1, (3, image_processor.temporal_patch_size, -1))[:, :, 0]
        numbers = torch.zeros(3, 256)
        for channel in range(3):
            numbers[channel, values[:, channel]] = made[:, channel]
        return cls(numbers, image_processor.temporal_patch_size)

    def to(self, device: torch.device) -> "PixelTable":
        return PixelTable(self.numbers.to(device), self.num_frames)

    @property
    def digest(self) -> str:
        """Of the numbers: two processors with one digest make the same of a pixel."""
        return hashlib.sha256(self.numbers.numpy().tobytes()).hexdigest()[:16]

    def patches(self, pixels: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """
        The processor's `pixel_values` of [`uint8_page`]'s, on the device of both.

        Args:
            pixels (`torch.Tensor` of shape `(num_patches, channels * patch_size**2)`): uint8.
            dtype (`torch.dtype`): Of the result; in float32 the very numbers of the processor.

        Returns:
            `torch.Tensor` of shape `(num_patches, channels * num_frames * patch_size**2)`.
        """
        channels = len(self.numbers)
        numbers = self.numbers.to(dtype).flatten()
        first = 256 * torch.arange(channels, dtype=torch.int32, device=pixels.device)[:, None]
        made = numbers.new_empty(len(pixels), channels, self.num_frames, pixels.shape[1] // channels)
        for some, own in zip(pixels.split(CHUNK), made.split(CHUNK)):
            places = some.unflatten(1, (channels, -1)) + first
            own.copy_(numbers.index_select(0, places.flatten()).view_as(places)[:, :, None])
        return made.flatten(1)
