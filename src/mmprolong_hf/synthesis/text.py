"""Text as two PDF engines can agree on it."""

import re
import unicodedata
from functools import lru_cache

_HYPHENS = dict.fromkeys(map(ord, "‐‑‒­￾"), "-")
_NO_LETTERS = {code: None for code in range(128) if not chr(code).isalnum()}
_UNREADABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f�\ue000-\uf8ff]")


def clean(text: str) -> str:
    """
    Readable text: ligatures resolved, one kind of space and hyphen, runs of spaces joined.

    Args:
        text (`str`): As a PDF engine returns it.

    Example:

    ```python
    >>> clean("The ﬁrst\\u00a0 oﬃce ")
    'The first office'

    ```
    """
    if not text.isascii():  # most text is, and has none of all that
        text = unicodedata.normalize("NFKC", text).translate(_HYPHENS)
    return " ".join(text.split())


def is_clean(text: str) -> bool:
    """
    Whether every character has a meaning; PDFs with private fonts yield control and private-use characters.

    Args:
        text (`str`): Already passed through [`clean`].

    Example:

    ```python
    >>> is_clean("x² + 1"), is_clean("x\\ue012 + 1")
    (True, False)

    ```
    """
    return not _UNREADABLE.search(text)


@lru_cache(maxsize=100_000)  # every heading is compared with every line of its page, several times over
def fold(text: str) -> str:
    """
    What is left for comparing: letters and digits, lower case. Two engines disagree on spaces and hyphens, not on these.

    Args:
        text (`str`): Any text.

    Example:

    ```python
    >>> fold("3.2  Re-\\nﬁned Search")
    '32refinedsearch'

    ```
    """
    if text.isascii():
        return text.lower().translate(_NO_LETTERS)
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


def join_lines(lines: list[str], *, hyphenated: bool = True) -> str:
    """
    Lines of one paragraph as running text; a word cut by a hyphen at a line's end is joined again.

    The hyphen goes only between two lower-case letters ("compu-" + "tation"); "x-" + "Axis" and "2004-" + "2014" keep it.

    Args:
        lines (`list[str]`): Cleaned lines in reading order.
        hyphenated (`bool`, *optional*, defaults to `True`): Whether words may have been cut. Headings are set without
            that: there "architecture-" + "independent" keeps its hyphen.

    Example:

    ```python
    >>> join_lines(["the compu-", "tation of the", "X-", "Axis,", "2004-", "2014"])
    'the computation of the X-Axis, 2004-2014'

    ```
    """
    text = lines[0] if lines else ""
    for line in lines[1:]:
        before = text[-2:-1] if text.endswith("-") else ""
        if before.isalpha() or (before.isdigit() and line[:1].isdigit()):
            text = text[:-1] + line if hyphenated and before.islower() and line[:1].islower() else text + line
        else:
            text = f"{text} {line}" if text else line
    return text
