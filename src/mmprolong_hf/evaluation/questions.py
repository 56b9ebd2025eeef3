"""Held-out questions of a data set: asked, compared with their answers, counted."""

from collections.abc import Sequence

from tqdm import tqdm
from transformers import PreTrainedModel, ProcessorMixin

from mmprolong_hf.evaluation.generate import document_context, page_image
from mmprolong_hf.evaluation.metrics.statistics import wilson_interval
from mmprolong_hf.evaluation.requests import Ask
from mmprolong_hf.evaluation.scoring import exact_match
from mmprolong_hf.evaluation.shared_prefix import TransformersEngine


def evaluate_questions(
    model: PreTrainedModel, processor: ProcessorMixin, rows: Sequence[dict], *, max_new_tokens: int = 32
) -> tuple[list[dict], dict]:
    """
    Ask every question of every document with all the document's pages.

    Args:
        model (`PreTrainedModel`): From [`~mmprolong_hf.evaluation.generate.load_model`].
        processor (`ProcessorMixin`): From [`~mmprolong_hf.encoding.load_processor`].
        rows (`Sequence[dict]`): Rows with `doc_id`, `images` and `questions` as in `DOCUMENT_FEATURES`.
        max_new_tokens (`int`): Longest answer, in tokens.

    Returns:
        `tuple[list[dict], dict]`: A record for each question (`prediction` and `score`, 0 or 1, beside the question's own
        columns), and [`summarize_questions`] of them.

    Raises:
        ValueError: when there is no question in the rows.
        RuntimeError: when a page cannot be read or memory does not suffice.
    """
    engine, records = TransformersEngine(model, processor), []
    with tqdm(total=sum(len(row["questions"]) for row in rows), desc="questions", unit="question") as progress:
        for row in rows:
            if not row["questions"]:
                continue
            asks = [Ask(str(k), q["question"], max_new_tokens=max_new_tokens) for k, q in enumerate(row["questions"])]
            for answer in engine.answer(document_context([page_image(image) for image in row["images"]], asks)):
                if answer.error:
                    raise RuntimeError(f"document {row['doc_id']}: {answer.error}")
                question = row["questions"][int(answer.id)]
                columns = {key: question[key] for key in ("question", "answer", "answer_format", "task")}
                score = exact_match(answer.text, question["answer"], question["answer_format"])
                records.append({"doc_id": row["doc_id"], **columns, "prediction": answer.text, "score": score})
                progress.update()
    return records, summarize_questions(records)


def summarize_questions(records: Sequence[dict]) -> dict:
    """
    Share of exact answers with its 95 % interval, over all records and for each task.

    Args:
        records (`Sequence[dict]`): With `task` and `score` (0 or 1).

    Raises:
        ValueError: when there is no record.

    Example:

    ```python
    >>> records = [{"task": "reasoning", "score": 1}, {"task": "extract-single", "score": 0}]
    >>> summary = summarize_questions(records)
    >>> summary["exact_match"], summary["num_questions"], [round(bound, 3) for bound in summary["interval"]]
    (0.5, 2, [0.095, 0.905])
    >>> summary["tasks"]["reasoning"]["exact_match"]
    1.0

    ```
    """
    if not records:
        raise ValueError("there is no question to score: give rows whose `questions` are not empty")
    tasks = sorted({record["task"] for record in records})
    return _share(records) | {"tasks": {task: _share([r for r in records if r["task"] == task]) for task in tasks}}


def _share(records: Sequence[dict]) -> dict:
    num, num_right = len(records), sum(record["score"] for record in records)
    return {"exact_match": num_right / num, "num_questions": num, "interval": list(wilson_interval(num_right, num))}
