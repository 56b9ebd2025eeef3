"""Edit distance, and the similarity that document question answering makes of it (ANLS)."""

from collections.abc import Sequence

try:
    from rapidfuzz.distance import Levenshtein
except ImportError:  # it comes with the `pdf` extra; the distance is the same without it
    Levenshtein = None


def levenshtein(first: str, second: str) -> int:
    """
    Least number of characters to insert, delete or replace that makes one text the other.

    rapidfuzz counts them if it is installed, else the bit-parallel rule of G. Myers (1999) in the form of H. Hyyrö
    (2001).

    Args:
        first, second (`str`): The two texts, compared character by character.

    Example:

    ```python
    >>> levenshtein("kitten", "sitting"), levenshtein("", "abc")
    (3, 3)

    ```
    """
    return _bit_parallel(first, second) if Levenshtein is None else Levenshtein.distance(first, second)


def _bit_parallel(first: str, second: str) -> int:
    """One column of the distance table at a time; bit i of a number tells how row i differs from row i - 1."""
    if not first:
        return len(second)
    rows: dict[str, int] = {}
    for index, character in enumerate(first):
        rows[character] = rows.get(character, 0) | 1 << index
    last, ones = 1 << len(first) - 1, (1 << len(first)) - 1
    up, down, distance = ones, 0, len(first)  # the first column grows by 1 in each row
    for character in second:
        equal = rows.get(character, 0)
        diagonal = (((equal & up) + up) ^ up) | equal | down
        grows, shrinks = down | (ones & ~(diagonal | up)), up & diagonal
        if grows & last:
            distance += 1
        elif shrinks & last:
            distance -= 1
        grows, shrinks = grows << 1 | 1, shrinks << 1  # the table's first row grows by 1 in each column
        up, down = (shrinks | ~(diagonal | grows)) & ones, grows & diagonal
    return distance


def similarity(first: str, second: str) -> float:
    """
    1 minus the edit distance as a share of the longer text; two empty texts are alike.

    Args:
        first, second (`str`): The two texts, compared as they are.

    Example:

    ```python
    >>> similarity("abcd", "abxy"), similarity("", "")
    (0.5, 1.0)

    ```
    """
    return 1 - levenshtein(first, second) / max(len(first), len(second), 1)


def anls(prediction: str, gold: str | Sequence[str], threshold: float = 0.5) -> float:
    """
    Average normalized Levenshtein similarity of one answer (A. F. Biten et al., 2019): the best over the right
    answers, without regard to case and runs of white space, and 0 where it is not above the threshold.

    Args:
        prediction (`str`): What the model answered.
        gold (`str` or `Sequence[str]`): The right answer, or several that count.
        threshold (`float`): With -1 every similarity counts, as in MMLongBench
            (EdinburghNLP/MMLongBench at 22b9f27).

    Raises:
        ValueError: when there is no right answer.

    Example:

    ```python
    >>> anls("Kitten", "sitting"), anls("kitten ", ["Dog", "KITTEN"]), anls("xyz", "abc", threshold=-1)
    (0.5714285714285714, 1.0, 0.0)

    ```
    """
    golds = [gold] if isinstance(gold, str) else list(gold)
    if not golds:
        raise ValueError("gold is empty, expected at least one right answer")
    best = max(similarity(_squeeze(prediction), _squeeze(answer)) for answer in golds)
    return best if best > threshold else 0.0


def _squeeze(text: str) -> str:
    return " ".join(text.lower().split())
