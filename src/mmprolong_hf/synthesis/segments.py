"""Cuts a document into runs of consecutive pages, of the length that a teacher is shown."""

import random

from .elements import Section


def sample_segments(
    sections: tuple[Section, ...], num_pages: int, *, seed: str, shortest: int = 8, longest: int = 15
) -> list[tuple[int, int]]:
    """
    Segments that together cover every page; each ends, where it can, right before a section starts.

    The paper shows its teacher consecutive sections of 8-15 pages. Among the section starts in reach the one of the
    highest level is taken, and chance decides between equals. Only the last segment may overlap the one before it,
    so that it too has its `shortest` pages.

    Args:
        sections (`tuple[Section]`): In reading order.
        num_pages (`int`): Pages of the document.
        seed (`str`): Of the choice between equals.
        shortest (`int`, *optional*, defaults to `8`): Least pages of a segment, unless the document has fewer.
        longest (`int`, *optional*, defaults to `15`): Most pages of a segment.

    Returns:
        `list[tuple[int, int]]`: First and last page of each, 1-based.

    Example:

    ```python
    >>> sample_segments((), 5, seed="0")
    [(1, 5)]
    >>> chapter = Section("Results", "2", 1, 10, 20, -1, (0.1, 0.1, 0.5, 0.2), ("Bold", 17.0), True)
    >>> sample_segments((chapter,), 20, seed="0")
    [(1, 9), (10, 20)]

    ```
    """
    rng = random.Random(f"segments {seed}")
    levels = {}
    for section in sections:
        levels[section.page] = min(section.level, levels.get(section.page, section.level))
    segments, first = [], 1
    while num_pages - first + 1 > longest:
        ends = range(first + shortest - 1, min(first + longest - 1, num_pages) + 1)
        best = min(levels.get(end + 1, 99) for end in ends)
        end = rng.choice([end for end in ends if levels.get(end + 1, 99) == best])
        segments.append((first, end))
        first = end + 1
    segments.append((max(1, min(first, num_pages - shortest + 1)), num_pages))
    return segments
