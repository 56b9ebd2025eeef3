"""A needle: a sentence drawn into a page image, where the page is emptiest and large enough to be read."""

import random
import textwrap
from dataclasses import dataclass
from string import Formatter

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mmprolong_hf.lengths import ImageLimits, page_grid

MIN_CAPITAL_HEIGHT = 10  # pixels of a capital letter in the image that the model sees
DARK = 192  # a grey level below this is something printed
KEYS = ("animal", "bird", "city", "color", "drink", "flower", "fruit", "instrument", "metal", "river", "sport", "tool")
VALUES = (
    "anchor", "banjo", "basil", "bronze", "cactus", "candle", "cedar", "cobalt", "copper", "falcon", "fennel", "garnet",
    "ginger", "hammer", "harbor", "heron", "jasmine", "kettle", "lantern", "lemon", "magnet", "maple", "marble", "meadow",
    "nectar", "oyster", "pepper", "pigeon", "quartz", "ribbon", "saddle", "salmon", "spruce", "thimble", "tulip", "velvet",
    "violet", "walnut", "willow", "zither",
)  # fmt: skip


@dataclass(frozen=True)
class Needle:
    """
    What is hidden in a haystack of pages, and how it is asked for.

    Args:
        text (`str`): What is drawn; `{key}`, `{value}` and `{page}` (1-based in the haystack) are filled in.
        question (`str`): What is asked; `{key}` and `{page}` are filled in.
        keys (`tuple[str]`): One is drawn at random for each haystack.
        values (`tuple[str]`): One is drawn at random for each haystack: the answer.
        size (`float`): Height of the needle's white box as a fraction of the page's height; 1.0 replaces the whole page.

    Raises:
        ValueError: for a size outside (0, 1], a text without `{value}`, an unknown placeholder, or no keys or values.

    Example:

    ```python
    >>> needle = Needle()
    >>> needle.text.format(key="fruit", value="lemon", page=3)
    'The secret fruit is lemon.'
    >>> Needle(text="The secret is out.")
    Traceback (most recent call last):
    ...
    ValueError: text is 'The secret is out.', expected a {value} in it

    ```
    """

    text: str = "The secret {key} is {value}."
    question: str = "What is the secret {key}?"
    keys: tuple[str, ...] = KEYS
    values: tuple[str, ...] = VALUES
    size: float = 0.02

    def __post_init__(self):
        if not 0 < self.size <= 1:
            raise ValueError(f"size is {self.size}, expected a fraction of the page's height above 0 and at most 1")
        if not self.keys or not self.values:
            raise ValueError(f"{len(self.keys)} keys and {len(self.values)} values, expected at least one of each")
        if "{value}" not in self.text:
            raise ValueError(f"text is {self.text!r}, expected a {{value}} in it")
        for name, known in (("text", {"key", "value", "page"}), ("question", {"key", "page"})):
            found = {field for _, field, _, _ in Formatter().parse(getattr(self, name)) if field is not None}
            if found - known:
                raise ValueError(f"{name} holds {sorted(found - known)}, expected only {sorted(known)} in braces")


def draw_needle(
    page: Image.Image, text: str, *, size: float, limits: ImageLimits, rng: random.Random
) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """
    A copy of a page with a text in a white box, where the box covers least of what is printed.

    Args:
        page (`PIL.Image.Image`): The page.
        text (`str`): Broken into lines such that it comes out as large as the box allows.
        size (`float`): Height of the box as a fraction of the page's height; 1.0 makes the box the whole page.
        limits (`ImageLimits`): Of the processor that will resize the page.
        rng (`random.Random`): Chooses among places that are equally empty.

    Returns:
        `tuple`: The page, and the box (x0, y0, x1, y1) as fractions of it.

    Raises:
        ValueError: when capital letters would be below 10 pixels after resizing.

    Example:

    ```python
    >>> page = Image.new("RGB", (600, 800), "white")
    >>> _, box = draw_needle(page, "lemon", size=1.0, limits=ImageLimits(), rng=random.Random(0))
    >>> box
    (0.0, 0.0, 1.0, 1.0)

    ```
    """
    page = page.convert("RGB")
    box_height = max(1, round(size * page.height))
    lines, font, text_width = _fit(text, page.width, box_height)
    rows, _ = page_grid(page.width, page.height, limits)
    _, top, _, bottom = font.getbbox("H")
    capital_height = (bottom - top) * rows * limits.factor / page.height
    if capital_height < MIN_CAPITAL_HEIGHT:
        raise ValueError(
            f"capitals of {text!r} would be {capital_height:.1f} pixels high after the processor's resizing, expected at "
            f"least {MIN_CAPITAL_HEIGHT}: raise the needle's size ({size}) or the processor's max_pixels"
        )
    box_width = page.width if size == 1 else min(page.width, round(text_width + font.size))
    x, y = _emptiest_place(page, box_width, box_height, rng)
    draw = ImageDraw.Draw(page := page.copy())
    draw.rectangle((x, y, x + box_width - 1, y + box_height - 1), fill="white")
    center = (x + box_width / 2, y + box_height / 2)
    draw.multiline_text(center, "\n".join(lines), font=font, fill="black", anchor="mm", align="center")
    box = x / page.width, y / page.height, (x + box_width) / page.width, (y + box_height) / page.height
    return page, box


def _fit(text: str, width: int, height: int) -> tuple[list[str], ImageFont.FreeTypeFont, float]:
    """The lines of a text, their font and their width in pixels, as large as `width` x `height` pixels allow."""
    unit = ImageFont.load_default(100)
    fits = []
    for columns in range(max(map(len, text.split())), len(text) + 1):
        lines = textwrap.wrap(text, columns, break_long_words=False, break_on_hyphens=False)
        line_width = max(unit.getlength(line) for line in lines) / 100
        # a line takes 1.3 times the font's size; half a size of margin stands at each side
        fits.append((min(width / (line_width + 1), height / (1.3 * len(lines) + 0.2)), lines, line_width))
    font_size, lines, line_width = max(fits, key=lambda fit: fit[0])
    return lines, ImageFont.load_default(max(font_size, 1)), line_width * font_size


def _emptiest_place(page: Image.Image, width: int, height: int, rng: random.Random) -> tuple[int, int]:
    """Top left corner of the box of this size that covers the fewest dark pixels."""
    dark = np.asarray(page.convert("L")) < DARK
    total = np.pad(dark.cumsum(0, dtype=np.int64).cumsum(1), ((1, 0), (1, 0)))
    covered = total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]
    places = np.flatnonzero(covered == covered.min())
    y, x = divmod(int(places[rng.randrange(len(places))]), covered.shape[1])
    return x, y
