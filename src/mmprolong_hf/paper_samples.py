"""Samples as long as the paper's, to plan a run with where its dataset cannot be reached."""

from dataclasses import dataclass

import numpy as np

from mmprolong_hf.lengths import (
    NUM_IMAGE_MARKERS,
    QWEN2_5_VL_LIMITS,
    ImageLimits,
    page_grid,
    sample_length,
    sample_span,
)

SHORTEST, LONGEST = 32_800, 126_800  # tokens
FEWEST_PAGES, MOST_PAGES = 32, 50
# Fitted so that the cut shapes have the published means (85.3K tokens, 38.4 pages) and tail (23.6 % at 100K or more).
LENGTH_MEAN, LENGTH_DEVIATION = 86_400, 20_600
PAGE_DECAY = 0.825
LARGEST_PAGE = 2580  # tokens of A4 at 144 dpi
PAGE_RATIO = 11 / 8.5
TOKEN_SIDE = 28  # pixels; the published figures are Qwen2.5-VL's
BATCH = 4096  # drawn at once, so that the first samples of a seed do not depend on how many are asked for


@dataclass(frozen=True)
class SampleSizes:
    """
    Sizes of many samples, one entry a sample; all pages of a sample are of one size.

    Args:
        lengths (`np.ndarray` of shape `(num_samples,)`): Tokens.
        spans (`np.ndarray` of shape `(num_samples,)`): M-RoPE positions, the largest one plus one.
        num_pages (`np.ndarray` of shape `(num_samples,)`): Page images.
        page_patches (`np.ndarray` of shape `(num_samples,)`): Patches of each page, before merging.
    """

    lengths: np.ndarray
    spans: np.ndarray
    num_pages: np.ndarray
    page_patches: np.ndarray


def paper_samples(num_samples: int, seed: int, limits: ImageLimits = QWEN2_5_VL_LIMITS) -> SampleSizes:
    """
    Samples as long as those of MMProLong's pool-native set, to plan with where no dataset can be reached.

    The paper (arXiv 2605.13831, dataset statistics) gives 32 to 50 pages, 38.4 on average, and 32.8K to 126.8K tokens,
    85.3K on average, 23.6 % of the samples at 100K or more. The shapes between are not published: lengths are drawn
    from a normal cut to that range, pages from a geometric cut to theirs, with no page above A4 at 144 dpi.

    Args:
        num_samples (`int`): Samples to draw.
        seed (`int`): The same seed draws the same documents.
        limits (`ImageLimits`, *optional*): The processor that reads them; the paper's figures hold for Qwen2.5-VL's.

    Example:

    ```python
    >>> sizes = paper_samples(1000, seed=0)
    >>> int(sizes.lengths.mean()), int(sizes.lengths.max()), int(sizes.spans.max())  # long, and yet few positions
    (84464, 125983, 3433)

    ```
    """
    random = np.random.RandomState(seed)
    page_odds = PAGE_DECAY ** np.arange(MOST_PAGES - FEWEST_PAGES + 1)
    drawn = []
    while len(drawn) < num_samples:
        targets = LENGTH_MEAN + LENGTH_DEVIATION * random.standard_normal(BATCH)
        targets = targets[(targets >= SHORTEST) & (targets <= LONGEST)]
        pages = FEWEST_PAGES + random.choice(len(page_odds), size=len(targets), p=page_odds / page_odds.sum())
        pages = np.maximum(pages, np.ceil(targets / LARGEST_PAGE).astype(int))
        # "Page 12:\n" before each page is 6 tokens; the chat template, a question and its answer are 60 to 200
        text_tokens = 6 * pages + random.randint(60, 200, size=len(targets))
        widths = TOKEN_SIDE * np.sqrt(((targets - text_tokens) / pages - NUM_IMAGE_MARKERS) / PAGE_RATIO)
        for num_pages, text, width in zip(pages.tolist(), text_tokens.tolist(), widths.tolist(), strict=True):
            size = round(width), round(width * PAGE_RATIO)
            # whole tokens round a page up or down, which can carry a sample over the edge of the range
            if SHORTEST <= sample_length(text, [page_grid(*size)] * num_pages) <= LONGEST:
                rows, cols = page_grid(*size, limits)
                grids = [(rows, cols)] * num_pages
                patches = rows * cols * limits.merge_size**2
                drawn.append((sample_length(text, grids), sample_span(text, grids), num_pages, patches))
    return SampleSizes(*np.array(drawn[:num_samples], dtype=np.int64).reshape(-1, 4).T)
