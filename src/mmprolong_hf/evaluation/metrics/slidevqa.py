"""
SlideVQA's F1 and exact match of answers and evidence pages (nttmdlab-nlp/SlideVQA at e1f0bd9, evaluate.py).

By default the scores are upstream's, with these mends: a question that ends in "how many" or "which" names no word to remove, where
upstream raises; a question without a prediction scores 0; without any question the means are `None`.
MMLongBench's SlideVQA column has another metric, [`~mmprolong_hf.evaluation.metrics.mmlongbench.eval_docqa_score`].
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from mmprolong_hf.evaluation.metrics.number_words import DIGITS_UP_TO_NINETEEN
from mmprolong_hf.evaluation.metrics.score import Score

# In this order; "minites" is what upstream looks for.
_REPLACEMENTS = {
    "this is ": "",
    "it is ": "",
    "percent": "",
    "because of": "",
    "because": "",
    "due to": "",
    "&": ",",
    "and": ",",
    "organisation": "organization",
    "hours": "hrs",
    "minites": "min",
}
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def normalize_answer(s: str, question: str, *, upstream_compat: bool = False) -> str:
    """
    An answer in lower case without punctuation, articles and the word that the question counts or chooses among.

    That word is the one behind "how many" and "which" in the question, as it stands there: "7 slides" loses it to "how many slides
    are there?" but not to "how many slides?". An answer that starts with "yes" or "no" keeps only its first word, so that "not
    answerable" becomes "not". The words for 0 to 19 become digits.

    Args:
        s (`str`): The answer.
        question (`str`): The question.
        upstream_compat (`bool`): Raise when nothing follows "how many" or "which".

    Raises:
        IndexError: with `upstream_compat` only.

    Example:

    ```python
    >>> normalize_answer("Five companies", "how many companies are there?"), normalize_answer("A & B", "what?")
    ('5', 'b')
    >>> normalize_answer("North America", "where?")
    'north'

    ```
    """
    text = s.lower()
    for old, new in _REPLACEMENTS.items():
        text = text.replace(old, new)
    for cue in ("how many", "which"):
        _, found, rest = question.partition(cue)
        words = rest.split()
        if words:
            text = text.replace(words[0], "")
        elif found and upstream_compat:
            raise IndexError(f"expected a word behind {cue!r} in the question {question!r}")
    text = _ARTICLES.sub(" ", text.translate(_NO_PUNCTUATION))
    if text.startswith(("yes", "no")):
        text = text.split()[0]
    return " ".join(DIGITS_UP_TO_NINETEEN.get(word, word) for word in text.split())


def _overlap(golds: Sequence, predictions: Sequence) -> tuple[float, float, int]:
    """Precision, recall and equality of two sequences; equality counts only where they share something."""
    num_same = (Counter(golds) & Counter(predictions)).total()
    if num_same == 0:
        return 0.0, 0.0, 0
    return num_same / len(predictions), num_same / len(golds), int(golds == predictions)


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _summary(
    gts: Mapping, preds: Mapping, overlap: Callable[[Mapping, Mapping], tuple], *, upstream_compat: bool
) -> dict:
    """Means over the questions, and the parts they are made of; a question without a prediction has 0 in each part."""
    parts = {
        name: overlap(gt, preds[name]) if name in preds or upstream_compat else (0.0, 0.0, 0)
        for name, gt in gts.items()
    }
    return {
        "F1": _mean([_f1(precision, recall) for precision, recall, _ in parts.values()], upstream_compat),
        "EM": _mean([equal for _, _, equal in parts.values()], upstream_compat),
        "precisions": {name: precision for name, (precision, _, _) in parts.items()},
        "recalls": {name: recall for name, (_, recall, _) in parts.items()},
        "EMs": {name: equal for name, (_, _, equal) in parts.items()},
    }


def _mean(values: Sequence[float], upstream_compat: bool) -> float | None:
    return sum(values) / len(values) if values or upstream_compat else None


def _qa_overlap(
    gold: str, prediction: str, question: str, *, upstream_compat: bool = False
) -> tuple[float, float, int]:
    golds, predictions = (
        normalize_answer(answer, question, upstream_compat=upstream_compat).split() for answer in (gold, prediction)
    )
    return _overlap(golds, predictions)


def qa_f1_em(gts: Mapping[str, Mapping], preds: Mapping[str, Mapping], *, upstream_compat: bool = False) -> dict:
    """
    F1 and exact match of the words of the answers, after [`normalize_answer`].

    Args:
        gts (`Mapping[str, Mapping]`): From the question's id to its `question` and `answer`.
        preds (`Mapping[str, Mapping]`): From the question's id to the predicted `answer`.
        upstream_compat (`bool`): Raise where upstream does.

    Returns:
        `dict` with the means `F1` and `EM` (`None` without questions), and `precisions`, `recalls` and `EMs` by question. A
        question without a prediction has 0 in each.

    Raises:
        IndexError, KeyError, ZeroDivisionError: with `upstream_compat` only, for a question that ends in "how many" or "which", one
            without a prediction, and no questions.

    Example:

    ```python
    >>> scores = qa_f1_em({"1": {"question": "who?", "answer": "the big dog"}}, {"1": {"answer": "dog"}})
    >>> scores["F1"], scores["EM"]
    (0.6666666666666666, 0.0)

    ```
    """

    def overlap(gt: Mapping, pred: Mapping) -> tuple[float, float, int]:
        return _qa_overlap(gt["answer"], pred["answer"], gt["question"], upstream_compat=upstream_compat)

    return _summary(gts, preds, overlap, upstream_compat=upstream_compat)


def es_f1_em(gts: Mapping[str, Mapping], preds: Mapping[str, Mapping], *, upstream_compat: bool = False) -> dict:
    """
    F1 and exact match of the evidence pages; the exact match asks for the same order.

    Args:
        gts, preds (`Mapping[str, Mapping]`): From the question's id to its `evidence_pages`, right and predicted.
        upstream_compat (`bool`): Raise where upstream does.

    Returns:
        `dict` as in [`qa_f1_em`].

    Raises:
        KeyError, ZeroDivisionError: with `upstream_compat` only, for a question without a prediction, and no questions.

    Example:

    ```python
    >>> es_f1_em({"1": {"evidence_pages": [1, 2]}}, {"1": {"evidence_pages": [1]}})["F1"]
    0.6666666666666666

    ```
    """

    def overlap(gt: Mapping, pred: Mapping) -> tuple[float, float, int]:
        return _overlap(gt["evidence_pages"], pred["evidence_pages"])

    return _summary(gts, preds, overlap, upstream_compat=upstream_compat)


def main_f1_em(gts: Mapping[str, Mapping], preds: Mapping[str, Mapping], *, upstream_compat: bool = False) -> dict:
    """
    SlideVQA's main score: answer and evidence pages must both be right, so their precisions, recalls and matches are multiplied.

    Args:
        gts, preds (`Mapping[str, Mapping]`): With the columns of [`qa_f1_em`] and [`es_f1_em`].
        upstream_compat (`bool`): As in [`qa_f1_em`].

    Returns:
        `dict` with `F1` and `EM`, `None` without questions.

    Example:

    ```python
    >>> gts = {"1": {"question": "what?", "answer": "x", "evidence_pages": [1, 2]}}
    >>> main_f1_em(gts, {"1": {"answer": "x", "evidence_pages": [2, 1]}})
    {'F1': 1.0, 'EM': 0.0}

    ```
    """
    qa = qa_f1_em(gts, preds, upstream_compat=upstream_compat)
    es = es_f1_em(gts, preds, upstream_compat=upstream_compat)
    f1s = [
        _f1(qa["precisions"][name] * es["precisions"][name], qa["recalls"][name] * es["recalls"][name]) for name in gts
    ]
    equals = [qa["EMs"][name] * es["EMs"][name] for name in gts]
    return {"F1": _mean(f1s, upstream_compat), "EM": _mean(equals, upstream_compat)}


def score(gold: str, prediction: str, question: str) -> Score:
    """
    The F1 of [`qa_f1_em`] for one question. The runner calls this.

    Args:
        gold (`str`): The right answer.
        prediction (`str`): The model's answer.
        question (`str`): The question.

    Example:

    ```python
    >>> score("7", "seven slides", "How many slides?").value, score("the", "the", "what?")
    (0.6666666666666666, Score(value=0.0, error="no word of the right answer counts: 'the'"))

    ```
    """
    if not normalize_answer(gold, question):
        return Score(0.0, f"no word of the right answer counts: {gold!r}")
    precision, recall, _ = _qa_overlap(gold, prediction, question)
    return Score(_f1(precision, recall))
