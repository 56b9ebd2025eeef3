"""One PDF to one row: a pure function of the file, the seed and the options."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..lengths import QWEN2_5_VL_LIMITS, page_tokens
from .confirm import confirm
from .mixture import choose_questions
from .pages import read_pdf
from .questions import flaw, known_kinds
from .rejected import RejectedDocument
from .structure import build_structure
from .teacher.extractive import ask


@dataclass(frozen=True)
class BuildOptions:
    """
    What decides the rows of a build.

    Args:
        dpi (`int`, *optional*, defaults to `144`): Pixels per inch of the page images.
        questions_per_document (`int`, *optional*, defaults to `16`): At most so many are kept.
        seed (`int`, *optional*, defaults to `0`): Of segments, partners, wordings and choice.
        min_pages (`int`, *optional*, defaults to `1`): Shorter documents are rejected.
        max_pages (`int`, *optional*, defaults to `200`): Longer documents are rejected.
        max_pixels (`int`, *optional*, defaults to `40_000_000`): Documents with a larger page image are rejected.
        min_characters (`int`, *optional*, defaults to `50`): Documents with fewer characters on a page, in the mean, are
            rejected as nearly empty.
        kinds (`tuple[str]`, *optional*): Only these kinds of question, see `questions.known_kinds`; all if not given.

    Raises:
        ValueError: for a number below its minimum or an unknown kind.

    Example:

    ```python
    >>> BuildOptions(kinds=("section-pages",)).kinds
    ('section-pages',)
    >>> BuildOptions(dpi=0)
    Traceback (most recent call last):
    ...
    ValueError: dpi is 0, expected at least 1

    ```
    """

    dpi: int = 144
    questions_per_document: int = 16
    seed: int = 0
    min_pages: int = 1
    max_pages: int = 200
    max_pixels: int = 40_000_000
    min_characters: int = 50
    kinds: tuple[str, ...] | None = None

    def __post_init__(self):
        for name, least in (("dpi", 1), ("questions_per_document", 1), ("min_pages", 1), ("min_characters", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least {least}")
        if self.max_pages < self.min_pages:
            raise ValueError(f"max_pages is {self.max_pages}, expected at least min_pages={self.min_pages}")
        for kind in self.kinds or ():
            if kind not in known_kinds():
                raise ValueError(f"unknown kind of question {kind!r}, expected some of {', '.join(known_kinds())}")


def build_document(path: str | Path, source: str, options: BuildOptions) -> tuple[dict, Counter]:
    """
    Read one PDF, ask and check its questions, and make its row.

    Args:
        path (`str` or `Path`): The file.
        source (`str`): How the row names it.
        options (`BuildOptions`): What decides the row.

    Returns:
        `tuple[dict, Counter]`: A row of `schema.DOCUMENT_FEATURES`, and how many questions were dropped by reason.

    Raises:
        RejectedDocument: as `pages.read_pdf`, and no_questions.
    """
    try:
        doc_id = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise RejectedDocument("unreadable", f"the file cannot be read ({error.strerror})") from error
    seed = f"{options.seed} {doc_id}"
    document = read_pdf(
        path,
        dpi=options.dpi,
        min_pages=options.min_pages,
        max_pages=options.max_pages,
        max_pixels=options.max_pixels,
        min_characters=options.min_characters,
    )
    candidates = ask(build_structure(document), seed=seed, kinds=options.kinds)
    flaws = [flaw(c) for c in candidates]
    dropped = Counter(f for f in flaws if f)
    confirmed, unconfirmed = confirm(path, [c for c, f in zip(candidates, flaws) if not f])
    chosen = choose_questions(confirmed, options.questions_per_document, len(document.pages), seed=seed)
    if not chosen:
        raise RejectedDocument(
            "no_questions", f"of {len(candidates)} possible questions none was certain; expected sections or captions"
        )
    pages = document.pages
    row = {
        "doc_id": doc_id,
        "source": source.encode("utf-8", "backslashreplace").decode(),  # a file's name need not be text
        "title": document.title,
        "num_pages": len(pages),
        "dpi": options.dpi,
        "engine": document.engine,
        "page_sizes": [[p.width, p.height] for p in pages],
        "page_tokens": [page_tokens(p.width, p.height, QWEN2_5_VL_LIMITS) for p in pages],
        "images": [{"bytes": p.image, "path": None} for p in pages],
        "questions": [c.question.to_row() for c in chosen],
    }
    return row, dropped + unconfirmed
