"""metrics/video_mme.py against the cases of tests/data/vectors/video_mme.json, and by hand."""

import json
from pathlib import Path

import pytest

from mmprolong_hf.evaluation.metrics import video_mme

CASES = json.loads((Path(__file__).parent / "data/vectors/video_mme.json").read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_vectors(case):
    assert getattr(video_mme, case["function"])(**case["inputs"], upstream_compat=True) == case["expected"]


@pytest.mark.parametrize(
    ("text", "ours", "upstream"),
    [
        ("Best answer: C", "C", "B"),
        ("Best option: D", "D", "B"),
        ("Answer: D", "D", "A"),
        ("Definitely B", "B", "D"),
        ("Best answer:Best option: D", "D", "D"),  # the phrase that two missing commas make
        ("The best answer is: (C).", "C", "C"),
        ("_D_", "D", "D"),
        ("Because", "", "B"),
        ("ABCD", "", "A"),
        ("E", "", ""),
        ("A4", "", "A"),
        ("no letter " * 20, "", ""),
    ],
)
def test_letter(text, ours, upstream):
    assert video_mme.extract_characters_regex(text) == ours
    assert video_mme.extract_characters_regex(text, upstream_compat=True) == upstream


def video(duration, category, *questions, missing=False):
    rows = [{"task_type": task, "answer": answer, "response": response} for task, answer, response in questions]
    return {"duration_category": duration, "video_category": category, "missing": missing, "questions": rows}


RESULTS = [
    video("short", "Knowledge", ("OCR Problems", "A", "A"), ("OCR Problems", "B", ""), ("Counting Problem", "C", "D")),
    video("short", "Life Record", ("OCR Problems", "A", "A"), missing=True),
    video("long", "Knowledge", ("OCR Problems", "A", "A")),
    video("medium", "Knowledge", ("OCR Problems", "A", "A")),
]


def test_every_question_counts():
    report = video_mme.eval_your_results(RESULTS, ["short", "long"])
    assert list(report) == ["short", "long", "all"]
    assert report["short"] == {
        "Knowledge": pytest.approx(100 / 3),
        "Life Record": 0,
        "OCR Problems": pytest.approx(100 / 3),
        "Counting Problem": 0,
        "Overall": 25,
    }
    assert report["all"]["Overall"] == 40


def test_upstream_leaves_out_what_was_not_answered():
    report = video_mme.eval_your_results(RESULTS, ["short", "long"], upstream_compat=True)
    assert report["short"] == {"Knowledge": 50.0, "OCR Problems": 100.0, "Overall": 50.0}
    assert report["all"] == {"Knowledge": 66.7, "OCR Problems": 100.0, "Overall": 66.7}


def test_video_type_without_a_video():
    assert video_mme.eval_your_results([], ["short"]) == {"short": {}, "all": {}}
    assert video_mme.eval_your_results([], ["short"], upstream_compat=True)["all"] == {"Overall": 0.0}


def test_score():
    assert video_mme.score("C", "Best answer: C") == video_mme.Score(1.0)
    assert video_mme.score("B", "Best answer: C") == video_mme.Score(0.0)
    assert video_mme.score("C", "It is a cat").error == "no letter A to D in the answer"
