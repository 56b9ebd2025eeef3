"""The `evaluate` modules, loaded from their folders without a network, give what the metrics behind them give."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import mmprolong_hf.evaluation
from mmprolong_hf.evaluation.metrics import longdocurl, mmlongbench, mmlongbench_doc, slidevqa
from mmprolong_hf.evaluation.metrics.grid import heatmap
from mmprolong_hf.evaluation.metrics.summary import summarize

pytest.importorskip("evaluate")

FOLDER = Path(mmprolong_hf.evaluation.__file__).parent / "evaluate_modules"
VECTORS = Path(__file__).parent / "data" / "vectors"
RULES = {  # module: metric, file of vectors
    "mmlongbench_docqa": (mmlongbench, "mmlongbench"),
    "mmlongbench_doc": (mmlongbench_doc, "mmlongbench_doc"),
    "longdocurl": (longdocurl, "longdocurl"),
}
COMPUTE = """
import json, sys
import evaluate
folder, inputs = json.load(sys.stdin)
print(json.dumps({name: evaluate.load(f"{folder}/{name}").compute(**columns) for name, columns in inputs.items()}))
"""


def vectors(benchmark, functions):
    cases = json.loads((VECTORS / f"{benchmark}.json").read_text(encoding="utf-8"))["cases"]
    return [case["inputs"] for case in cases if case["function"] in functions]


def rule_columns(benchmark):
    """Cases as columns of text: what is no text is written as JSON."""
    formats = {"Int", "Integer", "Float", "Str", "String", "None", "List"}
    rows = [row for row in vectors(benchmark, ("eval_score", "eval_docqa_score")) if row["answer_format"] in formats]
    text = {
        name: [row[name] if isinstance(row[name], str) else json.dumps(row[name]) for row in rows]
        for name in ("prediction", "gold", "answer_format")
    }
    return {"predictions": text["prediction"], "references": text["gold"], "answer_formats": text["answer_format"]}


INPUTS = {
    **{name: rule_columns(benchmark) for name, (_, benchmark) in RULES.items()},
    "slidevqa": {
        "predictions": ["seven slides", "the", "Paris"],
        "references": ["7", "the", "Paris, France"],
        "questions": ["How many slides?", "What?", "Where?"],
    },
    "doc_needle": {
        "predictions": ["It is 6822442.", "6822442", "Not found.", "68224421"],
        "references": ["6822442", '["6822442", "1202641"]', "Not answerable", "6822442"],
        "lengths": [8192, 8192, 16384, 16384],
        "depths": [0.0, 1.0, 0.0, 1.0],
        "n_depth_bins": 2,
    },
}


@pytest.fixture(scope="module")
def results(environment, tmp_path_factory):
    cache = str(tmp_path_factory.mktemp("evaluate"))
    offline = {"HF_HOME": cache, "HF_HUB_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1"}
    for name in ("HF_DATASETS_CACHE", "HF_MODULES_CACHE", "HF_EVALUATE_CACHE"):
        offline[name] = cache
    done = subprocess.run(
        [sys.executable, "-c", COMPUTE],
        input=json.dumps([str(FOLDER), INPUTS]),
        capture_output=True,
        text=True,
        env=environment | offline,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_every_module_is_tried():
    assert {path.name for path in FOLDER.iterdir() if (path / f"{path.name}.py").is_file()} == set(INPUTS)


@pytest.mark.parametrize("name", RULES)
def test_rule_metrics(results, name):
    columns = INPUTS[name]
    rows = list(zip(columns["references"], columns["predictions"], columns["answer_formats"], strict=True))
    expected = summarize([RULES[name][0].score(*row) for row in rows])
    assert results[name] == expected
    assert 0 < expected["score"] < 1
    assert expected["num"] > 50
    assert expected["num_failed"] > 0


def test_slidevqa(results):
    columns = INPUTS["slidevqa"]
    rows = zip(columns["references"], columns["predictions"], columns["questions"], strict=True)
    expected = summarize([slidevqa.score(*row) for row in rows])
    assert results["slidevqa"] == expected
    assert expected["num_failed"] == 1


def test_doc_needle(results):
    found = results["doc_needle"]
    assert found["scores"] == [1, 0, 1, 0]
    assert found["score"] == 0.5
    assert found["heatmap"]["grid"] == [[1, 1], [0, 0]]
    records = [
        {"length": length, "depth": depth, "score": value}
        for length, depth, value in zip(INPUTS["doc_needle"]["lengths"], INPUTS["doc_needle"]["depths"], [1, 0, 1, 0])
    ]
    assert found["heatmap"] == json.loads(json.dumps(heatmap(records, 2)))
