"""Draws a question on the pages it stands on, so that it can be judged by eye."""

import io
import textwrap

from PIL import Image, ImageDraw, ImageFont

COLOURS = {"Text": "#1f77b4", "Layout": "#d62728", "Figure": "#9467bd", "Table": "#2ca02c"}
MAX_PAGES = 4  # evidence on more pages is named in the text and not drawn


def draw_question(row: dict, index: int, *, page_width: int = 700) -> Image.Image:
    """
    The evidence pages of a question side by side under their numbers, evidence marked, question and answer below.

    Pillow's own font has few letters beyond ASCII; what it lacks is written as Python escapes it ("\\u56f3").

    Args:
        row (`dict`): A row of the `default` config; images as stored (bytes) or decoded (Pillow).
        index (`int`): Which of the row's questions.
        page_width (`int`, *optional*, defaults to `700`): Pixels of each page in the drawing.

    Raises:
        ValueError: if the row has no such question.
    """
    if not 0 <= index < len(row["questions"]):
        raise ValueError(f"index is {index}, but the row has {len(row['questions'])} questions, counted from 0")
    question = row["questions"][index]
    numbers = question["evidence_pages"][:MAX_PAGES]
    pages = [_draw_page(row, question, number, page_width) for number in numbers]
    size = page_width // 32
    wide = sum(page.width for page in pages) + 10 * (len(pages) - 1)
    font = ImageFont.load_default(size)
    text = _caption(row, question, font, columns=int(wide / size * 1.75))
    high = max(page.height for page in pages)
    sheet = Image.new("RGB", (wide, high + int(size * 1.5 * (text.count("\n") + 2))), "white")
    left = 0
    for page in pages:
        sheet.paste(page, (left, 0))
        left += page.width + 10
    ImageDraw.Draw(sheet).multiline_text((size, high + size), text, fill="black", font=font, spacing=size * 0.4)
    return sheet


def _draw_page(row: dict, question: dict, number: int, width: int) -> Image.Image:
    stored = row["images"][number - 1]
    image = stored if isinstance(stored, Image.Image) else Image.open(io.BytesIO(stored["bytes"]))
    image = image.convert("RGB").resize((width, round(width * image.height / image.width)))
    size = width // 36
    strip = int(size * 1.8)  # over the page, not on it: a slide's heading stands in its corner
    draw = ImageDraw.Draw(image)
    colour = COLOURS[question["evidence_sources"][0]]
    for page, x0, y0, x1, y1 in question["evidence_boxes"]:
        if int(page) == number:
            box = (x0 * image.width - 3, y0 * image.height - 3, x1 * image.width + 3, y1 * image.height + 3)
            draw.rectangle(box, outline=colour, width=max(2, width // 250))
    draw.rectangle((0, 0, image.width - 1, image.height - 1), outline="#888888")
    labelled = Image.new("RGB", (width, strip + image.height), "white")
    labelled.paste(image, (0, strip))
    label = f"Page {number} of {row['num_pages']}"
    ImageDraw.Draw(labelled).text((8, size // 3), label, fill=colour, font=ImageFont.load_default(size))
    return labelled


def _caption(row: dict, question: dict, font: ImageFont.FreeTypeFont, columns: int) -> str:
    pages = ", ".join(map(str, question["evidence_pages"]))
    parts = [
        f"{row['source']}: {question['task']}, {question['template']}, evidence on {pages}",
        f"Q: {question['question']}",
        f"A: {question['answer']}  ({question['answer_format']})",
    ]
    return "\n".join("\n".join(textwrap.wrap(_drawable(part, font), columns)) for part in parts)


def _drawable(text: str, font: ImageFont.FreeTypeFont) -> str:
    """The text, with escapes for the letters that the font would draw as boxes."""
    box = _pixels(font, "\uffff")  # no character, so no font has it
    lacking = {c for c in text if not c.isascii() and _pixels(font, c) == box}
    return "".join(c.encode("ascii", "backslashreplace").decode() if c in lacking else c for c in text)


def _pixels(font: ImageFont.FreeTypeFont, letter: str) -> tuple:
    mask = font.getmask(letter)
    return mask.size, tuple(mask)
