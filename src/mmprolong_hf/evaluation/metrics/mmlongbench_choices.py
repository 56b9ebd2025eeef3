"""MMLongBench's metrics for options, classes, and yes or no (EdinburghNLP/MMLongBench at 22b9f27)."""

import re

LETTERS = "ABCDEFGHIJ"
# A longer run of digits is noise, and Python turns no more than 4,300 into a number.
MAX_DIGITS = 1000


def mc_acc(prediction: str, gold: int) -> float:
    """
    1 if the prediction chooses the right option, else 0.

    Args:
        prediction (`str`): What the model answered.
        gold (`int`): 0 for A, 1 for B, ...

    Example:

    ```python
    >>> mc_acc("The answer is (C), not D", 2), mc_acc("c", 2)
    (1.0, 0.0)

    ```
    """
    return float(parse_choice(prediction) == gold)


def parse_choice(prediction: str) -> int:
    """
    The option that a prediction chooses, 0 for A to 9 for J; -1 if none.

    It stands behind "answer is", else behind the last "answer:" of the first line that has one, else it is the last
    letter that stands alone. Options are capital letters.

    Example:

    ```python
    >>> parse_choice("The answer is (B)"), parse_choice("Answer: A or B"), parse_choice("A, B"), parse_choice("A1")
    (1, 0, 1, -1)

    ```
    """
    if found := re.search(r"answer is \(?([A-J])", prediction):
        return LETTERS.index(found[1])
    # The letter is looked at, not consumed: it may be the first of the next "Answer:".
    if labels := list(re.finditer(r"[aA]nswer:(?=\s*([A-J]))", prediction)):
        line_end = prediction.find("\n", labels[0].start())
        on_line = [label for label in labels if line_end < 0 or label.start() < line_end]
        return LETTERS.index(on_line[-1][1])
    alone = re.findall(r"\b[A-J]\b", prediction)
    return LETTERS.index(alone[-1]) if alone else -1


def cls_acc(prediction: str, gold: int) -> float:
    """
    1 if the prediction names the right class, else 0.

    Args:
        prediction (`str`): What the model answered.
        gold (`int`): The class.

    Example:

    ```python
    >>> cls_acc("label: 3 (of 10)", 3), cls_acc("5, no, 6", 5)
    (1.0, 0.0)

    ```
    """
    return float(parse_label(prediction) == gold)


def parse_label(prediction: str) -> int:
    """
    The class that a prediction names: behind "label:", else the last number that stands alone, else the first digits;
    -1 if none.

    Example:

    ```python
    >>> parse_label("label: 3 of 10"), parse_label("5, no, 6"), parse_label("class12"), parse_label("?")
    (3, 6, 12, -1)

    ```
    """
    labels = whole_numbers(r"label:\s*(\d+)", prediction)[:1]
    numbers = whole_numbers(r"\b\d+\b", prediction)[-1:]
    digits = whole_numbers(r"\d+", prediction)[:1]
    return next(iter(labels + numbers + digits), -1)


def binary_acc(prediction: str, gold: str, default_answer: int) -> float:
    """
    1 if the prediction says the right one of yes and no, else 0.

    Args:
        prediction (`str`): What the model answered.
        gold (`str`): `"Yes"` or `"No"`.
        default_answer (`int`): What counts as said when neither is; upstream goes through 0, 1, 1, 0 over its rows.

    Example:

    ```python
    >>> binary_acc("No. Actually yes", "Yes", 0), binary_acc("I know", "No", 1)
    (1.0, 0.0)

    ```
    """
    label = parse_binary(prediction)
    return float((default_answer if label == -1 else label) == int(gold.lower() == "yes"))


def parse_binary(prediction: str) -> int:
    """
    1 for yes, 0 for no, from the last of these words, else from the first digits; -1 if there are none.

    Example:

    ```python
    >>> parse_binary("Yes? No."), parse_binary("1"), parse_binary("I know")
    (0, 1, -1)

    ```
    """
    if words := re.findall(r"\b(yes|no)\b", prediction, re.IGNORECASE):
        return int(words[-1].lower() == "yes")
    return next(iter(whole_numbers(r"\d+", prediction)), -1)


def whole_numbers(pattern: str, text: str) -> list[int]:
    r"""
    The numbers that a pattern finds, but for runs of more than 1,000 digits.

    Args:
        pattern (`str`): A regular expression that finds, or captures, digits.
        text (`str`): Where to look.

    Example:

    ```python
    >>> whole_numbers(r"\d+", "3 of 10")
    [3, 10]

    ```
    """
    return [int(digits) for digits in re.findall(pattern, text) if len(digits) <= MAX_DIGITS]
