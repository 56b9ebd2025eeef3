"""MM-NIAH's scores over context length and depth, and its questions (OpenGVLab/MM-NIAH at 2fd03dd, calculate_scores.py)."""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence

from mmprolong_hf.evaluation.metrics.mm_niah import is_correct

CONTEXT_RANGES = (1, 2, 4, 8, 12, 16, 24, 32, 40, 48, 64)  # lower bounds in thousands of tokens
NUM_DEPTHS = 5
TASKS = tuple(f"{task}-{kind}" for task in ("retrieval", "counting", "reasoning") for kind in ("text", "image"))

_FILE_NAME = re.compile(rf"(?P<model>.+)_(?P<task>{'|'.join(TASKS)})-(?P<split>[^-_.]+)\.jsonl")


def score_cells(rows: Sequence[Mapping], *, upstream_compat: bool = False) -> list[list[float | None]]:
    """
    Mean score of each of the 11 context lengths at each of the 5 depths.

    Args:
        rows (`Sequence[Mapping]`): With `answer`, `response`, `context_length` (tokens) and `placed_depth` (0 to 1, or a list of
            which the mean counts). Contexts under 1,000 tokens are left out.
        upstream_compat (`bool`): Divide a depth by 0.2, where rounding puts 0.6 into the third part and not the fourth; and as in
            [`~mmprolong_hf.evaluation.metrics.mm_niah.is_correct`].

    Returns:
        `list[list[float | None]]`: A list for each context length, `None` for a cell without a question.

    Example:

    ```python
    >>> row = {"answer": "oak", "response": "an oak", "context_length": 1500, "placed_depth": [0.1, 0.4]}
    >>> score_cells([row])[0]
    [None, 1.0, None, None, None]

    ```
    """
    cells = [[[] for _ in range(NUM_DEPTHS)] for _ in CONTEXT_RANGES]
    for row in rows:
        length_bin = bisect_right(CONTEXT_RANGES, row["context_length"] / 1000) - 1
        if length_bin < 0:
            continue
        depth = row["placed_depth"]
        if isinstance(depth, list):
            depth = sum(depth) / len(depth)
        depth = min(depth, 0.99)
        depth_bin = int(depth / 0.2) if upstream_compat else int(depth * NUM_DEPTHS)
        cells[length_bin][depth_bin].append(
            is_correct(row["answer"], row["response"], upstream_compat=upstream_compat)
        )
    return [[_mean(cell) for cell in depths] for depths in cells]


def main_scores(files: Mapping[str, Sequence[Mapping]], *, upstream_compat: bool = False) -> dict[str, dict]:
    """
    Scores over context length of each task, and over all six tasks where all are there: the mean over depths.

    Args:
        files (`Mapping[str, Sequence[Mapping]]`): The rows of [`score_cells`] by file name, "{model}_{task}-{split}.jsonl".
        upstream_compat (`bool`): Count cells without a question as 0, and round to 6 decimals. By default the mean is over the
            cells that have one, and `None` where there is none.

    Returns:
        `dict` by "{model}/scores_{split}.json", with "{task}-{split}" and "overall" (lists of 11) and `context_ranges`.

    Raises:
        ValueError: when a file name has another form (`RuntimeError` with `upstream_compat`).

    Example:

    ```python
    >>> row = {"answer": "oak", "response": "an oak", "context_length": 2500, "placed_depth": 0.5}
    >>> scores = main_scores({"tiny_retrieval-text-val.jsonl": [row]})["tiny/scores_val.json"]
    >>> scores["retrieval-text-val"][:3], scores["context_ranges"][:3]
    ([None, 1.0, None], ['1k', '2k', '4k'])

    ```
    """
    results: dict[str, dict] = {}
    for name, rows in files.items():
        parts = _FILE_NAME.fullmatch(name)
        if parts is None:
            error = RuntimeError if upstream_compat else ValueError
            raise error(
                f"file name is {name!r}, expected {{model}}_{{task}}-{{split}}.jsonl, task one of {', '.join(TASKS)}"
            )
        scores = results.setdefault(f"{parts['model']}/scores_{parts['split']}.json", {})
        cells = score_cells(rows, upstream_compat=upstream_compat)
        scores[f"{parts['task']}-{parts['split']}"] = [_combine(depths, upstream_compat) for depths in cells]
    for scores in results.values():
        if len(scores) == len(TASKS):
            scores["overall"] = [_combine(tasks, upstream_compat) for tasks in zip(*scores.values(), strict=True)]
        scores["context_ranges"] = [f"{length}k" for length in CONTEXT_RANGES]
    return results


def _combine(scores: Sequence[float | None], upstream_compat: bool) -> float | None:
    if upstream_compat:
        return round(sum(score or 0.0 for score in scores) / len(scores), 6)
    return _mean([score for score in scores if score is not None])


def _mean(scores: Sequence[float]) -> float | None:
    return sum(scores) / len(scores) if scores else None
