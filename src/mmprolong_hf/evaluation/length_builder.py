"""Which pages make a context of a wanted length: a document cut from both sides, or filled up with pages of others."""

from collections.abc import Sequence
from typing import TypedDict

TARGET = -1  # stands for the document that is asked about, where a document of the pool has its index
# A context that is shorter than this part of the wanted length, because there are no more pages, is not of that length.
MIN_FILL = 0.9


class LengthError(ValueError):
    """The pages that are needed to answer do not fit."""


class BuiltContext(TypedDict):
    """
    What [`build`] chose.

    Args:
        pages (`list[list[int]]`): [document, page] of each, in order; the document is `TARGET` or an index into the pool.
        total (`int`): Tokens of all of them.
        answer_depths (`list[float]`): Share of the tokens that stands before each answer page, in the document's order.
    """

    pages: list[list[int]]
    total: int
    answer_depths: list[float]


def build(doc: Sequence[int], answer_pages: Sequence[int], pool: Sequence[Sequence[int]], budget: int) -> BuiltContext:
    """
    Fit a document into a budget of tokens. The rule is MMLongBench's (arXiv 2505.10610, appendix A.5), whose builder is not
    released; sides alternate, the left one first.

    A document that is too long loses its outermost pages, one at a time, but none from the first to the last answer page. One
    that is short gets whole documents of the pool before and behind it, in the pool's order; of the one that does not fit, the
    first pages that do, and there it ends.

    Args:
        doc (`Sequence[int]`): Tokens of each page of the document that is asked about.
        answer_pages (`Sequence[int]`): The pages that must stay, from 0; none where the document does not tell.
        pool (`Sequence[Sequence[int]]`): Tokens of each page of other documents.
        budget (`int`): Tokens for pages.

    Raises:
        ValueError: when the document has no page, or an answer page is not one of its pages.
        LengthError: when the pages that must stay are longer than the budget.

    Example:

    ```python
    >>> build([100] * 10, [4], [], budget=500)
    {'pages': [[-1, 3], [-1, 4], [-1, 5], [-1, 6], [-1, 7]], 'total': 500, 'answer_depths': [0.2]}
    >>> build([100, 100], [1], [[100, 100], [150, 150]], budget=600)["pages"]
    [[0, 0], [0, 1], [-1, 0], [-1, 1], [1, 0]]

    ```
    """
    if not doc:
        raise ValueError("the document has no page, expected at least one")
    if beyond := [page for page in answer_pages if not 0 <= page < len(doc)]:
        raise ValueError(f"answer page {beyond[0]} is not in the document, expected 0 to {len(doc) - 1}")
    start, end = _window(doc, answer_pages, budget)
    pages = [[TARGET, page] for page in range(start, end)]
    total = sum(doc[start:end])
    if end - start == len(doc):
        pages, total = _pad(pages, total, pool, budget)
    return {"pages": pages, "total": total, "answer_depths": _depths(doc, answer_pages, pool, pages, total)}


def _window(doc: Sequence[int], answer_pages: Sequence[int], budget: int) -> tuple[int, int]:
    """First page that stays, and the one after the last."""
    start, end, total, left = 0, len(doc), sum(doc), True
    first, last = (min(answer_pages), max(answer_pages)) if answer_pages else (len(doc), -1)
    while total > budget:
        more = end - start > 1
        can_left, can_right = more and not first <= start <= last, more and not first <= end - 1 <= last
        if not can_left and not can_right:
            raise LengthError(
                f"the pages {start} to {end - 1}, counted from 0, must stay and take {total} tokens, expected at most {budget}: "
                "take a longer context or smaller page images"
            )
        if can_left and (left or not can_right):
            total, start = total - doc[start], start + 1
        else:
            total, end = total - doc[end - 1], end - 1
        left = not left
    return start, end


def _pad(
    pages: list[list[int]], total: int, pool: Sequence[Sequence[int]], budget: int
) -> tuple[list[list[int]], int]:
    left = True
    for document, costs in enumerate(pool):
        taken = []
        for page, cost in enumerate(costs):
            if total + cost > budget:
                break
            taken.append([document, page])
            total += cost
        pages = taken + pages if left else pages + taken
        if len(taken) < len(costs):
            break
        left = not left
    return pages, total


def _depths(
    doc: Sequence[int],
    answer_pages: Sequence[int],
    pool: Sequence[Sequence[int]],
    pages: Sequence[Sequence[int]],
    total: int,
) -> list[float]:
    before, starts = 0, {}
    for document, page in pages:
        if document == TARGET:
            starts[page] = before
        before += doc[page] if document == TARGET else pool[document][page]
    return [starts[page] / total for page in sorted(set(answer_pages))]
