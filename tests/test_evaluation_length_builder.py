"""evaluation/length_builder.py against the cases of tests/data/vectors/length_builder.json, and what must hold of any build."""

import json
import random
from pathlib import Path

import pytest

from mmprolong_hf.evaluation import length_builder
from mmprolong_hf.evaluation.length_builder import TARGET, LengthError, build

CASES = json.loads((Path(__file__).parent / "data/vectors/length_builder.json").read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_vectors(case):
    function = getattr(length_builder, case["function"])
    if "raises" in case:
        assert case["raises"] == LengthError.__name__
        with pytest.raises(LengthError):
            function(**case["inputs"])
    else:
        assert function(**case["inputs"]) == case["expected"]


def draw(seed: int) -> dict:
    rng = random.Random(seed)
    doc = [rng.choice([616, 1260, 2508]) for _ in range(rng.randrange(1, 30))]
    answer_pages = rng.sample(range(len(doc)), rng.randrange(0, min(4, len(doc) + 1)))
    pool = [[rng.choice([616, 2508]) for _ in range(rng.randrange(1, 9))] for _ in range(rng.randrange(0, 12))]
    return {"doc": doc, "answer_pages": answer_pages, "pool": pool, "budget": rng.choice([1000, 8000, 30000, 120000])}


def test_what_must_hold_of_any_build():
    kinds = {"cut": 0, "filled": 0, "refused": 0}
    for seed in range(400):
        inputs = draw(seed)
        doc, pool, budget = inputs["doc"], inputs["pool"], inputs["budget"]
        try:
            built = build(**inputs)
        except LengthError:
            kinds["refused"] += 1
            needed = inputs["answer_pages"] or [len(doc) // 2]
            assert sum(doc[min(needed) : max(needed) + 1]) > budget or not inputs["answer_pages"]
            continue
        costs = [doc[page] if document == TARGET else pool[document][page] for document, page in built["pages"]]
        assert built["total"] == sum(costs) <= budget
        own = [page for document, page in built["pages"] if document == TARGET]
        assert own == list(range(own[0], own[-1] + 1))
        assert set(inputs["answer_pages"]) <= set(own)
        cut = len(own) < len(doc)
        assert not cut or len(own) == len(built["pages"])  # a document that was cut is not filled up
        kinds["cut" if cut else "filled"] += 1
    assert min(kinds.values()) > 20


def test_sides_alternate_until_one_has_only_pages_that_must_stay():
    assert [page for _, page in build([1] * 10, [1], [], budget=5)["pages"]] == [1, 2, 3, 4, 5]
    assert [page for _, page in build([1] * 10, [], [], budget=4)["pages"]] == [3, 4, 5, 6]


def test_the_document_that_does_not_fit_is_the_last():
    pages = build([10], [0], [[10, 10], [10, 90, 1], [1]], budget=50)["pages"]
    assert pages == [[0, 0], [0, 1], [TARGET, 0], [1, 0]]


def test_errors_tell_what_was_found():
    with pytest.raises(
        LengthError, match=r"the pages 1 to 3, counted from 0, must stay and take 300 tokens, expected at most 250"
    ):
        build([100] * 5, [1, 3], [], budget=250)
    with pytest.raises(ValueError, match="answer page 5 is not in the document, expected 0 to 4"):
        build([100] * 5, [5], [], budget=250)
    with pytest.raises(ValueError, match="the document has no page"):
        build([], [], [], budget=250)
