"""MMLongBench's rule metric for document questions (`doc_qa`, version 1.0)."""

import datasets
import evaluate

from mmprolong_hf.evaluation.metrics.mmlongbench import score
from mmprolong_hf.evaluation.metrics.summary import summarize

INPUTS = """
Args:
    predictions (`list[str]`): The models' answers, without "Answer:".
    references (`list[str]`): The right answers, a list of several as JSON.
    answer_formats (`list[str]`): "Integer", "Float", "String", "None" or "List".

Returns:
    `dict` with `score` (the mean, 0 to 1), `num`, `num_failed` (answers that count as 0 because the score could not be
    worked out), `scores` and `errors` (the reason of each failure).
"""
CITATION = "MMLongBench, arXiv 2505.10610"


class MMLongBenchDocQA(evaluate.Metric):
    """`evaluate.load("src/mmprolong_hf/evaluation/evaluate_modules/mmlongbench_docqa")`."""

    def _info(self) -> evaluate.MetricInfo:
        columns = ("predictions", "references", "answer_formats")
        return evaluate.MetricInfo(
            description=__doc__,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({column: datasets.Value("string") for column in columns}),
            reference_urls=["https://github.com/EdinburghNLP/MMLongBench"],
        )

    def _compute(self, predictions: list[str], references: list[str], answer_formats: list[str]) -> dict:
        rows = zip(references, predictions, answer_formats, strict=True)
        return summarize([score(gold, prediction, answer_format) for gold, prediction, answer_format in rows])
