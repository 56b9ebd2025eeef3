"""What the scores of many answers come to."""

from collections.abc import Sequence

from mmprolong_hf.evaluation.metrics.score import Score


def summarize(scores: Sequence[Score]) -> dict:
    """
    The mean over all answers, where a failure is a 0 and is counted.

    Args:
        scores (`Sequence[Score]`): One for each answer.

    Returns:
        `dict` with `score` (0 to 1; `None` without an answer), `num`, `num_failed`, `scores` and `errors` (`None`
        where none).

    Example:

    ```python
    >>> summarize([Score(1.0), Score(0.0, "no letter A to D in the answer")])["score"]
    0.5

    ```
    """
    values, errors = [score.value for score in scores], [score.error for score in scores]
    return {
        "score": sum(values) / len(values) if values else None,
        "num": len(values),
        "num_failed": sum(error is not None for error in errors),
        "scores": values,
        "errors": errors,
    }
