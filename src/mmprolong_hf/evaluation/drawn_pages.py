"""Documents of drawn pages, so that a needle map needs no document at all: headings, paragraphs and tables of invented words."""

import random
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from pathlib import Path

import yaml
from PIL import Image, ImageDraw, ImageFont

PAGE_SIZE = (1224, 1584)  # US Letter at 144 dpi
MARGIN, FONT_SIZE, LINE_HEIGHT = 144, 20, 30  # pixels
MIN_BLOCKS, MAX_BLOCKS = (
    3,
    9,
)  # paragraphs and tables of a page; one with few ends early, as the last page of a section does
LAST_START = PAGE_SIZE[1] - MARGIN - 7 * LINE_HEIGHT  # below here no block begins, the longest being 7 lines


class DrawnDocuments(Sequence):
    """
    Rows with `doc_id`, `page_sizes` and `images`, as a dataset has them; a page is drawn when it is read.

    Args:
        num_documents (`int`, *optional*, defaults to `60`): With 12 pages each they fill 1.8 million tokens of Qwen2.5-VL.
        num_pages (`int`, *optional*, defaults to `12`): Of each document.

    Raises:
        ValueError: for fewer than one document or page.

    Example:

    ```python
    >>> documents = DrawnDocuments(num_documents=2, num_pages=3)
    >>> documents[1]["doc_id"], documents[1]["page_sizes"][0], len(documents[1]["images"])
    ('drawn-1', (1224, 1584), 3)

    ```
    """

    def __init__(self, num_documents: int = 60, num_pages: int = 12):
        if min(num_documents, num_pages) < 1:
            raise ValueError(f"{num_documents} documents of {num_pages} pages, expected at least one of each")
        self.num_documents, self.num_pages = num_documents, num_pages

    def __len__(self) -> int:
        return self.num_documents

    def __getitem__(self, index: int) -> dict:
        if not 0 <= index < len(self):
            raise IndexError(f"document {index} of {len(self)}")
        name = f"drawn-{index}"
        return {"doc_id": name, "page_sizes": [PAGE_SIZE] * self.num_pages, "images": _Pages(name, self.num_pages)}


class _Pages(Sequence):
    def __init__(self, name: str, num_pages: int):
        self.name, self.num_pages = name, num_pages

    def __len__(self) -> int:
        return self.num_pages

    def __getitem__(self, index: int) -> dict:
        if not 0 <= index < len(self):
            raise IndexError(f"page {index} of {len(self)}")
        buffer = BytesIO()
        draw_page(random.Random(f"{self.name} {index}")).save(buffer, "PNG", compress_level=1)
        return {"bytes": buffer.getvalue(), "path": None}


def draw_page(rng: random.Random) -> Image.Image:
    """
    A page with a heading, paragraphs and tables.

    Args:
        rng (`random.Random`): Decides all of it.

    Example:

    ```python
    >>> draw_page(random.Random(0)).size
    (1224, 1584)

    ```
    """
    page = Image.new("RGB", PAGE_SIZE, "white")
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, MARGIN), _words(rng, "{adjective} {noun}").capitalize(), "black", ImageFont.load_default(34))
    y = MARGIN + 2 * LINE_HEIGHT
    for _ in range(rng.randint(MIN_BLOCKS, MAX_BLOCKS)):
        if y > LAST_START:
            break
        y = (_draw_table if rng.random() < 0.25 else _draw_paragraph)(draw, y, rng) + LINE_HEIGHT
    return page


def _draw_paragraph(draw: ImageDraw.ImageDraw, y: int, rng: random.Random) -> int:
    """A paragraph below `y`, and where it ends."""
    font = ImageFont.load_default(FONT_SIZE)
    sentences = _language()["sentences"]
    words = " ".join(_words(rng, rng.choice(sentences)).capitalize() for _ in range(rng.randint(3, 8))).split()
    line = ""
    for word in words:
        if draw.textlength(f"{line} {word}", font) > PAGE_SIZE[0] - 2 * MARGIN:
            draw.text((MARGIN, y), line, "black", font)
            line, y = "", y + LINE_HEIGHT
        line = f"{line} {word}".strip()
    draw.text((MARGIN, y), line, "black", font)
    return y + LINE_HEIGHT


def _draw_table(draw: ImageDraw.ImageDraw, y: int, rng: random.Random) -> int:
    """A table of three columns below `y`, and where it ends."""
    font, width = ImageFont.load_default(FONT_SIZE), (PAGE_SIZE[0] - 2 * MARGIN) // 3
    num_rows = rng.randint(3, 6)
    for row in range(num_rows):
        for column in range(3):
            x, top = MARGIN + column * width, y + row * LINE_HEIGHT
            draw.rectangle((x, top, x + width, top + LINE_HEIGHT), outline="gray")
            text = _words(rng, "{number}" if row and column else "{adjective} {noun}")
            draw.text((x + 10, top + LINE_HEIGHT / 2), text, "black", font, anchor="lm")
    return y + num_rows * LINE_HEIGHT


def _words(rng: random.Random, template: str) -> str:
    language = _language()
    for name in ("noun", "adjective", "verb"):
        while f"{{{name}}}" in template:
            template = template.replace(f"{{{name}}}", rng.choice(language[f"{name}s"]), 1)
    while "{number}" in template:
        template = template.replace("{number}", str(rng.randint(2, 999)), 1)  # never as long as a needle's code
    return template


@cache
def _language() -> dict[str, list[str]]:
    return yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
