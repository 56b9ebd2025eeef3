"""
VLMEvalKit's scores for SlideVQA (open-compass/VLMEvalKit at e8e78f0, vlmeval/dataset/slidevqa.py), which lmms-eval has too.

They are for reading other people's results: [`~mmprolong_hf.evaluation.metrics.slidevqa`] has the benchmark's own.
"""

from mmprolong_hf.evaluation.metrics.short_answers import anls_compute


def vlmevalkit_f1(gold: str, prediction: str, *, upstream_compat: bool = False) -> float:
    """
    F1 of words that are split at white space and compared as they are.

    Every predicted word that occurs in the right answer counts, as often as it is repeated: so upstream's recall and F1 can exceed 1.

    Args:
        gold (`str`): The right answer.
        prediction (`str`): The model's answer.
        upstream_compat (`bool`): Let the score exceed 1. By default it is at most 1.

    Example:

    ```python
    >>> vlmevalkit_f1("dog dog cat", "dog"), vlmevalkit_f1("a", "a a"), vlmevalkit_f1("a", "a a", upstream_compat=True)
    (0.5, 1.0, 1.3333333333333333)

    ```
    """
    golds, predictions = gold.split(), prediction.split()
    known = set(golds)
    num_found = sum(word in known for word in predictions)
    if num_found == 0:
        return 0.0
    precision, recall = num_found / len(predictions), num_found / len(golds)
    f1 = 2 * recall * precision / (recall + precision)
    return f1 if upstream_compat else min(f1, 1.0)


def vlmevalkit_scores(gold: str, prediction: str, *, upstream_compat: bool = False) -> dict[str, float]:
    """
    Similarity by edit distance, equality and [`vlmevalkit_f1`] of one answer, without regard to case.

    Args:
        gold (`str`): The right answer; its line breaks are deleted.
        prediction (`str`): The model's answer.
        upstream_compat (`bool`): As in [`vlmevalkit_f1`].

    Returns:
        `dict` with `anls`, `em` and `f1`.

    Example:

    ```python
    >>> vlmevalkit_scores("Yes", "yes.")
    {'anls': 0.75, 'em': 0.0, 'f1': 0.0}

    ```
    """
    gold, prediction = gold.replace("\n", "").lower(), prediction.lower()
    return {
        "anls": anls_compute(gold, prediction),
        "em": float(gold.strip() == prediction.strip()),
        "f1": vlmevalkit_f1(gold, prediction, upstream_compat=upstream_compat),
    }
