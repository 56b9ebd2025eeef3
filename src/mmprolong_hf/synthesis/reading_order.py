"""Puts boxes on a page into the order in which they are read: column by column, from top to bottom."""

from collections.abc import Callable
from typing import TypeVar

from .elements import Box

T = TypeVar("T")
MIN_COLUMN = 0.15  # of the page's height: by so much two columns stand beside each other
MIN_FILLED = 0.6  # of that height is covered by each column; a few labels at a margin are none


def in_reading_order(items: list[T], box_of: Callable[[T], Box]) -> list[T]:
    """
    Items from top to bottom; where they stand in columns, one column after the other.

    What reaches over the gap between two columns, as a title does, parts them into what stands above and what stands below.

    Args:
        items (`list`): Of one page.
        box_of (`Callable[[T], Box]`): The box of an item.

    Example:

    ```python
    >>> boxes = {"title": (0.1, 0.1, 0.9, 0.2), "a": (0.1, 0.3, 0.45, 0.5), "b": (0.1, 0.55, 0.45, 0.8), "c": (0.55, 0.3, 0.9, 0.8)}
    >>> in_reading_order(["c", "b", "title", "a"], boxes.get)
    ['title', 'a', 'b', 'c']

    ```
    """
    items = sorted(items, key=lambda item: (box_of(item)[1], box_of(item)[0]))
    gap = _gap([box_of(item) for item in items])
    if gap is None:
        return items
    ordered, left, right = [], [], []
    for item in items:
        x0, _, x1, _ = box_of(item)
        if x1 <= gap:
            left.append(item)
        elif x0 >= gap:
            right.append(item)
        else:
            ordered += in_reading_order(left, box_of) + in_reading_order(right, box_of) + [item]
            left, right = [], []
    return ordered + in_reading_order(left, box_of) + in_reading_order(right, box_of)


def _gap(boxes: list[Box]) -> float | None:
    """Where a vertical line parts two columns, crossed by as few boxes as can be; None if there is one column only."""
    best = None
    for x in sorted({box[0] for box in boxes}):  # a column begins there
        left = [box for box in boxes if box[2] <= x]
        right = [box for box in boxes if box[0] >= x]
        if left and right and _are_columns(left, right):
            crossing = len(boxes) - len(left) - len(right)
            if best is None or crossing < best[0]:
                best = (crossing, x)
    return best and best[1]


def _are_columns(left: list[Box], right: list[Box]) -> bool:
    top = max(min(box[1] for box in left), min(box[1] for box in right))
    bottom = min(max(box[3] for box in left), max(box[3] for box in right))
    if bottom - top < MIN_COLUMN:
        return False
    return all(_filled(column, top, bottom) >= MIN_FILLED * (bottom - top) for column in (left, right))


def _filled(boxes: list[Box], top: float, bottom: float) -> float:
    """Height between two heights that boxes, which may overlap, cover together."""
    filled = 0.0
    for _, y0, _, y1 in sorted(boxes, key=lambda box: box[1]):
        filled += max(0.0, min(y1, bottom) - max(y0, top))
        top = max(top, y1)
    return filled
