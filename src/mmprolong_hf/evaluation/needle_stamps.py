"""What a needle looks like: a sentence, a table or a colored shape in a white box, as large as the box allows."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "brown", "black")


def _corners(num: int, turn: float, inner: float = 1.0) -> tuple[tuple[float, float], ...]:
    """Corners on a circle in the unit square, every other one `inner` times as far from its center."""
    radii = [0.5 * (inner if i % 2 else 1) for i in range(num)]
    turns = [2 * math.pi * (i / num + turn) for i in range(num)]
    return tuple((0.5 + r * math.sin(t), 0.5 - r * math.cos(t)) for r, t in zip(radii, turns))


# Corners in the unit square, y down; a circle has none.
SHAPES = {
    "circle": (),
    "triangle": ((0.5, 0.05), (1, 0.95), (0, 0.95)),
    "square": ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)),
    "diamond": _corners(4, 0),
    "star": _corners(10, 0, inner=0.4),
    "cross": (
        *((0.35, 0), (0.65, 0), (0.65, 0.35), (1, 0.35), (1, 0.65), (0.65, 0.65)),
        *((0.65, 1), (0.35, 1), (0.35, 0.65), (0, 0.65), (0, 0.35), (0.35, 0.35)),
    ),
}


@dataclass(frozen=True)
class Stamp:
    """
    What is put into a page.

    Args:
        image (`PIL.Image.Image`): In RGB.
        capital_height (`float`): Height of its capital letters in pixels.
    """

    image: Image.Image
    capital_height: float


def text_stamp(text: str, page_size: tuple[int, int], size: float) -> Stamp:
    """
    A text, broken into lines such that it comes out as large as its box allows.

    Args:
        text (`str`): What it says.
        page_size (`tuple[int, int]`): (width, height) of the page in pixels.
        size (`float`): Height of the box as a fraction of the page's height; 1.0 makes the box the whole page.

    Example:

    ```python
    >>> text_stamp("lemon", (600, 800), 1.0).image.size
    (600, 800)

    ```
    """
    width, height = page_size[0], max(1, round(size * page_size[1]))
    lines, font, text_width = _fit(text, width, height)
    image = Image.new("RGB", (width if size == 1 else min(width, round(text_width + font.size)), height), "white")
    center = (image.width / 2, image.height / 2)
    ImageDraw.Draw(image).multiline_text(
        center, "\n".join(lines), font=font, fill="black", anchor="mm", align="center"
    )
    return Stamp(image, _capital_height(font))


def table_stamp(rows: Sequence[str], page_size: tuple[int, int], size: float) -> Stamp:
    """
    A ruled table.

    Args:
        rows (`Sequence[str]`): Each with `|` between its cells, as many in every row.
        page_size (`tuple[int, int]`): (width, height) of the page in pixels.
        size (`float`): Height of the table as a fraction of the page's height.

    Example:

    ```python
    >>> table_stamp(["Item | Code", "lemon | 6822442"], (1200, 1600), 0.05).image.size
    (203, 80)

    ```
    """
    cells = [[cell.strip() for cell in row.split("|")] for row in rows]
    unit = ImageFont.load_default(100)
    # Widths in units of the font's size: one size is left beside every cell's text.
    widths = [max(unit.getlength(cell) for cell in column) / 100 + 1 for column in zip(*cells, strict=True)]
    height = max(1, round(size * page_size[1]))
    font = ImageFont.load_default(max(1, min(height / (1.6 * len(cells) + 0.5), page_size[0] / (sum(widths) + 1))))
    margin = round(font.size / 4)  # keeps the rules off what is printed beside
    edges = [margin + round(font.size * sum(widths[:column])) for column in range(len(widths) + 1)]
    tops = [margin + round(row * (height - 1 - 2 * margin) / len(cells)) for row in range(len(cells) + 1)]
    image = Image.new("RGB", (min(page_size[0], edges[-1] + 1 + margin), height), "white")
    draw = ImageDraw.Draw(image)
    for row, texts in enumerate(cells):
        for column, text in enumerate(texts):
            draw.rectangle((edges[column], tops[row], edges[column + 1], tops[row + 1]), outline="black")
            middle = (tops[row] + tops[row + 1]) / 2
            draw.text((edges[column] + font.size / 2, middle), text, font=font, fill="black", anchor="lm")
    return Stamp(image, _capital_height(font))


def shape_stamp(label: str, colored_shape: str, page_size: tuple[int, int], size: float) -> Stamp:
    """
    A colored shape with a word beside it.

    Args:
        label (`str`): The word.
        colored_shape (`str`): One of `COLORS` and one of `SHAPES`.
        page_size (`tuple[int, int]`): (width, height) of the page in pixels.
        size (`float`): Height of the box as a fraction of the page's height.

    Raises:
        ValueError: for an unknown color or shape.

    Example:

    ```python
    >>> shape_stamp("lemon", "red star", (1200, 1600), 0.05).image.getpixel((40, 40))
    (255, 0, 0)

    ```
    """
    color, _, shape = colored_shape.partition(" ")
    if color not in COLORS or shape not in SHAPES:
        raise ValueError(
            f"the value is {colored_shape!r}, expected one of {', '.join(COLORS)} and one of {', '.join(SHAPES)}"
        )
    height = max(1, round(size * page_size[1]))
    widths = ImageFont.load_default(100).getlength(label) / 100 + 1
    font = ImageFont.load_default(max(1, min(height / 3, (page_size[0] - height) / widths)))
    image = Image.new("RGB", (min(page_size[0], round(height + widths * font.size)), height), "white")
    draw = ImageDraw.Draw(image)
    side, line = 0.84 * height, max(1, height // 40)
    if corners := SHAPES[shape]:
        points = [(0.08 * height + x * side, 0.08 * height + y * side) for x, y in corners]
        draw.polygon(points, fill=color, outline="black", width=line)
    else:
        draw.ellipse((0.08 * height, 0.08 * height, 0.92 * height, 0.92 * height), color, "black", line)
    draw.text((height, height / 2), label, font=font, fill="black", anchor="lm")
    return Stamp(image, _capital_height(font))


def _capital_height(font: ImageFont.FreeTypeFont) -> float:
    _, top, _, bottom = font.getbbox("H")
    return bottom - top


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
