"""metrics/sampling.py against the cases of tests/data/vectors/mmlongbench_sampling.json and datasets itself."""

import json
from pathlib import Path

import pytest
from datasets import Dataset

from mmprolong_hf.evaluation.metrics import sampling
from mmprolong_hf.evaluation.metrics.sampling import random_sample_ids, shuffle_select

CASES = json.loads((Path(__file__).parent / "data/vectors/mmlongbench_sampling.json").read_text(encoding="utf-8"))[
    "cases"
]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_vectors(case):
    assert getattr(sampling, case["function"])(**case["inputs"]) == case["expected"]


@pytest.mark.parametrize(("n", "k", "seed"), [(961, 100, 42), (60, 100, 42), (1153, 100, 7)])
def test_shuffle_of_datasets(n, k, seed):
    rows = Dataset.from_dict({"row": range(n)}).shuffle(seed=seed).select(range(min(n, k)))["row"]
    assert shuffle_select(n, k, seed) == list(rows)


def test_order_and_repetition_of_ids_do_not_matter():
    assert random_sample_ids(["c", "a", "b", "a"] * 9, 2) == random_sample_ids(["a", "b", "c"], 2)
    assert sorted(random_sample_ids(range(5), 9)) == list(range(5))
    assert random_sample_ids(range(100), 9, seed=1) != random_sample_ids(range(100), 9, seed=2)
