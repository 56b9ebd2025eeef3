"""Looks up many shingles in many texts at once."""

import numpy as np


class ShingleIndex:
    """
    Which texts hold how many of some given shingles.

    Args:
        texts (`list[np.ndarray]`): Of each text its distinct shingles, uint64.

    Example:

    ```python
    >>> index = ShingleIndex([np.array([3, 5, 8], np.uint64), np.array([5, 9], np.uint64)])
    >>> index.count(np.array([1, 5, 8], np.uint64)).tolist(), index.sizes.tolist()
    ([2, 1], [3, 2])

    ```
    """

    def __init__(self, texts: list[np.ndarray]):
        self.sizes = np.array([len(text) for text in texts], np.int64)
        hashes = np.concatenate([np.empty(0, np.uint64), *texts])
        order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[order]
        self._owners = np.repeat(np.arange(len(texts)), self.sizes)[order]

    def count(self, hashes: np.ndarray) -> np.ndarray:
        """
        How many of the given shingles each text holds.

        Args:
            hashes (`np.ndarray`): uint64, each once.

        Returns:
            `np.ndarray`: int64 of shape (texts,).
        """
        first = np.searchsorted(self._hashes, hashes)
        inside = np.flatnonzero(first < len(self._hashes))
        known = inside[self._hashes[first[inside]] == hashes[inside]]  # few, as a rule
        last = np.searchsorted(self._hashes, hashes[known], "right")
        owners = [self._owners[a:b] for a, b in zip(first[known], last)]
        return np.bincount(np.concatenate([np.empty(0, np.int64), *owners]), minlength=len(self.sizes))

    def of(self, text: int) -> np.ndarray:
        """The shingles of one text, by its index."""
        return self._hashes[self._owners == text]
