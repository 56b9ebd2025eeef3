"""The places that a question names: pages, numbered figures, tables and sections, and titles. Each must be one place."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from ..elements import Caption, Section
from ..headings import LEADER, split_number
from ..text import fold
from .document_text import DocumentText

PHRASES = Path(__file__).parent / "phrases.yaml"
Place = tuple[int, int]  # first and last page, 1-based
_JOIN = r"\s*(?:(?:,|-|–|/|&|\bto\b|\band\b|\bor\b|\bthrough\b)\s*)+"
_PAGES = re.compile(rf"(?:\bpages?|\bpp?\.)\s*(\d+(?:{_JOIN}(?:page\s+)?\d+)*)|第\s*(\d+)\s*[页頁]", re.IGNORECASE)
_RANGE = re.compile(r"\s*(?:-|–|\bto\b|\bthrough\b)\s*")
_LABEL_NUMBER = r"[A-Z]?\d+(?:[.-]\d+)*"
_LABELS = re.compile(
    rf"(?i:\b(?P<kind>figures?|figs?\.?|tables?|tabs?\.)|(?P<chinese>[图圖表]))\s*(?P<numbers>{_LABEL_NUMBER}(?:(?:,?\s+(?:and|or)\s+|,\s*){_LABEL_NUMBER})*)"
)
_SECTION_NUMBER = r"(?:\d+(?:\.\d+)*|[A-Z](?:\.\d+)*|[IVXL]+)(?![\w.]*\w)"
_NUMBERED = re.compile(
    rf"(?i:\b(?P<kind>(?:sub)*sections?|sec\.|chapters?|appendix|appendices|parts?))\s+(?P<numbers>{_SECTION_NUMBER}(?:(?:,?\s+(?:and|or)\s+|,\s*){_SECTION_NUMBER})*)"
)
_CHINESE_NUMBERED = re.compile(r"第\s*(?P<numbers>\d+(?:\.\d+)*)\s*(?P<kind>[章节節])")
_SINGLE_QUOTED = re.compile(r"(?<=\s)['‘]([^'‘’]+)['’](?=[\s,.;:?!)]|$)")
QUOTED = re.compile(r"[\"“]([^\"“”]+)[\"”]")
_TITLE_BEFORE = re.compile(
    r"\b(?:(?:sub)*sections?|chapters?|appendix|parts?|headings?|titles?|titled|headed|entitled|called|named|within)\W*$",
    re.IGNORECASE,
)
_CAPTION_BEFORE = re.compile(r"\bcaptions?\b(?:.*\b(?:begins|starts|reads|with|is))?\s*$", re.IGNORECASE)
_TERM_BEFORE = re.compile(r'\bterms? (?:""(?:,| and| or) )*$', re.IGNORECASE)
_UNQUOTED = re.compile(
    r"\b(?:[Tt]he|[Ii]n)\s+((?:[A-Z\d][\w&/'’.-]*\s+)(?:(?:[A-Z\d][\w&/'’.-]*|of|and|the|for|in|to|on|a)\s+){0,8})"
    r"(?:sub)*(?:section|chapter|appendix|part)\b"
)
_ALONE_ON_PAGE = re.compile(r"\bthe (figure|table) on page (\d+)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Anchor:
    """
    Words of a question that name a place, and every place of the document that they fit.

    Args:
        words (`str`): As the question has them.
        places (`tuple[Place]`): First and last page of each; empty where nothing has that name.
    """

    words: str
    places: tuple[Place, ...]


@cache
def load_phrases() -> dict:
    """The file of forbidden phrases: `conventions`, `vague` and `scopes`."""
    return yaml.safe_load(PHRASES.read_text(encoding="utf-8"))


def own_words(question: str) -> str:
    """
    A question without how pages are counted, and with everything between double quotes left out.

    Args:
        question (`str`): As the model sees it.

    Example:

    ```python
    >>> own_words('Counting the first page as page 1, on which page does the section "On page 7" start?')
    ', on which page does the section "" start?'

    ```
    """
    return QUOTED.sub('""', _without_conventions(question))


def find_anchors(question: str, text: DocumentText) -> list[Anchor]:
    """
    Every place that a question names, with where in the document it is.

    Args:
        question (`str`): As the model sees it.
        text (`DocumentText`): The whole document.
    """
    plain = own_words(question)
    found = [_pages(m, text) for m in _PAGES.finditer(plain)]
    found += [[a for n in _numbers(m) if (a := _label(m, n, text))] for m in _LABELS.finditer(plain)]
    found += [
        [_numbered(m, n, text) for n in _numbers(m)]
        for pattern in (_NUMBERED, _CHINESE_NUMBERED)
        for m in pattern.finditer(plain)
    ]
    found.append(_quoted(_without_conventions(question), text))
    found.append([a for m in _UNQUOTED.finditer(plain) if (a := _titled(m[1].strip(), text)).places])
    found.append([_alone(m, text) for m in _ALONE_ON_PAGE.finditer(plain)])
    return [anchor for anchors in found for anchor in anchors]


def ambiguous(anchors: list[Anchor], evidence_pages: tuple[int, ...]) -> list[Anchor]:
    """
    The anchors that fit several places, where neither all of them are evidence nor another anchor singles out one.

    Args:
        anchors (`list[Anchor]`): All of one question.
        evidence_pages (`tuple[int]`): Of the question.

    Example:

    ```python
    >>> summary = Anchor('"Summary"', ((4, 4), (9, 9)))
    >>> [a.words for a in ambiguous([summary], (4,))], ambiguous([summary], (4, 9))
    (['"Summary"'], [])
    >>> ambiguous([summary, Anchor("Chapter 2", ((8, 20),))], (9,))
    []

    ```
    """
    sure = [a.places[0] for a in anchors if len(a.places) == 1]

    def is_narrowed(anchor: Anchor) -> bool:
        return any(sum(first <= p[0] <= last for p in anchor.places) == 1 for first, last in sure)

    def is_all_evidence(anchor: Anchor) -> bool:
        pages = [first for first, _ in anchor.places]
        return len(pages) == len(set(pages)) and set(pages) <= set(evidence_pages)

    return [a for a in anchors if len(a.places) > 1 and not is_narrowed(a) and not is_all_evidence(a)]


def _without_conventions(question: str) -> str:
    for pattern in load_phrases()["conventions"]:
        question = re.sub(pattern, "", question, flags=re.IGNORECASE)
    # between double quotes, single ones are a part of what is quoted
    return question if QUOTED.search(question) else _SINGLE_QUOTED.sub(r'"\1"', question)


def _numbers(match: re.Match) -> list[str]:
    return re.split(r",?\s+(?:and|or)\s+|,\s*", match["numbers"])


def _pages(match: re.Match, text: DocumentText) -> list[Anchor]:
    """ "pages 3, 5 and 9" are three places, "pages 3 to 9" is one."""
    anchors = []
    for part in re.split(r"\s*(?:,|/|&|\band\b|\bor\b|\bpage\b)\s*", match[1] or match[2]):
        ends = [int(n) for n in _RANGE.split(part) if n]
        if ends:
            inside = 1 <= ends[0] <= ends[-1] <= text.num_pages
            anchors.append(Anchor(f"page {part.strip()}", ((ends[0], ends[-1]),) if inside else ()))
    return anchors


def _label(match: re.Match, number: str, text: DocumentText) -> Anchor | None:
    first = (match["kind"] or match["chinese"])[0].lower()
    kind = "Table" if first in "t表" else "Figure"
    places = tuple((c.page, c.page) for c in text.structure.captions if (c.kind, c.number) == (kind, number))
    if not places:  # no certain caption; then a line that begins with the label
        words = r"(?:table|tab\.|表)" if kind == "Table" else r"(?:figure|fig\.?|图|圖)"
        places = _lines(text, re.compile(rf"{words}\s*{re.escape(number)}(?![.-]?\d)", re.IGNORECASE).match)
    return Anchor(f"{kind} {number}", places)


def _numbered(match: re.Match, number: str, text: DocumentText) -> Anchor:
    """ "Chapter 4" is printed so, or is the chapter "4"; "section 3.2" is a number alone."""
    kind = next((k for k in ("chapter", "appendix", "part") if match["kind"].lower().startswith(k[:4])), "section")
    same = [s for s in text.structure.sections if _bare(s.number) == number.casefold()]
    exact = [s for s in same if s.number.casefold().startswith(kind)]
    bare = [s for s in same if s.number.casefold() == number.casefold()]
    places = tuple(_extent(s) for s in exact or bare or same)
    if not places:
        places = _lines(text, re.compile(rf"(?:{kind}\s+)?{re.escape(number)}\.?\s+[^\W\d_]", re.IGNORECASE).match)
    return Anchor(f"{kind} {number}", places)


def _bare(number: str) -> str:
    return re.sub(r"^(?:chapter|appendix|part|section)\s+|^第\s*|\s*[章节節部]$", "", number.casefold())


def _extent(section: Section) -> Place:
    return section.page, section.last_page


def _quoted(question: str, text: DocumentText) -> list[Anchor]:
    """What stands between quotes is a place only if the words before it say so; else it is a row or a sentence."""
    anchors = []
    for match in QUOTED.finditer(question):
        before = QUOTED.sub('""', question[: match.start()])
        if before.endswith('"" within ') and anchors:
            anchors[-1] = _nested(anchors[-1].words.strip('"'), match[1], text)
        elif _TITLE_BEFORE.search(before):
            anchors.append(_titled(match[1], text))
        elif _CAPTION_BEFORE.search(before):
            anchors.append(Anchor(match[0], tuple((c.page, c.page) for c in _captions(match[1], text))))
        elif _TERM_BEFORE.search(before):
            pages = [p for p in range(1, text.num_pages + 1) if text.holds(match[1], p)]
            anchors.append(Anchor(match[0], tuple((p, p) for p in pages)))
    return anchors


def _captions(start: str, text: DocumentText) -> list[Caption]:
    return [c for c in text.structure.captions if fold(c.text).startswith(fold(start))]


def _titled(title: str, text: DocumentText) -> Anchor:
    wanted = fold(title)
    places = tuple(_extent(s) for s in text.sections_titled(title))
    places += tuple((s.page, s.page) for s in text.structure.strays if wanted == fold(split_number(s.text)[1]))
    places = places or _lines(text, lambda line: wanted in (fold(line), fold(split_number(line)[1])))
    return Anchor(f'"{title}"', places)


def _nested(title: str, parent: str, text: DocumentText) -> Anchor:
    """ "Summary" within "Results": directly under a section of that title, or else anywhere under one."""
    sections = text.structure.sections
    above = text.sections_titled(parent)
    named = text.sections_titled(title)
    children = [s for s in named if s.parent >= 0 and sections[s.parent] in above]
    below = children or [s for s in named for p in above if p.page <= s.page <= p.last_page and s.level > p.level]
    return Anchor(f'"{title}" within "{parent}"', tuple(map(_extent, below)))


def _alone(match: re.Match, text: DocumentText) -> Anchor:
    """ "the table on page 7" says nothing if there are two."""
    kind, page = match[1].capitalize(), int(match[2])
    captions = sum(c.kind == kind and c.page == page for c in text.structure.captions)
    tables = sum(t.page == page for t in text.structure.tables) if kind == "Table" else 0
    return Anchor(match[0], ((page, page),) * max(1, captions, tables))


def _lines(text: DocumentText, fits) -> tuple[Place, ...]:
    """Pages of the lines that fit, one for each line, outside of lists of contents."""
    return tuple(
        (page.number, page.number)
        for page in text.pages
        for line in page.lines
        if fits(line.text) and not LEADER.search(line.text)
    )
