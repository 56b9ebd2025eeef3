"""metrics/anls.py against the cases of tests/data/vectors/mmlongbench.json, with rapidfuzz and without it."""

import json
import random
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from random_text import random_texts
from rapidfuzz.distance import Levenshtein

from mmprolong_hf.evaluation.metrics import anls as module
from mmprolong_hf.evaluation.metrics.anls import _bit_parallel, anls, levenshtein, similarity

ALL = json.loads((Path(__file__).parent / "data/vectors/mmlongbench.json").read_text(encoding="utf-8"))["cases"]
CASES = [case for case in ALL if case["function"] == "anls_threshold_-1"]


@pytest.fixture(params=["rapidfuzz", "alone"])
def engine(request, monkeypatch):
    if request.param == "alone":
        monkeypatch.setattr(module, "Levenshtein", None)
    return request.param


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_vectors(case, engine):
    assert anls(**case["inputs"], threshold=-1) == pytest.approx(case["expected"], abs=1e-9)


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [("", "", 0), ("", "ab", 2), ("ab", "", 2), ("abc", "abc", 0), ("flaw", "lawn", 2), ("intention", "execution", 5)],
)
def test_distance(first, second, distance, engine):
    assert levenshtein(first, second) == distance


def test_both_ways_count_the_same():
    texts = random_texts(2_000, seed=7)
    stream = random.Random(0)
    texts += ["".join(stream.choices("ab", k=stream.randrange(200))) for _ in range(1_000)]  # close pairs
    distances = [
        (_bit_parallel(first, second), Levenshtein.distance(first, second)) for first, second in pairwise(texts)
    ]
    assert [mine for mine, _ in distances] == [theirs for _, theirs in distances]
    assert len(set(distances)) > 100


def test_a_missing_rapidfuzz_is_no_error():
    code = (
        "import sys; sys.modules['rapidfuzz'] = sys.modules['rapidfuzz.distance'] = None\n"
        "from mmprolong_hf.evaluation.metrics.anls import Levenshtein, anls\n"
        "print(Levenshtein, anls('Kitten', 'sitting'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "0.5714285714285714"]


def test_threshold_and_several_golds():
    assert anls("abcd", "abxy") == 0  # at the threshold, not above it
    assert anls("abcde", "abcxy") == pytest.approx(0.6)
    assert anls("abcd", "abxy", threshold=-1) == 0.5
    assert anls(" A  b\n", ["x", "a b"]) == 1
    assert similarity("A", "a") == 0
    with pytest.raises(ValueError, match="gold is empty"):
        anls("x", [])


def test_2000_characters_100_times_a_second(engine):
    stream = random.Random(1)
    first, second = ("".join(stream.choices("abcdefghij ", k=2_000)) for _ in range(2))
    best = 9.0
    for _ in range(5):
        start = time.perf_counter()
        similarity(first, second)
        best = min(best, time.perf_counter() - start)
    assert best < 0.01


def test_random_texts_raise_nothing(engine):
    for text in random_texts(10_000, seed=8):
        assert 0 <= anls(text, "Not answerable 北京", threshold=-1) <= 1
