"""
Hashes of runs of words, by which texts are compared without being kept.

A *shingle* is the hash of `SHINGLE_WORDS` consecutive words. All shingles of a document together give its MinHash
signature; of each page only a sample is stored, chosen so that two texts choose alike.
"""

import hashlib
import re
import unicodedata
from functools import lru_cache

import numpy as np

SHINGLE_WORDS = 8
# With windows of 6, any run of 13 = 8 + 6 - 1 words that two texts share gives both the same sampled shingle (13 is
# the run by which GPT-3's data was checked, Brown et al. 2020), for 2 / (6 + 1) of the shingles.
WINDOW = 6
NUM_HASHES = 128  # of a signature: an estimated similarity of 0.8 has a standard error of 0.035
_CUT_WORD = re.compile("[\ufffe\u00ad]\\s*")  # PDFium's sign for a hyphen at a line's end
_IDEOGRAPHS = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff"  # with kana: written without spaces, so each is a word
_WORD = re.compile(f"[{_IDEOGRAPHS}]|[^\\W_{_IDEOGRAPHS}]+")


def words_of(text: str) -> list[str]:
    """
    The words of a text, in lower case and without marks; a Chinese, Japanese or Korean character is a word.

    Args:
        text (`str`): As PDFium returns it.

    Example:

    ```python
    >>> words_of("The ﬁrst com\\ufffe\\r\\nputer: 3.5 GHz, 电脑")
    ['the', 'first', 'computer', '3', '5', 'ghz', '电', '脑']

    ```
    """
    return _WORD.findall(unicodedata.normalize("NFKC", _CUT_WORD.sub("", text)).casefold())


def shingles(words: list[str]) -> np.ndarray:
    """
    Hashes of all runs of `SHINGLE_WORDS` words.

    Args:
        words (`list[str]`): From [`words_of`].

    Returns:
        `np.ndarray`: uint64 of shape (max(0, len(words) - 7),), in the order of the text.

    Example:

    ```python
    >>> first, second = shingles("one two three four five six seven eight nine".split()).tolist()
    >>> second in shingles("two three four five six seven eight nine ten".split()).tolist()
    True

    ```
    """
    if len(words) < SHINGLE_WORDS:
        return np.empty(0, np.uint64)
    hashes = np.array([_hash_word(word) for word in words], np.uint64)
    runs = np.lib.stride_tricks.sliding_window_view(hashes, SHINGLE_WORDS)
    return mix((runs * _POWERS).sum(axis=1, dtype=np.uint64))


def sample(hashes: np.ndarray) -> np.ndarray:
    """
    The shingles that stand for a text: the smallest of each `WINDOW` consecutive ones.

    This is winnowing (Schleimer, Wilkerson and Aiken, SIGMOD 2003): which are chosen depends on their neighbours
    alone.

    Args:
        hashes (`np.ndarray`): From [`shingles`], in the order of the text.

    Returns:
        `np.ndarray`: uint64, sorted, each once; at least one if `hashes` is not empty.

    Example:

    ```python
    >>> sample(np.array([7, 3, 9, 8, 6, 5, 4, 10], np.uint64)).tolist()
    [3, 4]

    ```
    """
    if len(hashes) <= WINDOW:
        return hashes.min(keepdims=True) if len(hashes) else hashes
    return np.unique(np.lib.stride_tricks.sliding_window_view(hashes, WINDOW).min(axis=1))


def signature(hashes: np.ndarray) -> bytes:
    """
    The MinHash signature of a set: two sets agree in each of its numbers with the probability of their Jaccard
    similarity.

    Broder, "On the resemblance and containment of documents", 1997; the hash functions are multiply-shift.

    Args:
        hashes (`np.ndarray`): uint64, of the set's members; repeated ones do not matter.

    Returns:
        `bytes`: `NUM_HASHES` numbers of 32 bits, little endian; empty for an empty set.

    Example:

    ```python
    >>> a, b = (np.frombuffer(signature(mix(np.arange(k, k + 900, dtype=np.uint64))), "<u4") for k in (0, 100))
    >>> round(float((a == b).mean()), 2)  # their similarity is 800 / 1000
    0.77

    ```
    """
    if not len(hashes):
        return b""
    members = np.unique(hashes)
    least = [(members * a + b).min() for a, b in zip(_FACTORS, _OFFSETS)]
    return (np.array(least, np.uint64) >> np.uint64(32)).astype("<u4").tobytes()


def mix(numbers: np.ndarray) -> np.ndarray:
    """
    A one-to-one map of 64-bit numbers after which all bits depend on all (the finaliser of SplitMix64).

    Args:
        numbers (`np.ndarray`): uint64.

    Example:

    ```python
    >>> [hex(n) for n in mix(np.array([0, 1], np.uint64))]
    ['0x0', '0x5692161d100b05e5']

    ```
    """
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


@lru_cache(maxsize=200_000)
def _hash_word(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")


_POWERS = mix(np.arange(1, SHINGLE_WORDS + 1, dtype=np.uint64)) | np.uint64(1)
_FACTORS = mix(np.arange(100, 100 + NUM_HASHES, dtype=np.uint64)) | np.uint64(1)
_OFFSETS = mix(np.arange(1000, 1000 + NUM_HASHES, dtype=np.uint64))
