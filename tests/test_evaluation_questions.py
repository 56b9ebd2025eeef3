"""questions.py: every question of every row is asked with that row's pages."""

from io import BytesIO

import pytest
import tiny

from mmprolong_hf.evaluation.generate import answer
from mmprolong_hf.evaluation.questions import evaluate_questions, summarize_questions


def encoded(image):
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def question(text, answer, task="extract-single", answer_format="String"):
    return {"question": text, "answer": answer, "task": task, "answer_format": answer_format, "evidence_pages": [1]}


def test_predictions_are_those_of_single_answers_and_scores_follow():
    model, processor = tiny.model(), tiny.processor()
    pages = [[tiny.page(0), tiny.page(1)], [tiny.page(2)]]
    said = answer(model, processor, pages[0], "What is on page 2?", max_new_tokens=6)
    rows = [
        {
            "doc_id": "a",
            "images": pages[0],
            "questions": [question("What is on page 2?", said.upper()), question("And on page 1?", "?", "reasoning")],
        },
        {"doc_id": "b", "images": [encoded(pages[1][0])], "questions": [question("What is on page 2?", said)]},
        {"doc_id": "c", "images": [tiny.page(3)], "questions": []},
    ]
    records, summary = evaluate_questions(model, processor, rows, max_new_tokens=6)
    assert [(record["doc_id"], record["question"]) for record in records] == [
        ("a", "What is on page 2?"),
        ("a", "And on page 1?"),
        ("b", "What is on page 2?"),
    ]
    assert [record["prediction"] for record in records] == [
        said,
        answer(model, processor, pages[0], "And on page 1?", max_new_tokens=6),
        answer(model, processor, pages[1], "What is on page 2?", max_new_tokens=6),
    ]
    assert [record["score"] for record in records] == [1, 0, 0]
    assert summary["num_questions"] == 3
    assert summary["exact_match"] == pytest.approx(1 / 3)
    assert {task: share["num_questions"] for task, share in summary["tasks"].items()} == {
        "extract-single": 2,
        "reasoning": 1,
    }
    assert summary["interval"][0] < 1 / 3 < summary["interval"][1]


def test_a_page_that_cannot_be_read_names_its_document():
    rows = [{"doc_id": "a", "images": [{"bytes": b"not an image"}], "questions": [question("What?", "?")]}]
    with pytest.raises(RuntimeError, match="document a: UnreadablePageError: a page of 12 bytes cannot be opened"):
        evaluate_questions(tiny.model(), tiny.processor(), rows)


def test_nothing_to_ask_is_an_error():
    with pytest.raises(ValueError, match="no question to score: give rows whose `questions` are not empty"):
        summarize_questions([])
