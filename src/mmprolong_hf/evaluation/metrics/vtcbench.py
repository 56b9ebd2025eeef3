"""VTCBench: questions on text that is rendered into images (retrieval, reasoning and memory)."""

from collections.abc import Sequence

from mmprolong_hf.evaluation.metrics.rouge import rouge_l
from mmprolong_hf.evaluation.metrics.score import Score

METRICS = ("EM", "contains", "contains_all", "lastline_EM", "lastline_contains", "ROUGE-L")


def calc_metrics(response: str, gold_answers: Sequence, *, upstream_compat: bool = False) -> dict[str, float]:
    """
    All six scores of one answer, each from 0 to 1.

    Args:
        response (`str`): What the model answered; its `<think>...</think>` parts do not count.
        gold_answers (`Sequence`): The right answers, as text or numbers. Case does not count.
        upstream_compat (`bool`): Raise where upstream does.

    Returns:
        `dict`: `EM` (the answer is one of the right ones), `contains` (one of them is in it), `contains_all` (the
        share of them that are in it), `lastline_EM` and `lastline_contains` (the same of its last line) and `ROUGE-L`
        (the best of them).

    Raises:
        AssertionError: with `upstream_compat`, without a right answer. By default all scores are then 0.

    Source: Moenupa/VTCBench 2da59fd, `src/vtcbench/metric.py`. The benchmark takes `contains_all` for retrieval and
    reasoning and `ROUGE-L` for memory.

    Example:

    ```python
    >>> calc_metrics("<think>?</think>It is Katie", ["Katie", "Bob"])["contains_all"]
    0.5

    ```
    """
    if not gold_answers:
        if upstream_compat:
            raise AssertionError("gold_answers is empty, expected at least one right answer")
        return dict.fromkeys(METRICS, 0.0)
    golds = [str(gold).strip().lower() for gold in gold_answers]
    response = _without_thoughts(response).strip().lower()
    last_line = response.split("\n")[-1]
    return {
        "EM": float(response in golds),
        "contains": float(any(gold in response for gold in golds)),
        "contains_all": sum(gold in response for gold in golds) / len(golds),
        "lastline_EM": float(last_line in golds),
        "lastline_contains": float(any(gold in last_line for gold in golds)),
        "ROUGE-L": max(rouge_l(gold, response) for gold in golds),
    }


def _without_thoughts(response: str) -> str:
    """A thought ends at the first `</think>`; one without an end stays. A search for both ends at once would be quadratic."""
    *closed, rest = response.split("</think>")
    kept = [piece.partition("<think>")[0] if "<think>" in piece else f"{piece}</think>" for piece in closed]
    return "".join(kept) + rest


def extract_final_answer(s: str) -> str:
    """
    What the judge of the memory split is shown: the text after the last `</think>`, or all of it.

    Source: Moenupa/VTCBench 2da59fd, `examples/llm_judge.py`.

    Example:

    ```python
    >>> extract_final_answer("<think>hm</think> Katie "), extract_final_answer(" Katie ")
    ('Katie', 'Katie')

    ```
    """
    return s.rpartition("</think>")[2].strip()


def score(gold: Sequence, prediction: str, metric: str = "contains_all") -> Score:
    """
    One of the scores of [`calc_metrics`]. The runner calls this.

    Args:
        gold (`Sequence`): The right answers.
        prediction (`str`): What the model answered.
        metric (`str`): One of `METRICS`: `"contains_all"` for retrieval and reasoning, `"ROUGE-L"` for memory.

    Raises:
        ValueError: for a metric that is none of `METRICS`.

    Example:

    ```python
    >>> score(["9199619", "1202641"], "9199619").value
    0.5

    ```
    """
    if metric not in METRICS:
        raise ValueError(f"metric is {metric!r}, expected one of {', '.join(METRICS)}")
    return Score(calc_metrics(prediction, gold)[metric], None if gold else "no right answer is given")
