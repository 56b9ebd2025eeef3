"""Needles found in documents: the value as words of its own, several values, or that there is none."""

import json

import datasets
import evaluate

from mmprolong_hf.evaluation.metrics.grid import heatmap
from mmprolong_hf.evaluation.metrics.needle import score
from mmprolong_hf.evaluation.metrics.summary import summarize

INPUTS = """
Args:
    predictions (`list[str]`): The models' answers.
    references (`list[str]`): What was hidden; several values, all of which must be named, as JSON; or "Not
        answerable".
    lengths (`list[int]`): Context length of each question in tokens.
    depths (`list[float]`): Where the needle was, from 0 (first page) to 1 (last).
    n_depth_bins (`int`): Rows of the grid; 10 if not given.
Returns:
    `dict` with `score` (the mean, 0 to 1), `num`, `num_failed`, `scores`, `errors` and `heatmap`: the grid over depth
    and length, effective lengths and the lost-in-the-middle index.
"""


class DocNeedle(evaluate.Metric):
    """`evaluate.load("src/mmprolong_hf/evaluation/evaluate_modules/doc_needle")`."""

    def _info(self) -> evaluate.MetricInfo:
        texts = {column: datasets.Value("string") for column in ("predictions", "references")}
        return evaluate.MetricInfo(
            description=__doc__,
            citation="",
            inputs_description=INPUTS,
            features=datasets.Features(
                {**texts, "lengths": datasets.Value("int64"), "depths": datasets.Value("float64")}
            ),
        )

    def _compute(
        self,
        predictions: list[str],
        references: list[str],
        lengths: list[int],
        depths: list[float],
        n_depth_bins: int = 10,
    ) -> dict:
        golds = [json.loads(gold) if gold.startswith("[") else gold for gold in references]
        scores = [score(gold, prediction) for gold, prediction in zip(golds, predictions, strict=True)]
        records = [
            {"length": length, "depth": depth, "score": found.value}
            for length, depth, found in zip(lengths, depths, scores, strict=True)
        ]
        return summarize(scores) | {"heatmap": heatmap(records, n_depth_bins)}
