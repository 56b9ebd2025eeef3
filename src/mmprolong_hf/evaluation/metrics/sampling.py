"""Which questions MMLongBench's runs of 100 ask (EdinburghNLP/MMLongBench at 22b9f27, data.py)."""

import random
from collections.abc import Iterable

import numpy as np


def shuffle_select(n: int, k: int = 100, seed: int = 42) -> list[int]:
    """
    Rows of a document or summary set that are asked, in order: those of `Dataset.shuffle(seed).select(range(k))`.

    Args:
        n (`int`): Number of rows of the set.
        k (`int`): Most rows to take.
        seed (`int`): Of the shuffle.

    Example:

    ```python
    >>> shuffle_select(100, 5)
    [59, 21, 56, 18, 33]

    ```
    """
    return np.random.default_rng(seed).permutation(n)[:k].tolist()


def random_sample_ids(ids: Iterable, k: int, seed: int = 42) -> list:
    """
    Questions of a needle or retrieval set that are asked. All rows of such an id are, at every depth, in the order of
    the file.

    Args:
        ids (`Iterable`): The ids of the rows; one that occurs again counts once.
        k (`int`): Most ids to take: 50 for each kind of MM-NIAH, else 100.
        seed (`int`): Of the sample.

    Example:

    ```python
    >>> random_sample_ids(range(100), 5), random_sample_ids(["b", "a", "b"], 5)
    ([81, 14, 3, 94, 35], ['a', 'b'])

    ```
    """
    unique = sorted(set(ids))
    return random.Random(seed).sample(unique, min(k, len(unique)))
