"""
What lmms-eval calls for a row of a task: its messages, its pages and its score.

A row has `id`, `dataset`, `answer`, `answer_format`, and `parts`: a list of `kind` ("text" or "page") and `content` (the words, or
the page's file) in the order in which they are read.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from mmprolong_hf.evaluation.metrics.mmlongbench_text import parse_output
from mmprolong_hf.evaluation.requests import PageImage
from mmprolong_hf.evaluation.scoring_run import EXACT, RULES

FAILED = "failed"
# What lmms-eval 0.7.3 puts in place of an answer that a server did not give (models/chat/openai.py).
REQUEST_FAILED = "[LMMS_EVAL_REQUEST_FAILED"


def messages(row: Mapping) -> list[dict]:
    """
    The user's turn, for lmms-eval's chat models: words and pages as the model reads them.

    lmms-eval begins the model's turn itself, so the answer cannot begin with "Answer:" as in this project's own runs.

    Example:

    ```python
    >>> page = {"kind": "page", "content": "page1.png"}
    >>> messages({"parts": [{"kind": "text", "content": "Page 1: "}, page, {"kind": "text", "content": "Why?"}]})[0]["content"]
    [{'type': 'text', 'text': 'Page 1: '}, {'type': 'image', 'url': 'page1.png'}, {'type': 'text', 'text': 'Why?'}]

    ```
    """
    content = [
        {"type": "image", "url": part["content"]}
        if part["kind"] == "page"
        else {"type": "text", "text": part["content"]}
        for part in row["parts"]
    ]
    return [{"role": "user", "content": content}]


def text(row: Mapping) -> str:
    """
    The words, for lmms-eval's simple models, with `<image 1>` where the first page stands: `interleave_visuals=True` puts it there,
    where a model has it. Other simple models get all pages before all words.

    Example:

    ```python
    >>> text({"parts": [{"kind": "text", "content": "Page 1: "}, {"kind": "page", "content": "page1.png"}]})
    'Page 1: <image 1>'

    ```
    """
    words, num_pages = [], 0
    for part in row["parts"]:
        if part["kind"] == "page":
            num_pages += 1
            words.append(f"<image {num_pages}>")
        else:
            words.append(part["content"])
    return "".join(words)


def pages(row: Mapping) -> list[Image.Image]:
    """All pages in order, for lmms-eval's simple models: none is left out or made smaller."""
    return [PageImage(Path(part["content"])).open() for part in row["parts"] if part["kind"] == "page"]


def results(row: Mapping, answers: Sequence[str]) -> dict[str, float]:
    """
    The score of a row by the rule of its dataset, from 0 to 1, and whether it failed: no answer, or a right one that the rule cannot
    read. What failed counts as 0.

    Args:
        row (`Mapping`): Of the task.
        answers (`Sequence[str]`): The model's, of which there is one.

    Example:

    ```python
    >>> row = {"dataset": "slidevqa", "answer": "5", "answer_format": "Integer"}
    >>> results(row, ["Answer: 5 of them"]), results(row, [""])
    ({'doc_qa': 1.0, 'failed': 0.0}, {'doc_qa': 0.0, 'failed': 1.0})

    ```
    """
    rule = RULES.get(row["dataset"], EXACT)
    if not (answer := parse_output(answers[0])) or answers[0].startswith(REQUEST_FAILED):
        return {rule.metric: 0.0, FAILED: 1.0}
    score = rule.score(row["answer"], answer, row["answer_format"])
    return {rule.metric: score.value, FAILED: float(score.error is not None)}
