"""ROUGE-L: how much of two texts is the same words in the same order."""

import re
from collections.abc import Sequence

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
    common = _common_length(gold_words, words)
    if not common:
        return 0.0
    precision, recall = common / len(words), common / len(gold_words)
    return 2 * precision * recall / (precision + recall)


def _common_length(left: Sequence[str], right: Sequence[str]) -> int:
    row = [0] * (len(right) + 1)
    for word in left:
        diagonal = 0
        for index, other in enumerate(right, 1):
            diagonal, row[index] = row[index], diagonal + 1 if word == other else max(row[index], row[index - 1])
    return row[-1]
