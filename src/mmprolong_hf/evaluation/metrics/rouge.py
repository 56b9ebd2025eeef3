"""ROUGE-L: how much of two texts is the same words in the same order."""

import re
from collections import deque
from collections.abc import Iterator, Sequence

from mmprolong_hf.evaluation.metrics.porter import stem


def rouge_tokens(text: str) -> list[str]:
    """
    Words of lower-case letters and digits, those of more than three characters stemmed.

    Source: google-research `rouge_score` 0.1.2, `tokenize.py` with its stemmer. Only ASCII letters and digits make
    words, so a Chinese text has none.

    Example:

    ```python
    >>> rouge_tokens("Running cats, 北京!")
    ['run', 'cat']

    ```
    """
    words = re.sub("[^a-z0-9]+", " ", text.lower()).split()
    return [stem(word) if len(word) > 3 else word for word in words]


def rouge_l(gold: str, prediction: str) -> float:
    """
    F1 of the longest common subsequence of words, 0 to 1.

    Source: C.-Y. Lin, "ROUGE" (2004); google-research `rouge_score` 0.1.2 with `use_stemmer=True`.

    Example:

    ```python
    >>> round(rouge_l("a c e", "a b c d e"), 4), rouge_l("the cat", "The cats.")
    (0.75, 1.0)

    ```
    """
    gold_words, words = rouge_tokens(gold), rouge_tokens(prediction)
    last_row = deque(common_rows(words, gold_words), maxlen=1)
    common = sum(row.bit_count() for row in last_row)
    if not common:
        return 0.0
    precision, recall = common / len(words), common / len(gold_words)
    return 2 * precision * recall / (precision + recall)


def common_rows(left: Sequence[str], right: Sequence[str]) -> Iterator[int]:
    """
    The table of the longest common subsequences, a row for each word of `left`: bit i of it is set where the longest one with
    `right[: i + 1]` is a word longer than that with `right[:i]`. All bits of a row are worked out at once.

    Source: H. Hyyrö, "Bit-parallel LCS-length computation revisited" (2004).

    Example:

    ```python
    >>> [f"{row:03b}" for row in common_rows(["b", "a", "c"], ["a", "b", "c"])]
    ['010', '001', '101']

    ```
    """
    places = dict.fromkeys(left, 0)
    for index, word in enumerate(right):
        if word in places:
            places[word] |= 1 << index
    full = (1 << len(right)) - 1
    equal = full  # the bits that are not set in the row
    for word in left:
        matches = equal & places[word]
        equal = ((equal + matches) | (equal - matches)) & full
        yield equal ^ full
