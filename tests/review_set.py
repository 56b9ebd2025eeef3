"""Sets with questions of any wording, as a build writes them, their pages drawn in code; and their review page in a browser."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pyarrow as pa
from browser import Browser
from PIL import Image, ImageDraw

from mmprolong_hf.synthesis.output import write_documents
from mmprolong_hf.synthesis.schema import DOCUMENT_FEATURES, Question

BOX = (0.25, 0.5, 0.75, 0.6)


def asked(text: str, *, answer: str = "yes", page: int = 2, quote: str = "As printed", task: str = "extract-single"):
    """A question whose evidence is `BOX` of a page."""
    return Question(
        text,
        answer,
        task,
        "String",
        (page,),
        ("Text",),
        evidence_boxes=((page, *BOX),),
        evidence_quotes=(quote,),
        teacher="a teacher",
        verdicts={"wording": "pass"},
    ).to_row()


def document(
    number: int, questions: Sequence[dict], *, num_pages: int = 4, size: tuple[int, int] = (300, 400)
) -> dict:
    """A row of the `default` config. Page p of document d is all of the grey 10 * p + d but for a black `BOX`."""
    pages = []
    for page in range(1, num_pages + 1):
        image = Image.new("L", size, 10 * page % 250 + number)
        corners = [fraction * side for fraction, side in zip(BOX, (*size, *size))]
        ImageDraw.Draw(image).rectangle(corners, fill=0)
        image.save(buffer := BytesIO(), "png")
        pages.append({"bytes": buffer.getvalue(), "path": None})
    row = dict.fromkeys(DOCUMENT_FEATURES, "") | {"page_sizes": [size] * num_pages, "page_tokens": [100] * num_pages}
    row |= {"doc_id": f"{number:064d}", "source": f"document-{number}.pdf", "num_pages": num_pages, "dpi": 36}
    return row | {"images": pages, "pdf": None, "questions": list(questions)}


def write_set(folder: Path, documents: Sequence[dict], *, split: str = "train") -> Path:
    """The folder, with its two configs."""
    schema = DOCUMENT_FEATURES.arrow_schema
    write_documents((pa.Table.from_pylist([row], schema=schema) for row in documents), folder, split)
    return folder


def start(browser: Browser, page: Path) -> Browser:
    """Open a page that nobody has graded, as Ada."""
    browser.open(page)
    browser.run("localStorage.clear()")
    browser.errors()
    browser.requests()
    browser.reload()
    browser.type("Ada")
    browser.press("Enter")
    browser.wait_until(lambda: browser.run("return !document.querySelector('dialog[open]')"), "the name is taken")
    return browser
