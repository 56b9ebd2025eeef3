"""Hashes of runs of words."""

import random

import numpy as np
import pytest

from mmprolong_hf.synthesis.pool.shingles import NUM_HASHES, mix, sample, shingles, signature, words_of


def numbered(start: int, count: int) -> list[str]:
    return [f"word{k}" for k in range(start, start + count)]


def test_words_are_the_same_however_they_are_printed():
    assert words_of("THE oﬃce,\r\nRe\ufffe\r\nfined—x_1") == ["the", "office", "refined", "x", "1"]
    assert words_of("深度学习 and かな 한글") == [*"深度学习", "and", *"かな", *"한글"]


def test_short_texts_have_no_shingle():
    assert len(shingles(numbered(0, 7))) == 0
    assert len(shingles(numbered(0, 8))) == 1
    assert len(sample(shingles(numbered(0, 7)))) == 0


def test_order_matters():
    words = numbered(0, 8)
    assert shingles(words) != shingles(words[::-1])


@pytest.mark.parametrize("seed", range(20))
def test_any_common_run_of_13_words_is_noticed(seed):
    rng = random.Random(seed)
    run = numbered(0, 13)
    texts = [numbered(k, rng.randrange(50)) + run + numbered(k + 100, rng.randrange(50)) for k in (1000, 2000)]
    assert set(sample(shingles(texts[0]))) & set(sample(shingles(texts[1])))


def test_a_common_run_of_7_words_is_not():
    texts = [numbered(k, 50) + numbered(0, 7) + numbered(k + 100, 50) for k in (1000, 2000)]
    assert not set(sample(shingles(texts[0]))) & set(sample(shingles(texts[1])))


def test_a_sample_is_two_sevenths():
    hashes = mix(np.arange(1, 20_001, dtype=np.uint64))
    assert len(sample(hashes)) / len(hashes) == pytest.approx(2 / 7, rel=0.02)


@pytest.mark.parametrize("similarity", [0.5, 0.8, 0.95])
def test_signatures_estimate_the_similarity_of_sets(similarity):
    rng, estimates = np.random.default_rng(0), []
    for _ in range(60):
        members = rng.integers(0, 2**64, 2000, dtype=np.uint64)
        half = round(1000 * (1 - similarity))
        a, b = members[half:], np.delete(members, slice(half, 2 * half))
        true = len(np.intersect1d(a, b)) / len(np.union1d(a, b))
        estimates.append((np.frombuffer(signature(a), "<u4") == np.frombuffer(signature(b), "<u4")).mean() - true)
    spread = (similarity * (1 - similarity) / NUM_HASHES) ** 0.5
    assert abs(np.mean(estimates)) < 3 * spread / 60**0.5
    assert np.std(estimates) == pytest.approx(spread, rel=0.3)


def test_a_signature_is_that_of_the_set():
    hashes = mix(np.arange(1, 100, dtype=np.uint64))
    assert signature(hashes) == signature(np.concatenate([hashes[::-1], hashes]))
    assert signature(hashes) != signature(hashes[1:] + np.uint64(1))
    assert signature(hashes[:0]) == b""
