"""Finds near-duplicates among many documents from their MinHash signatures, without comparing all with all."""

from collections import defaultdict

import numpy as np

from .shingles import NUM_HASHES, mix

_LOST = 0.01  # of the pairs that are exactly at the threshold, at most so many may go unseen


def rows_per_band(threshold: float) -> int:
    """
    How many numbers of a signature two documents must share in a row to be compared at all.

    With bands of r numbers, two sets of similarity s agree in one of the 128 / r bands with probability
    1 - (1 - s^r)^(128 / r) (Leskovec, Rajaraman and Ullman, *Mining of Massive Datasets*, 3.4.2). The longest band
    that misses at most 1 % of the pairs at the threshold asks for the fewest comparisons.

    Args:
        threshold (`float`): Jaccard similarity, 0.5 to 1.0.

    Example:

    ```python
    >>> rows_per_band(0.8), rows_per_band(0.9), rows_per_band(0.5)
    (4, 8, 2)

    ```
    """
    lengths = [2**k for k in range(NUM_HASHES.bit_length())]
    return max(r for r in lengths if (1 - threshold**r) ** (NUM_HASHES // r) <= _LOST)


def find_twins(signatures: np.ndarray, threshold: float) -> np.ndarray:
    """
    For each document the earlier, kept one that it nearly repeats.

    Documents are taken in their order: one is kept unless it is similar to a document that is kept already. So no two
    kept ones are similar, and each other one has a kept twin; chains of ever less similar editions are not followed.

    Args:
        signatures (`np.ndarray`): uint32 of shape (documents, `NUM_HASHES`), the document to be preferred first.
        threshold (`float`): Estimated Jaccard similarity from which two documents are one.

    Returns:
        `np.ndarray`: int64 of shape (documents,): index of the most similar kept document, -1 for those that are kept.

    Example:

    ```python
    >>> a, b = np.arange(128, dtype=np.uint32), np.arange(1000, 1128, dtype=np.uint32)
    >>> nearly_a = np.where(np.arange(128) < 115, a, b)
    >>> find_twins(np.stack([a, b, nearly_a]), 0.8).tolist()
    [-1, -1, 0]

    ```
    """
    twins = np.full(len(signatures), -1, np.int64)
    kept = defaultdict(list)  # bucket -> documents
    for index, buckets in sorted(_shared_buckets(signatures, rows_per_band(threshold)).items()):
        others = np.array(sorted({other for bucket in buckets for other in kept[bucket]}), np.int64)
        similarity = (signatures[others] == signatures[index]).mean(axis=1)
        if len(others) and similarity.max() >= threshold:
            twins[index] = others[similarity.argmax()]
        else:
            for bucket in buckets:
                kept[bucket].append(index)
    return twins


def _shared_buckets(signatures: np.ndarray, rows: int) -> dict[int, list[int]]:
    """Document -> buckets that it shares with another one. Few do, so little is held but one band at a time."""
    shared = defaultdict(list)
    for band, start in enumerate(range(0, NUM_HASHES, rows)):
        hashes = np.zeros(len(signatures), np.uint64)
        for column in signatures[:, start : start + rows].T:
            hashes = mix(hashes ^ column)
        _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
        for index in np.flatnonzero(counts[inverse] > 1).tolist():
            shared[index].append(band * len(signatures) + int(inverse[index]))
    return shared
