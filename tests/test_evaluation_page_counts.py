"""evaluation/page_counts.py: pages of an example beside the paper's."""

from dataclasses import replace

import pytest
from test_evaluation_examples import EXAMPLE

from mmprolong_hf.evaluation.page_counts import PageCount, pages_per_example


def with_pages(dataset: str, length: int, num_pages: int):
    pages = {"pages": EXAMPLE.pages[:1] * num_pages, "labels": ("a",) * num_pages, "page_numbers": (1,) * num_pages}
    return replace(EXAMPLE, dataset=dataset, context_length=length, evidence=(), **pages)


def test_counts_of_each_dataset_and_length():
    examples = [with_pages("slidevqa", 65536, n) for n in (66, 68)] + [with_pages("slidevqa", 8192, 3)]
    first, second = pages_per_example(examples)
    assert (first.num_examples, first.mean, first.deviation, first.paper) == (2, 67, 1, (67.2, 3.5))
    assert (second.mean, second.paper, second.is_unusual) == (3, None, False)
    assert not first.is_unusual


@pytest.mark.parametrize(("mean", "unusual"), [(28.0, False), (31.2, False), (31.4, True), (24.6, True)])
def test_unusual_is_more_than_four_standard_errors(mean, unusual):
    assert PageCount("mmlongdoc", 65536, 100, mean, 8.0, (28.0, 8.2)).is_unusual is unusual
