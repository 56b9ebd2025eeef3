import numpy as np
import pytest

from mmprolong_hf.lengths import QWEN3_VL_LIMITS
from mmprolong_hf.paper_samples import paper_samples
from mmprolong_hf.plan import PackingPlan


@pytest.fixture(scope="module")
def sizes():
    return paper_samples(20_000, seed=0)


def test_published_token_statistics(sizes):
    assert 32_800 <= sizes.lengths.min() < 35_000
    assert 125_000 < sizes.lengths.max() <= 126_800
    assert sizes.lengths.mean() == pytest.approx(85_300, rel=0.01)
    assert 0.22 <= (sizes.lengths >= 100_000).mean() <= 0.24


def test_published_page_statistics(sizes):
    assert (sizes.num_pages.min(), sizes.num_pages.max()) == (32, 50)
    assert sizes.num_pages.mean() == pytest.approx(38.4, rel=0.01)


def test_sizes_fit_each_other(sizes):
    in_pages = sizes.num_pages * sizes.page_patches // 4
    text = sizes.lengths - in_pages - 2 * sizes.num_pages
    assert text.min() >= 6 * 32 + 60
    assert text.max() < 6 * 50 + 200
    assert (sizes.page_patches <= 4 * 2650).all()  # A4 is 2,580, and whole rows and columns round
    rows = (sizes.spans - text) / sizes.num_pages - 2
    assert (np.abs(rows - np.sqrt(sizes.page_patches / 4 * 11 / 8.5)) < 1).all()


def test_the_fill_that_these_lengths_allow(sizes):
    """Documents above half a window pair with little: 77 % is what best-fit decreasing reaches on the paper's set."""
    assert PackingPlan(sizes.lengths, 131072, seed=0).fill == pytest.approx(0.77, abs=0.01)


def test_a_seed_draws_the_same_documents_for_any_number_and_processor(sizes):
    few = paper_samples(100, seed=0, limits=QWEN3_VL_LIMITS)
    assert (few.num_pages == sizes.num_pages[:100]).all()
    ratio = few.page_patches / sizes.page_patches[:100]
    assert ratio.mean() == pytest.approx((14 / 16) ** 2, rel=0.02)
    assert not np.array_equal(paper_samples(100, seed=1).lengths, sizes.lengths[:100])
