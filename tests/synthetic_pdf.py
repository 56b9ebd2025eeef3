"""PDFs with known contents, drawn in code for the tests of synthesis."""

import hashlib
from pathlib import Path

import pymupdf

from mmprolong_hf.synthesis.document import Written, build_document
from mmprolong_hf.synthesis.plan import folder_plan

PAGE = (612, 792)
BODY = "This line of running text says nothing in particular and only fills the page."


def report(path: Path, *, chapters: int = 4, pages_per_chapter: int = 3, titles=None, outline: bool = True) -> Path:
    """
    A numbered report with an outline, a heading at the top of each page, and for each chapter a table and a figure.

    Chapter c has the title `titles[c - 1]` (or "Chapter topic c"), and starts on page 1 + (c - 1) * pages_per_chapter.
    Its first page is the chapter itself, each further page p a section c.p with the title "Detail p of topic c".
    """
    titles = titles or [f"Topic {_word(c)}" for c in range(1, chapters + 1)]
    document = pymupdf.open()
    bookmarks = []
    for c, title in enumerate(titles, 1):
        for p in range(pages_per_chapter):
            page = document.new_page(width=PAGE[0], height=PAGE[1])
            number, name = (f"{c}", title) if p == 0 else (f"{c}.{p}", f"Detail {_word(p)} of {title}")
            page.insert_text((72, 90), f"{number} {name}", fontsize=20 if p == 0 else 16, fontname="hebo")
            for k in range(12):
                page.insert_text((72, 130 + 16 * k), f"{BODY}", fontsize=11, fontname="tiro")
            if p == 1:
                table(page, 380, f"Table {c}: Stations of {title}", rows(c))
            if p == 2:
                page.draw_rect((150, 380, 460, 520), color=(0, 0, 1), fill=(0.8, 0.8, 1))
                page.insert_text((150, 545), f"Figure {c}: Sketch of {title}.", fontsize=10, fontname="tiit")
            bookmarks.append([1 if p == 0 else 2, f"{number} {name}", document.page_count])
    if outline:
        document.set_toc(bookmarks)
    document.set_metadata({"title": "A report"})
    document.save(path, no_new_id=True)  # the same file for every run: its hash seeds the questions
    return path


def rows(c: int) -> list[list[str]]:
    """Header and four rows of the table of chapter c: every cell is told apart by c."""
    head = ["Station", "Height", "Visitors"]
    return [head] + [
        [f"{_word(k)} peak".capitalize(), f"{100 * c + 7 * k}.5", f"{1000 * c + k * k}"] for k in range(1, 5)
    ]


def table(page, top: float, caption: str, cells: list[list[str]], *, ruled: bool = False, left: float = 90) -> None:
    """A table with its caption above: with lines around all cells, or with three horizontal rules only."""
    width, height = 140, 18
    page.insert_text((left, top - 8), caption, fontsize=10, fontname="tiro")
    right = left + width * len(cells[0])
    for r, row in enumerate(cells):
        for k, cell in enumerate(row):
            page.insert_text((left + 6 + width * k, top + 13 + height * r), cell, fontsize=10, fontname="tiro")
    bottom = top + height * len(cells)
    for y in [top + height * r for r in range(len(cells) + 1)] if ruled else [top, top + height, bottom]:
        page.draw_line((left, y), (right, y))
    if ruled:
        for k in range(len(cells[0]) + 1):
            page.draw_line((left + width * k, top), (left + width * k, bottom))


def cards(path: Path, letters: str, *, side: float = 28) -> Path:
    """One tiny page for each letter, whose only content and bookmark it is."""
    document = pymupdf.open()
    for letter in letters:
        page = document.new_page(width=side, height=side)
        page.insert_text((side * 0.3, side * 0.8), letter, fontsize=side * 0.8)
    document.set_toc([[1, letter, k] for k, letter in enumerate(letters, 1)])
    document.save(path, no_new_id=True)  # the same file for every run: its hash seeds the questions
    return path


def _word(k: int) -> str:
    return ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"][k]


def built(path: Path, **changes) -> Written:
    """What a build makes of one PDF; keys of the plan with "__" for the dot."""
    changes = {name.replace("__", "."): value for name, value in changes.items()}
    if tasks := changes.get("questions.per_task"):
        changes.setdefault("mixture.shares", dict.fromkeys(tasks, 1 / len(tasks)))
    plan = folder_plan("pdfs", {"output": "set", "pages.dpi": 36, **changes})
    item = {"source": path.name, "doc_id": hashlib.sha256(path.read_bytes()).hexdigest(), "language": "en"}
    return build_document(path, item, plan)
