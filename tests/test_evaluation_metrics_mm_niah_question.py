"""metrics/mm_niah_question.py against the cases of tests/data/vectors/mm_niah.json."""

import json
from pathlib import Path

import pytest

from mmprolong_hf.evaluation.metrics.mm_niah_question import get_input

CASES = json.loads((Path(__file__).parent / "data/vectors/mm_niah.json").read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["function"] == "get_input"], ids=lambda case: case["id"]
)
def test_get_input(case):
    assert get_input(**case["inputs"]) == case["expected"]


def test_the_item_stays_as_it_is():
    item = {"context": "x", "images_list": ["a.jpg"], "question": "Which?", "answer": 0}
    item["meta"] = {"choices": None, "choices_image_path": ["b.jpg"]}
    assert get_input(item)["images_list"] == ["a.jpg", "b.jpg"]
    assert item["images_list"] == ["a.jpg"]
