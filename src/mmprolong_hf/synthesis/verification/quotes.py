"""Whether a quote is printed on its page, and whether an answer is in the quotes."""

import re
from collections.abc import Iterable

from rapidfuzz import fuzz
from rapidfuzz.distance import LCSseq

from ..text import clean, fold
from .document_text import DocumentText
from .expression import NUMBER, to_decimal

MIN_ALIGNED = 75  # percent of a quote by which its place on the page is found
MIN_SHARED = (
    0.95  # part of its letters that stand at this place in the same order: words may be missing, hardly a letter added
)
MIN_FUZZY = 20  # letters; a shorter quote is right or wrong
SLACK = 0.2  # of a quote's length, by which its place may be longer than the quote
CONTEXT = 3  # letters beside a number
_ELLIPSIS = re.compile(r"\s*(?:\[\s*(?:\.\.\.|…)\s*\]|\.\.\.+|…)\s*")
_SMALL = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_WORD = re.compile(r"[^\W\d_]{3,}")
MIN_WORDS = 0.6  # part of an answer's words that its quotes must have


def is_printed(quote: str, number: int, text: DocumentText, *, exact: bool) -> bool:
    """
    Whether both engines read a quote on a page.

    Letters and digits are compared, in order. A model's quote may leave words out, many with "...", and may add or change a
    few letters, never a digit.

    Args:
        quote (`str`): What is said to be printed.
        number (`int`): The page, 1-based.
        text (`DocumentText`): The document.
        exact (`bool`): Whether the quote was copied by a program.
    """
    if not fold(quote):
        signs = "".join(clean(quote).split())
        return bool(signs) and all(signs in page for page in text.unfolded(number))
    pages = text.folded(number)
    if exact:
        return all(fold(quote) in page for page in pages)
    return all(_resembles(fold(piece), page) for page in pages for piece in _ELLIPSIS.split(quote))


def answer_in(parts: Iterable[str], printed: str, pages: Iterable[int]) -> str | None:
    """
    The first part of an answer that its quotes do not have, or None.

    Numbers are compared as numbers, and may be those of evidence pages; of words most must be there, in any order.

    Args:
        parts (`Iterable[str]`): Of the answer.
        printed (`str`): All quotes together.
        pages (`Iterable[int]`): Of the evidence.

    Example:

    ```python
    >>> answer_in(["1250", "the North station"], "Visitors of North: 1,250 in May at the station", [3]) is None
    True
    >>> answer_in(["1251"], "Visitors of North: 1,250", [3]), answer_in(["3"], "Visitors of North: 1,250", [3])
    ('1251', None)

    ```
    """
    numbers = {to_decimal(n) for n in NUMBER.findall(printed)} | set(pages)
    numbers |= {k for k, word in enumerate(_SMALL) if re.search(rf"\b{word}\b", printed, re.IGNORECASE)}
    return next((part for part in parts if not _has(part, printed, numbers)), None)


def _has(part: str, printed: str, numbers: set) -> bool:
    words, own = _WORD.findall(part), NUMBER.findall(part)
    if words and fold(part) in fold(printed):
        return True
    if not all(to_decimal(n) in numbers for n in own):
        return False
    if fold(part) in ("yes", "no", "true", "false"):
        return True  # says something of the quotes, and is none of their words
    if not words:
        return bool(own) or fold(part) in fold(printed)
    return sum(fold(word) in fold(printed) for word in words) >= MIN_WORDS * len(words)


def _resembles(quote: str, page: str) -> bool:
    if quote in page:
        return True
    if len(quote) < MIN_FUZZY:
        return False
    found = fuzz.partial_ratio_alignment(quote, page, score_cutoff=MIN_ALIGNED)
    if found is None:
        return False
    slack = int(SLACK * len(quote))
    window = page[max(0, found.dest_start - slack) : found.dest_end + slack]
    shared = LCSseq.similarity(quote, window)
    return shared >= MIN_SHARED * len(quote) and all(_stands(n, quote, window) for n in re.finditer(r"\d+", quote))


def _stands(number: re.Match, quote: str, window: str) -> bool:
    """
    A number is the right one if the letters before it, or those after it, are the same. At the ends of a quote nothing is
    known of its neighbours: without spaces and points, "2009. 15" goes on in digits.
    """
    start, end = number.span()
    before, after = quote[max(0, start - CONTEXT) : end], quote[start : end + CONTEXT]
    is_after = start > 0 and re.search(re.escape(before) + (r"(?!\d)" if end < len(quote) else ""), window)
    is_before = end < len(quote) and re.search((r"(?<!\d)" if start > 0 else "") + re.escape(after), window)
    return bool(is_after or is_before)
