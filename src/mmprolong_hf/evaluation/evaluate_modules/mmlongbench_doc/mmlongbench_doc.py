"""MMLongBench-Doc's rule metric."""

import datasets
import evaluate

from mmprolong_hf.evaluation.metrics.mmlongbench_doc import score
from mmprolong_hf.evaluation.metrics.summary import summarize

INPUTS = """
Args:
    predictions (`list[str]`): The extracted answers, a list of several as JSON.
    references (`list[str]`): The right answers, a list of several as JSON.
    answer_formats (`list[str]`): "Int", "Float", "Str", "None" or "List".

Returns:
    `dict` with `score` (the mean, 0 to 1), `num`, `num_failed` (answers that count as 0 because the score could not be
    worked out), `scores` and `errors` (the reason of each failure).
"""
CITATION = "MMLongBench-Doc, arXiv 2407.01523"


class MMLongBenchDoc(evaluate.Metric):
    """`evaluate.load("src/mmprolong_hf/evaluation/evaluate_modules/mmlongbench_doc")`."""

    def _info(self) -> evaluate.MetricInfo:
        columns = ("predictions", "references", "answer_formats")
        return evaluate.MetricInfo(
            description=__doc__,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({column: datasets.Value("string") for column in columns}),
            reference_urls=["https://github.com/mayubo2333/MMLongBench-Doc"],
        )

    def _compute(self, predictions: list[str], references: list[str], answer_formats: list[str]) -> dict:
        rows = zip(references, predictions, answer_formats, strict=True)
        return summarize([score(gold, prediction, answer_format) for gold, prediction, answer_format in rows])
