"""MMLongBench's metric for summaries: ROUGE-L, whole and line by line (EdinburghNLP/MMLongBench at 22b9f27)."""

from collections import Counter
from collections.abc import Sequence

from mmprolong_hf.evaluation.metrics.rouge import common_rows, rouge_tokens


def rouge(prediction: str, gold: str) -> dict[str, float]:
    """
    F1 and recall of the words that the two summaries have in common, in the same order, stemmed; 0 to 1.

    ROUGE-L takes each summary as one sequence. ROUGE-Lsum takes a line as a sentence: of a right sentence, a word
    counts if it is in the longest common subsequence with any of the predicted sentences, and no word counts more
    often than either side has it.

    Args:
        prediction (`str`): What the model wrote.
        gold (`str`): The right summary.

    Returns:
        `dict` with `rougeL_f1`, `rougeL_recall`, `rougeLsum_f1` and `rougeLsum_recall`.

    Source: C.-Y. Lin, "ROUGE" (2004), sections 3.1 and 3.2; google-research `rouge_score` 0.1.2 with
    `use_stemmer=True`.

    Example:

    ```python
    >>> rouge("cats sitting on mats", "cat sat on mat")["rougeL_f1"]
    0.75
    >>> rouge("Two.\\nOne.", "One.\\nTwo.")
    {'rougeL_f1': 0.5, 'rougeL_recall': 0.5, 'rougeLsum_f1': 1.0, 'rougeLsum_recall': 1.0}

    ```
    """
    f1, recall = _shares([rouge_tokens(prediction)], [rouge_tokens(gold)])
    sum_f1, sum_recall = _shares(*([rouge_tokens(line) for line in text.split("\n")] for text in (prediction, gold)))
    return {"rougeL_f1": f1, "rougeL_recall": recall, "rougeLsum_f1": sum_f1, "rougeLsum_recall": sum_recall}


def _shares(sentences: list[list[str]], gold_sentences: list[list[str]]) -> tuple[float, float]:
    left, gold_left = (Counter(word for words in side for word in words) for side in (sentences, gold_sentences))
    num_words, num_gold_words, num_common = left.total(), gold_left.total(), 0
    different = set(map(tuple, sentences))  # a line that is said again has the same words in common
    for gold_words in gold_sentences:
        positions = set().union(*(_common_positions(gold_words, words) for words in different))
        for word in (gold_words[position] for position in sorted(positions)):
            if left[word] > 0 and gold_left[word] > 0:
                left[word] -= 1
                gold_left[word] -= 1
                num_common += 1
    if num_common == 0:
        return 0.0, 0.0
    precision, recall = num_common / num_words, num_common / num_gold_words
    return 2 * precision * recall / (precision + recall), recall


def _common_positions(gold_words: Sequence[str], words: Sequence[str]) -> set[int]:
    """Positions in the first sequence of one longest common subsequence; of several, the one found from the ends."""
    table = [0, *common_rows(gold_words, words)]
    positions, row, column = set(), len(gold_words), len(words)
    while row and column:
        if gold_words[row - 1] == words[column - 1]:
            row, column = row - 1, column - 1
            positions.add(row)
        elif _common_length(table[row], column - 1) > _common_length(table[row - 1], column):
            column -= 1
        else:
            row -= 1
    return positions


def _common_length(row: int, column: int) -> int:
    return (row & ((1 << column) - 1)).bit_count()
