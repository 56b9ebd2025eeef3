"""Where a needle is drawn: the emptiest place of a page, never on another needle, and only if it can be read."""

import random
from io import BytesIO

import numpy as np
from PIL import Image

from mmprolong_hf.evaluation.needle_stamps import Stamp
from mmprolong_hf.evaluation.requests import PageImage
from mmprolong_hf.images import rgb
from mmprolong_hf.lengths import ImageLimits, page_grid

MIN_CAPITAL_HEIGHT = 10  # pixels of a capital letter in the image that the model sees
DARK = 192  # a grey level below this is something printed


class NoPlace(ValueError):
    """
    A needle cannot be hidden.

    Args:
        reason (`str`): A few words, to be counted.
        detail (`str`): What was found, and what would help.
    """

    def __init__(self, reason: str, detail: str):
        super().__init__(detail)
        self.reason = reason


class Canvas:
    """
    A page that needles are drawn into.

    Args:
        page (`PIL.Image.Image`): The page; it stays as it is.

    Example:

    ```python
    >>> from mmprolong_hf.evaluation.needle_stamps import text_stamp
    >>> canvas = Canvas(Image.new("RGB", (600, 800), "white"))
    >>> stamp = text_stamp("lemon", (600, 800), 1.0)
    >>> canvas.find_place(stamp, random.Random(0))
    ((0, 0), 0.0)
    >>> canvas.draw(stamp, (0, 0))
    (0, 0, 600, 800)
    >>> canvas.find_place(stamp, random.Random(0)) is None  # it is taken
    True

    ```
    """

    def __init__(self, page: Image.Image):
        self.image = rgb(page).copy()
        self.boxes: list[tuple[int, int, int, int]] = []  # (x0, y0, x1, y1) of every needle, in pixels
        dark = np.asarray(self.image.convert("L")) < DARK
        self._under: list[Image.Image] = []  # what was in each box before
        self._num_dark = np.zeros((self.image.height + 1, self.image.width + 1), np.int32)  # above and left of a pixel
        dark.cumsum(0, dtype=np.int32).cumsum(1, out=self._num_dark[1:, 1:])

    def find_place(self, stamp: Stamp, rng: random.Random) -> tuple[tuple[int, int], float] | None:
        """
        The place where a stamp covers least of what is printed.

        Args:
            stamp (`Stamp`): At most as large as the page.
            rng (`random.Random`): Chooses among places that are equally empty.

        Returns:
            `tuple` or `None`: Its top left corner (x, y) in pixels and the share of it that is printed on; `None` if there is
            no place beside the needles that are there.
        """
        width, height = stamp.image.size
        total = self._num_dark
        covered = total[height:, width:] - total[:-height, width:]
        covered -= total[height:, :-width]
        covered += total[:-height, :-width]
        taken = width * height + 1
        for x0, y0, x1, y1 in self.boxes:
            covered[max(0, y0 - height + 1) : y1, max(0, x0 - width + 1) : x1] = taken
        least = covered.min()
        if least == taken:
            return None
        places = np.flatnonzero(covered == least)
        y, x = divmod(int(places[rng.randrange(len(places))]), covered.shape[1])
        return (x, y), float(least) / (width * height)

    def draw(self, stamp: Stamp, place: tuple[int, int]) -> tuple[int, int, int, int]:
        """Put a stamp at a place, and its box (x0, y0, x1, y1) in pixels."""
        self.boxes.append((*place, place[0] + stamp.image.width, place[1] + stamp.image.height))
        self._under.append(self.image.crop(self.boxes[-1]))
        self.image.paste(stamp.image, place)
        return self.boxes[-1]

    def erase(self) -> None:
        """Take the last stamp away."""
        self.image.paste(self._under.pop(), self.boxes.pop()[:2])

    def page_image(self) -> PageImage:
        """What the page is now, exactly: PNG, written with little compression, which is several times as fast."""
        buffer = BytesIO()
        self.image.save(buffer, "PNG", compress_level=1)
        return PageImage(buffer.getvalue())


def read_height(stamp: Stamp, page_size: tuple[int, int], limits: ImageLimits) -> float:
    """
    Height in pixels of a stamp's capital letters in the image that the model sees.

    Args:
        stamp (`Stamp`): What is drawn.
        page_size (`tuple[int, int]`): (width, height) of its page in pixels.
        limits (`ImageLimits`): Of the processor that will resize the page.

    Raises:
        NoPlace: when it is below 10 pixels, which the model could not read.
    """
    rows, _ = page_grid(*page_size, limits)
    height = stamp.capital_height * rows * limits.factor / page_size[1]
    if height < MIN_CAPITAL_HEIGHT:
        raise NoPlace(
            "too small to be read",
            f"capitals would be {height:.1f} pixels high after the processor's resizing, expected at least "
            f"{MIN_CAPITAL_HEIGHT}: raise the needle's size or the processor's max_pixels",
        )
    return height
