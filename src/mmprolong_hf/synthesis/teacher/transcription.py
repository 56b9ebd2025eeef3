"""The paper's transcription tasks: the text of all pages of a document, or of one to three of them."""

import random
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import yaml

from ..elements import Element, Page, Source, Structure
from ..layout import find_elements
from ..questions import TEACHER, Candidate, Evidence, choose
from ..schema import Question
from ..text import clean, is_clean

TEMPLATES = Path(__file__).parents[1] / "templates" / "transcription.yaml"
MIN_AGREEMENT = 0.9  # of two engines on the words of a page
MAX_NEEDLES = 3  # pages of one question
MIN_NEEDLE = 200  # characters; what hardly says anything is no needle
REPEATED = ("header", "footer")
_WORD = re.compile(r"\w+")
_CUT = re.compile(r"[-\ufffe\u00ad]\s*\n\s*")  # PDFium's mark of a word that goes on in the next line is U+FFFE
_SOURCES = {"section": "Layout", "title": "Layout", "caption": "Layout", "table": "Table"}


def ask_to_transcribe(
    source: Source, structure: Structure, second: Sequence[str], *, seed: str, num_needles: int = 4
) -> list[Candidate]:
    """
    The transcriptions that a document can be asked for, with the text of its elements as the answer.

    Only pages on which two engines read the same words are asked for; the whole document only if all its pages are such.

    Args:
        source (`Source`): The document as read.
        structure (`Structure`): Of the same source.
        second (`Sequence[str]`): The text of each page as a second engine reads it.
        seed (`str`): Chooses pages and wordings.
        num_needles (`int`, *optional*, defaults to `4`): Questions about one to three pages; no page is asked for twice.

    Returns:
        `list[Candidate]`: At most one `ocr-full` and `num_needles` of `ocr-needle`.
    """
    elements = [e for e in find_elements(source, structure) if e.kind not in (*REPEATED, "figure")]
    of_page: dict[int, list[Element]] = {page.number: [] for page in source.pages}
    for element in elements:
        of_page[element.page].append(element)
    reasons = refused_pages(source.pages, second)
    candidates = []
    if not reasons and elements:
        candidates.append(_pose("transcribe-document", of_page, len(source.pages), seed))
    usable = [n for n, found in of_page.items() if n not in reasons and sum(len(e.text) for e in found) >= MIN_NEEDLE]
    rng = random.Random(f"transcriptions {seed}")
    rng.shuffle(usable)
    for _ in range(num_needles):
        count = rng.randint(1, MAX_NEEDLES)
        chosen, usable = sorted(usable[:count]), usable[count:]
        if chosen and len(chosen) < len(source.pages):  # all pages are no needles
            kind = "transcribe-page" if len(chosen) == 1 else "transcribe-pages"
            candidates.append(_pose(kind, {n: of_page[n] for n in chosen}, len(source.pages), seed))
    return candidates


def refused_pages(pages: Sequence[Page], second: Sequence[str]) -> dict[int, str]:
    """
    The pages whose text is not certain enough to be learnt word by word, and why.

    Args:
        pages (`Sequence[Page]`): As the first engine read them.
        second (`Sequence[str]`): The text of each page as the second engine reads it.

    Returns:
        `dict[int, str]`: Page number -> `"engines_disagree"`, `"unreadable_characters"` or `"no_text"`.
    """
    reasons = {}
    for page, other in zip(pages, second, strict=True):
        text = "\n".join(line.text for line in page.lines)
        if agreement(text, other) < MIN_AGREEMENT:
            reasons[page.number] = "engines_disagree"
        elif not all(is_clean(line.text) for line in page.lines):
            reasons[page.number] = "unreadable_characters"
        elif not text and page.figures:
            reasons[page.number] = "no_text"  # a scanned page; a blank one has no text to miss
    return reasons


def agreement(first: str, second: str) -> float:
    """
    How far two engines read the same words: the Jaccard index of their words, each counted as often as it stands there.

    Args:
        first (`str`): Text of a page.
        second (`str`): Text of the same page.

    Example:

    ```python
    >>> agreement("the first of the pages", "of the first the\\npages"), agreement("one two", "one three")
    (1.0, 0.3333333333333333)

    ```
    """
    ours, theirs = (Counter(_WORD.findall(clean(_CUT.sub("", text)))) for text in (first, second))
    union = (ours | theirs).total()
    return (ours & theirs).total() / union if union else 1.0


@cache
def _load_templates() -> dict:
    return yaml.safe_load(TEMPLATES.read_text(encoding="utf-8"))


def _pose(kind: str, pages: dict[int, list[Element]], num_pages: int, seed: str) -> Candidate:
    templates = _load_templates()
    wording = choose(templates["kinds"][kind]["wordings"], seed, kind, *pages)
    answer = "\n\n".join("\n\n".join([f"Page {n}:", *(_as_text(e) for e in found)]) for n, found in pages.items())
    evidence = tuple(Evidence(number, (0.0, 0.0, 1.0, 1.0), "", "Text") for number in pages)
    sources = {_SOURCES.get(e.kind, "Text") for found in pages.values() for e in found}
    named = _listed([str(n) for n in pages])
    question = Question(
        question=" ".join([wording.format(pages=named), *templates["form"]]),
        answer=answer,
        task=templates["kinds"][kind]["task"],
        answer_format="String",
        evidence_pages=tuple(pages),
        evidence_sources=tuple(sorted(sources)),
        evidence_boxes=tuple((float(e.page), *e.box) for e in evidence),
        template=kind,
        segment=(1, num_pages),
        evidence_quotes=tuple(e.text for e in evidence),
        anchor="" if kind == "transcribe-document" else f"page{'s' * (len(pages) > 1)} {named}",
        teacher=TEACHER,
    )
    return Candidate(question, evidence, (answer,))


def _as_text(element: Element) -> str:
    if element.kind in ("title", "section"):
        return "#" * max(1, min(element.level, 6)) + " " + element.text
    return element.text


def _listed(words: list[str]) -> str:
    """
    Words as they are listed in a sentence.

    Example:

    ```python
    >>> _listed(["3"]), _listed(["3", "7", "12"])
    ('3', '3, 7 and 12')

    ```
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
