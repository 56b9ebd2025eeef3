"""metrics/longvideobench.py against the cases of tests/data/vectors/longvideobench.json, and by hand."""

import json
import random
from pathlib import Path

import pytest

from mmprolong_hf.evaluation.metrics import longvideobench

CASES = json.loads((Path(__file__).parent / "data/vectors/longvideobench.json").read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_vectors(case):
    options = {"upstream_compat": True} if case["function"] == "parse_multi_choice_response" else {}
    got = getattr(longvideobench, case["function"])(**case["inputs"], **options)
    if case["function"] == "aggregate":
        assert got["overall"] == pytest.approx(case["expected"]["overall"], abs=1e-9)
        assert got["buckets"] == pytest.approx(case["expected"]["buckets"], abs=1e-9)
    else:
        assert got == case["expected"]


@pytest.mark.parametrize(
    ("text", "ours", "upstream"),
    [
        ("ANSWER: C", "C", "A"),
        ("D. A book", "D", "D"),
        ("Every option", None, "E"),
        ("Best option: D", "D", "D"),
        ("(E)", None, "E"),  # the question offers A to D
        ("no letter " * 20, None, None),
    ],
)
def test_letter(text, ours, upstream):
    assert longvideobench.parse_multi_choice_response(text, "ABCD") == ours
    assert longvideobench.parse_multi_choice_response(text, "ABCD", upstream_compat=True) == upstream


def test_upstream_draws_a_letter_from_a_seeded_generator():
    drawn, again = (
        [longvideobench.parse_multi_choice_response("?", "ABC", upstream_compat=True, rng=rng) for _ in range(20)]
        for rng in (random.Random(1), random.Random(1))
    )
    assert drawn == again
    assert set(drawn) == set("ABC")


def test_an_answer_without_a_letter_is_wrong_and_told():
    assert longvideobench.score("A", "?") == longvideobench.Score(0.0, "no letter of the choices in the answer")


def test_several_right_letters_and_none():
    rows = [{"duration_group": 15, "question_category": "S2E", "answer": ["A", "B"], "parsed_pred": p} for p in "BC"]
    assert longvideobench.aggregate(rows)["overall"] == 0.5
    assert longvideobench.aggregate([]) == {"overall": 0.0, "buckets": {}}


def test_time_without_three_parts():
    with pytest.raises(ValueError, match="not enough values"):
        longvideobench.timestamp_to_seconds("1:02")


def test_frames_of_a_long_video():
    assert longvideobench.compute_frame_timestamps(16.5, 16) == [16.5 / 16 * index for index in range(16)]
    assert longvideobench.compute_frame_timestamps(0.5) == []


def test_subtitles():
    line = {"start": "0:00:01", "end": "0:00:03", "line": "first"}
    short = {"timestamp": [7.0, 7.2], "text": "no frame"}
    other_clock = {"timestamp": [14.0, 16.0], "text": "last"}
    insert = longvideobench.insert_subtitles_into_frames
    assert insert([0, 2, 5], [line, short], 0, 10) == "<image>\n<image>\nfirst\n<image>"
    assert insert([0, 2, 5], [other_clock], 10, 20) == "<image>\n<image>\n<image>\nlast"
