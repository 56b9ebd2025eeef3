"""The demo's card documents: PDFs of one large title a page, which a tiny model can learn to read."""

import random
from collections.abc import Mapping
from pathlib import Path

from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

# A card is one large word on a page of 2 x 2 visual tokens at 144 dpi (56 x 56 pixels).
CARD_SIDE = 28  # points
CARD_FONTS = ("Helvetica-Bold", "Helvetica", "Times-Bold", "Times-Roman", "Courier-Bold")
CARD_TITLES = ("B", "C", "D", "F", "H", "K", "M", "R", "T", "X")


def write_cards(folder: str | Path, *, num_documents: Mapping[int, int], seed: int = 0) -> None:
    """
    Writes documents whose pages hold one large title each, with a bookmark: small enough to be learnt on two cores.

    Args:
        folder (`str` or `Path`): Where `cards-02-0001.pdf` (two pages) and so on go; made if missing.
        num_documents (`Mapping[int, int]`): Pages of a document -> how many such documents.
        seed (`int`): The same seed gives the same bytes.

    Raises:
        ValueError: when a document would have more pages than there are titles: a title stands once in a document.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    for num_pages, count in num_documents.items():
        if not 1 <= num_pages <= len(CARD_TITLES):
            raise ValueError(f"{num_pages} pages asked for, expected 1 to {len(CARD_TITLES)}, one title for each")
        for k in range(count):
            _write_cards(folder / f"cards-{num_pages:02d}-{k + 1:04d}.pdf", rng.sample(CARD_TITLES, num_pages), rng)


def _write_cards(path: Path, titles: list[str], rng: random.Random) -> None:
    canvas = Canvas(str(path), pagesize=(CARD_SIDE, CARD_SIDE), invariant=1)
    for page, title in enumerate(titles):
        font, size = rng.choice(CARD_FONTS), rng.uniform(16, 24)
        width, height = stringWidth(title, font, size), 0.7 * size
        x = (CARD_SIDE - width) / 2 + rng.uniform(-3, 3)
        y = (CARD_SIDE - height) / 2 + rng.uniform(-3, 3)
        canvas.setFont(font, size)
        canvas.drawString(x, y, title)
        canvas.bookmarkPage(str(page))
        canvas.addOutlineEntry(title, str(page))
        canvas.showPage()
    canvas.save()
