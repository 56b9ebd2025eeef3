"""Which pages make a context of a wanted length, and which of them stands at a wanted depth."""

import random
from collections.abc import Sequence
from itertools import accumulate, takewhile

from transformers import ProcessorMixin

from mmprolong_hf.encoding import image_limits
from mmprolong_hf.prompt import text_length
from mmprolong_hf.lengths import NUM_IMAGE_MARKERS, page_grid, page_tokens, sample_length

# A context that is shorter than this part of the wanted length, because there are no more pages, is not of that length.
MIN_FILL = 0.9


def page_order(num_pages: Sequence[int], rng: random.Random) -> list[tuple[int, int]]:
    """
    All pages as (document, page), both counted from 0: document by document, the documents in random order.

    Haystacks are beginnings of this list, so that a longer one holds all of a shorter one.

    Args:
        num_pages (`Sequence[int]`): Number of pages of each document.
        rng (`random.Random`): Orders the documents.

    Example:

    ```python
    >>> page_order([2, 3], random.Random(0))
    [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]

    ```
    """
    documents = list(range(len(num_pages)))
    rng.shuffle(documents)
    return [(document, page) for document in documents for page in range(num_pages[document])]


def context_length(
    processor: ProcessorMixin, sizes: Sequence[tuple[int, int]], question: str, longest_answer: str
) -> int:
    """
    Tokens of all pages, the question and the answer, as [`~mmprolong_hf.encoding.encode_sample`] makes them.

    Args:
        processor (`ProcessorMixin`): From [`~mmprolong_hf.encoding.load_processor`].
        sizes (`Sequence[tuple[int, int]]`): (width, height) of each page image in pixels.
        question (`str`): What is asked.
        longest_answer (`str`): The answer that room is left for.
    """
    limits = image_limits(processor)
    grids = [page_grid(width, height, limits) for width, height in sizes]
    return sample_length(text_length(processor, range(1, len(sizes) + 1), question, longest_answer), grids)


def fill_context(
    processor: ProcessorMixin, sizes: Sequence[tuple[int, int]], question: str, longest_answer: str, length: int
) -> int | None:
    """
    How many of the first pages fit into a context with the question and the answer.

    Args:
        processor, sizes, question, longest_answer: As in [`context_length`], with all pages there are.
        length (`int`): Tokens of the context.

    Returns:
        `int` or `None`: The most pages whose context has at most `length` tokens; `None` if not one fits, or if all of them
        together do not fill it.
    """

    def tokens(num_pages: int) -> int:
        return context_length(processor, sizes[:num_pages], question, longest_answer)

    limits = image_limits(processor)
    images = accumulate(page_tokens(width, height, limits) for width, height in sizes)
    candidates = sum(1 for _ in takewhile(lambda image_tokens: image_tokens <= length, images))
    fitting, beyond = 0, candidates + 1  # bisection: tokens grow with every page
    while beyond - fitting > 1:
        middle = (fitting + beyond) // 2
        fitting, beyond = (middle, beyond) if tokens(middle) <= length else (fitting, middle)
    if fitting == 0 or (fitting == len(sizes) and tokens(fitting) < MIN_FILL * length):
        return None
    return fitting


def page_at_depth(image_tokens: Sequence[int], depth: float) -> int:
    """
    The page, counted from 0, whose start is nearest to a depth; of two as near, the earlier.

    Args:
        image_tokens (`Sequence[int]`): Of each page.
        depth (`float`): 0 is the start of the pages, 1 their end.

    Example:

    ```python
    >>> [page_at_depth([100, 100, 200, 100], depth) for depth in (0.0, 0.45, 0.7, 1.0)]
    [0, 2, 3, 3]

    ```
    """
    costs = [tokens + NUM_IMAGE_MARKERS for tokens in image_tokens]
    starts = [0, *accumulate(costs)]
    return min(range(len(costs)), key=lambda page: abs(starts[page] - depth * starts[-1]))
