"""Which pages make a context of a wanted length, and which of them stands at a wanted depth."""

import random
from collections.abc import Sequence
from itertools import accumulate, takewhile

from transformers import ProcessorMixin

from mmprolong_hf.encoding import image_limits
from mmprolong_hf.evaluation.generate import page_image
from mmprolong_hf.evaluation.length_builder import MIN_FILL
from mmprolong_hf.evaluation.requests import PageImage
from mmprolong_hf.lengths import NUM_IMAGE_MARKERS, page_grid, page_tokens, sample_length, sample_span
from mmprolong_hf.prompt import text_length


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


class Haystack:
    """
    The pages of one trial in their order, each read or rendered once, when it is needed.

    Args:
        documents (`Sequence[dict]`): Rows with `doc_id` and `images` as in `DOCUMENT_FEATURES`.
        sizes (`Sequence[Sequence[tuple[int, int]]]`): (width, height) of every page of every document.
        rng (`random.Random`): Orders the documents.

    Example:

    ```python
    >>> from PIL import Image
    >>> images = [Image.new("RGB", (4, 3))]
    >>> haystack = Haystack([{"doc_id": "a", "images": images}], [[(4, 3)]], random.Random(0))
    >>> haystack.sizes, haystack.source(0), haystack.page(0).open().size
    ([(4, 3)], {'doc_id': 'a', 'page': 1}, (4, 3))

    ```
    """

    def __init__(self, documents: Sequence[dict], sizes: Sequence[Sequence[tuple[int, int]]], rng: random.Random):
        self._order = page_order([len(pages) for pages in sizes], rng)
        self.sizes = [tuple(sizes[document][page]) for document, page in self._order]
        self._documents = documents
        self._rows: dict[int, dict] = {}
        self._pages: dict[int, PageImage] = {}

    def page(self, index: int) -> PageImage:
        """The page at an index, counted from 0."""
        if index not in self._pages:
            document, page = self._order[index]
            self._pages[index] = page_image(self._row(document)["images"][page])
        return self._pages[index]

    def source(self, index: int) -> dict:
        """Which page of which document it is, the page counted from 1."""
        document, page = self._order[index]
        return {"doc_id": self._row(document)["doc_id"], "page": page + 1}

    def _row(self, document: int) -> dict:
        if document not in self._rows:
            self._rows[document] = self._documents[document]  # to read a row may read its images
        return self._rows[document]


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


def context_span(
    processor: ProcessorMixin, sizes: Sequence[tuple[int, int]], question: str, longest_answer: str
) -> int:
    """
    M-RoPE positions of the same context: far fewer than tokens, since a page moves them by its longer side only.

    Args:
        processor, sizes, question, longest_answer: As in [`context_length`].
    """
    limits = image_limits(processor)
    grids = [page_grid(width, height, limits) for width, height in sizes]
    return sample_span(text_length(processor, range(1, len(sizes) + 1), question, longest_answer), grids)


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


def page_depths(image_tokens: Sequence[int]) -> list[float]:
    """
    The depth at which each page starts: 0 is the start of the pages, 1 their end.

    Args:
        image_tokens (`Sequence[int]`): Of each page.

    Example:

    ```python
    >>> page_depths([98, 98, 198])
    [0.0, 0.25, 0.5]

    ```
    """
    starts = [0, *accumulate(tokens + NUM_IMAGE_MARKERS for tokens in image_tokens)]
    return [start / starts[-1] for start in starts[:-1]]


def pages_near_depth(depths: Sequence[float], depth: float, reach: float) -> list[int]:
    """
    The page, counted from 0, whose start is nearest to a depth, and after it those that are still within reach, by their
    distance; of two as near, the earlier first.

    Args:
        depths (`Sequence[float]`): Of each page, from [`page_depths`].
        depth (`float`): 0 is the start of the pages, 1 their end.
        reach (`float`): How far from the depth another page may start.

    Example:

    ```python
    >>> pages_near_depth([0.0, 0.2, 0.4, 0.8], 0.45, 0.3), pages_near_depth([0.0, 0.2, 0.4, 0.8], 1.0, 0.05)
    ([2, 1], [3])

    ```
    """
    distances = [round(abs(start - depth), 9) for start in depths]  # rounded, or halves would not be as near
    nearest = sorted(range(len(depths)), key=distances.__getitem__)
    return [nearest[0], *(page for page in nearest[1:] if distances[page] <= reach)]
