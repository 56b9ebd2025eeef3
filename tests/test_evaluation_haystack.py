"""haystack.py: token counts equal to the encoded sample, the most pages that fit, the nearest page to a depth."""

import random

import pytest
import tiny

from mmprolong_hf.encoding import encode_sample
from mmprolong_hf.evaluation.haystack import (
    MIN_FILL,
    Haystack,
    context_length,
    context_span,
    fill_context,
    page_depths,
    page_order,
    pages_near_depth,
)
from mmprolong_hf.positions import mrope_position_ids

QUESTION, ANSWER = "What is the secret fruit?", "lemon"
SIZES = [(84 + 28 * (i % 2), 112) for i in range(40)]


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("num_pages", [1, 2, 11])
def test_context_length_is_that_of_the_encoded_sample(family, num_pages):
    processor = tiny.processor(family)
    images = [tiny.page(i, *SIZES[i]) for i in range(num_pages)]
    sample = encode_sample(processor, images, range(1, num_pages + 1), QUESTION, ANSWER)
    assert context_length(processor, SIZES[:num_pages], QUESTION, ANSWER) == len(sample["input_ids"])
    positions = mrope_position_ids(sample["mm_token_type_ids"], sample["image_grid_thw"], 2)
    assert context_span(processor, SIZES[:num_pages], QUESTION, ANSWER) == positions.max() + 1


@pytest.mark.parametrize("length", range(80, 700, 37))
def test_the_most_pages_that_fit(length):
    processor = tiny.processor()
    by_hand = [n for n in range(1, len(SIZES) + 1) if context_length(processor, SIZES[:n], QUESTION, ANSWER) <= length]
    assert fill_context(processor, SIZES, QUESTION, ANSWER, length) == by_hand[-1]


def test_a_context_without_a_page_or_short_of_pages_is_none():
    processor = tiny.processor()
    assert fill_context(processor, SIZES, QUESTION, ANSWER, 20) is None
    assert fill_context(processor, [], QUESTION, ANSWER, 1000) is None
    everything = context_length(processor, SIZES, QUESTION, ANSWER)
    assert fill_context(processor, SIZES, QUESTION, ANSWER, everything) == len(SIZES)
    assert fill_context(processor, SIZES, QUESTION, ANSWER, int(everything / MIN_FILL)) == len(SIZES)
    assert fill_context(processor, SIZES, QUESTION, ANSWER, int(everything / MIN_FILL) + 2) is None


def test_page_order_keeps_documents_whole_and_differs_by_seed():
    orders = [page_order([3, 2, 4, 1], random.Random(seed)) for seed in range(6)]
    assert len({tuple(order) for order in orders}) > 1
    for order in orders:
        assert sorted(order) == [(d, p) for d, n in enumerate([3, 2, 4, 1]) for p in range(n)]
        starts = [i for i, (_, page) in enumerate(order) if page == 0]
        for start, end in zip(starts, [*starts[1:], len(order)]):
            assert order[start:end] == [(order[start][0], page) for page in range(end - start)]


def nearest(image_tokens, depth):
    return pages_near_depth(page_depths(image_tokens), depth, 0)[0]


def test_depth_by_tokens_not_by_pages():
    assert nearest([10, 10, 1000, 10], 0.5) in (1, 2)
    assert nearest([1000, 10, 10, 10], 0.5) in (0, 1)
    assert nearest([1000, 10, 10, 10], 0.6) == 1
    assert [nearest([10] * 11, d / 10) for d in range(11)] == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 10]
    assert nearest([5], 1.0) == 0


def test_pages_within_reach_follow_the_nearest_by_their_distance():
    depths = page_depths([10] * 10)
    assert pages_near_depth(depths, 0.52, 0.05) == [5]
    assert pages_near_depth(depths, 0.52, 0.13) == [5, 6, 4]
    assert pages_near_depth(depths, 0.5, 0.11) == [5, 4, 6]


class Rows(list):
    """Counts how often each row is read."""

    def __init__(self, rows):
        super().__init__(rows)
        self.reads = []

    def __getitem__(self, index):
        self.reads.append(index)
        return super().__getitem__(index)


def test_pages_are_read_once_and_only_when_needed():
    images = [[tiny.page(10 * d + p) for p in range(3)] for d in range(4)]
    rows = Rows({"doc_id": f"doc-{d}", "images": pages} for d, pages in enumerate(images))
    haystack = Haystack(rows, [[image.size for image in pages] for pages in images], random.Random(1))
    assert rows.reads == []
    assert haystack.page(4) is haystack.page(4)
    source = haystack.source(4)
    assert haystack.page(4).open().tobytes() == images[int(source["doc_id"][-1])][source["page"] - 1].tobytes()
    assert len(rows.reads) == 1
    encoded = [{"doc_id": "a", "images": [{"bytes": b"as stored", "path": None}]}]
    assert Haystack(encoded, [[(1, 1)]], random.Random(0)).page(0).encoded() == b"as stored"
