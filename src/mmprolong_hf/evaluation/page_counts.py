"""How many pages the examples of a dataset have, beside MMLongBench's paper: a quick look at whether the right files were read."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, pstdev

from mmprolong_hf.evaluation.examples import Example, length_name

# Mean and standard deviation of the pages of an example: table 3 of arXiv 2505.10610.
PAPER_PAGES = {
    ("mmlongdoc", 65536): (28.0, 8.2),
    ("longdocurl", 65536): (28.6, 14.4),
    ("slidevqa", 65536): (67.2, 3.5),
    ("mmlongdoc", 131072): (56.4, 12.1),
    ("longdocurl", 131072): (55.3, 18.3),
    ("slidevqa", 131072): (135.2, 5.2),
}
UNUSUAL = 4  # standard errors


@dataclass(frozen=True)
class PageCount:
    """
    Pages of the examples of one dataset and length.

    Args:
        dataset (`str`), context_length (`int`, *optional*): Whose.
        num_examples (`int`): How many there are.
        mean, deviation (`float`): Of their pages.
        paper (`tuple[float, float]`, *optional*): The paper's mean and deviation, where it tells.

    Example:

    ```python
    >>> count = PageCount("slidevqa", 65536, 100, 20.0, 3.0, (67.2, 3.5))
    >>> print(count, count.is_unusual)
    slidevqa/64K: 20.0 +- 3.0 pages in each of 100 examples, MMLongBench's paper: 67.2 +- 3.5 True

    ```
    """

    dataset: str
    context_length: int | None
    num_examples: int
    mean: float
    deviation: float
    paper: tuple[float, float] | None

    @property
    def is_unusual(self) -> bool:
        """The mean is further from the paper's than chance allows in so many examples."""
        if self.paper is None:
            return False
        mean, deviation = self.paper
        return abs(self.mean - mean) > UNUSUAL * deviation / math.sqrt(self.num_examples)

    def __str__(self) -> str:
        length = f"/{length_name(self.context_length)}" if self.context_length else ""
        found = f"{self.mean:.1f} +- {self.deviation:.1f} pages in each of {self.num_examples} examples"
        paper = ", MMLongBench's paper: {:.1f} +- {:.1f}".format(*self.paper) if self.paper else ""
        return f"{self.dataset}{length}: {found}{paper}"


def pages_per_example(examples: Iterable[Example]) -> list[PageCount]:
    """One count for each dataset and length, in the order in which they first occur."""
    groups: dict[tuple[str, int | None], list[int]] = {}
    for example in examples:
        groups.setdefault((example.dataset, example.context_length), []).append(len(example.pages))
    return [
        PageCount(*key, len(pages), fmean(pages), pstdev(pages), PAPER_PAGES.get(key)) for key, pages in groups.items()
    ]
