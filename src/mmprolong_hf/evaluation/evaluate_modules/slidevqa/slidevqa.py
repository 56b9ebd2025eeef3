"""SlideVQA's F1 of answers."""

import datasets
import evaluate

from mmprolong_hf.evaluation.metrics.slidevqa import score
from mmprolong_hf.evaluation.metrics.summary import summarize

INPUTS = """
Args:
    predictions (`list[str]`): The models' answers.
    references (`list[str]`): The right answers.
    questions (`list[str]`): The questions: the word they count or choose among does not count.

Returns:
    `dict` with `score` (the mean, 0 to 1), `num`, `num_failed` (answers that count as 0 because the score could not be
    worked out), `scores` and `errors` (the reason of each failure).
"""
CITATION = "SlideVQA, arXiv 2301.04883"


class SlideVQA(evaluate.Metric):
    """`evaluate.load("src/mmprolong_hf/evaluation/evaluate_modules/slidevqa")`."""

    def _info(self) -> evaluate.MetricInfo:
        columns = ("predictions", "references", "questions")
        return evaluate.MetricInfo(
            description=__doc__,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({column: datasets.Value("string") for column in columns}),
            reference_urls=["https://github.com/nttmdlab-nlp/SlideVQA"],
        )

    def _compute(self, predictions: list[str], references: list[str], questions: list[str]) -> dict:
        rows = zip(references, predictions, questions, strict=True)
        return summarize([score(gold, prediction, question) for gold, prediction, question in rows])
