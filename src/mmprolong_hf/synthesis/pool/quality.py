"""What a document's own record says against it."""

from collections.abc import Mapping

from .language import UNKNOWN
from .options import PoolOptions

Flaw = tuple[str, str]  # reason, detail


def text_flaw(row: Mapping, options: PoolOptions) -> Flaw | None:
    """
    Whether there is too little text; known before a page is rendered.

    Args:
        row (`Mapping`): At least `num_pages`, `characters` and `scanned_pages` of a row of `manifest.POOL_SCHEMA`.
        options (`PoolOptions`): The limits.

    Returns:
        `tuple[str, str] | None`: (`"scanned"` or `"nearly_empty"`, detail).

    Example:

    ```python
    >>> text_flaw({"num_pages": 30, "characters": 90, "scanned_pages": 30}, PoolOptions())[0]
    'scanned'
    >>> text_flaw({"num_pages": 30, "characters": 90, "scanned_pages": 2}, PoolOptions(scanned="keep"))
    ('nearly_empty', 'its pages hold 3 characters on average; expected min_characters=50')

    ```
    """
    mean = row["characters"] / row["num_pages"]
    if mean >= options.min_characters:
        return None
    if not _is_scan(row):
        return (
            "nearly_empty",
            f"its pages hold {mean:.0f} characters on average; expected min_characters={options.min_characters}",
        )
    if options.scanned == "keep":
        return None
    return (
        "scanned",
        f"{row['scanned_pages']} of its {row['num_pages']} pages are images without text; expected a layer of text, "
        "or scanned='keep' and an engine that reads it",
    )


def flaw(row: Mapping, options: PoolOptions) -> Flaw | None:
    """
    The first thing that a document's own record says against it.

    Args:
        row (`Mapping`): Of `manifest.POOL_SCHEMA`.
        options (`PoolOptions`): The limits.

    Returns:
        `tuple[str, str] | None`: Reason (too_few_pages, too_many_pages, nearly_empty, scanned, repeated_pages,
        wrong_language) and detail.
    """
    pages, repeated, most = row["num_pages"], row["repeated_pages"], options.max_repeated_pages
    if found := pages_flaw(pages, options) or text_flaw(row, options):
        return found
    if most is not None and repeated > most * pages:
        return (
            "repeated_pages",
            f"{repeated} of its {pages} pages repeat an earlier page; expected a share of at most "
            f"max_repeated_pages={most}",
        )
    unreadable = _is_scan(row) and row["language"] == UNKNOWN  # kept for an engine that will read it
    if options.languages and row["language"] not in options.languages and not unreadable:
        return (
            "wrong_language",
            f"its language is {row['language']} ({row['language_confidence']:.0%} certain); expected one of "
            f"{', '.join(options.languages)}",
        )
    return None


def pages_flaw(num_pages: int, options: PoolOptions) -> Flaw | None:
    """
    Whether there are too few or too many pages; known before a page is read.

    Args:
        num_pages (`int`): Of the document.
        options (`PoolOptions`): The limits.

    Example:

    ```python
    >>> pages_flaw(3, PoolOptions())
    ('too_few_pages', 'it has 3 pages; expected at least min_pages=20')

    ```
    """
    if num_pages < options.min_pages:
        return "too_few_pages", f"it has {num_pages} pages; expected at least min_pages={options.min_pages}"
    if num_pages > options.max_pages:
        return "too_many_pages", f"it has {num_pages} pages; expected at most max_pages={options.max_pages}"
    return None


def _is_scan(row: Mapping) -> bool:
    return row["scanned_pages"] * 2 >= row["num_pages"]
