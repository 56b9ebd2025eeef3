"""What holds for every metric: quick to import, no heavy library, no eval(), and nothing a model says raises."""

import ast
import json
import random
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from mmprolong_hf.evaluation import metrics
from mmprolong_hf.evaluation.metrics import (
    document_haystack,
    document_haystack_files,
    judge_score,
    longdocurl,
    longvideobench,
    mm_niah,
    mmlongbench,
    mmlongbench_doc,
    mmlongbench_niah,
    mmlongbench_text,
    needle,
    slidevqa,
    video_mme,
    vtcbench,
)

FOLDER = Path(metrics.__file__).parent
FILES = sorted(FOLDER.glob("*.py"))
HEAVY = ("torch", "transformers", "datasets", "evaluate")

IMPORT = """
import importlib, json, sys, time
start = time.perf_counter()
for name in json.loads(sys.argv[1]):
    importlib.import_module("mmprolong_hf.evaluation.metrics." + name)
print(json.dumps({"seconds": time.perf_counter() - start, "modules": list(sys.modules)}))
"""


def test_import_is_quick_and_light(environment):
    names = json.dumps([path.stem for path in FILES if path.stem != "__init__"])
    command = [sys.executable, "-c", IMPORT, names]
    reports = []
    for _ in range(3):  # the least of three: the machine may be busy
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        reports.append(json.loads(done.stdout))
    assert "mmprolong_hf.evaluation.metrics.vtcbench" in reports[0]["modules"]
    assert not {module.split(".")[0] for module in reports[0]["modules"]} & set(HEAVY)
    assert min(report["seconds"] for report in reports) < 0.5


def calls_of_eval(source: str) -> list[int]:
    """Lines on which text is run as a program."""
    names = {"eval", "exec", "compile"}
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id in names]


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_no_text_is_run(path):
    assert calls_of_eval(path.read_text(encoding="utf-8")) == []


def test_a_call_of_eval_is_seen():
    assert calls_of_eval("import re\nre.compile('a')\nliteral_eval('1')\nx = [eval(s) for s in y]") == [4]


# What models say and what breaks parsers: halves of lists and of JSON, digits that int() does not read, huge numbers,
# half a character.
PIECES = [
    *("Answer:", "answer is", "(A)", "B.", "[", "]", "['a', 'b']", '["a", 1]', "{", "}", "[JSON]:", "[Score]: "),
    *('{"answer_score": ', '{"student_answer_count": 2, "covered_count": 1}', "Extracted answer:", "Answer format:"),
    *("<concise_answer>", "</concise_answer>", "<think>", "</think>", "#1", "Prompt: ", "Output: ", "json", "```"),
    *("-", "--", ".", ",", "%", "$", "£", "€", '"', "'", "\\", "(", ")", "*", "/", ":", ";", "\n", "\r\n", "\t", "\0"),
    *("nan", "inf", "-inf", "1e999", "0", "5", "007", "19", "0.25", "1,234", "[1, 2]", "²", "½", "١٢", "9" * 400),
    *("一", "北京", "ﬁ", "ß", "İ", "é", "\u200b", "\u2028", "\ud800", "🙂", "y" * 40, "  ", "True", "None", "none"),
    *("the", "a", "an", "b", "yes", "No", "how many", "which", "million", "miles", "kg", "m", "the Seine", "a car"),
    *("Not answerable", "page 5", "a.m.", "2024-01-02", "x@y.z", "https://a.b", "6822442"),
]


def random_texts(num: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    texts = ["", *PIECES]
    while len(texts) < num:
        parts = [rng.choice((rng.choice(PIECES), chr(rng.randrange(0x300)))) for _ in range(rng.randint(1, 9))]
        texts.append(rng.choice(("", " ")).join(parts))
    return texts


GOLDS = {
    "Integer": "5",
    "Float": "0.25",
    "String": "the Seine",
    "None": "Not answerable",
    "List": '["a", 1, "page 5"]',
}
TEXT_GOLDS = GOLDS | {"List": "['a', 'b']"}
NIAH_GOLDS = {"sub_em": "5", "soft_acc": [1, 2], "mc_acc": 2}
SCORERS = {
    **{f"mmlongbench {kind}": partial(mmlongbench.score, gold, answer_format=kind) for kind, gold in GOLDS.items()},
    **{f"judge {kind}": partial(judge_score.score, gold, answer_format=kind) for kind, gold in GOLDS.items()},
    **{f"doc {kind}": partial(mmlongbench_doc.score, gold, answer_format=kind) for kind, gold in TEXT_GOLDS.items()},
    **{f"url {kind}": partial(longdocurl.score, gold, answer_format=kind) for kind, gold in TEXT_GOLDS.items()},
    **{f"niah {metric}": partial(mmlongbench_niah.score, gold, metric=metric) for metric, gold in NIAH_GOLDS.items()},
    **{f"mm_niah {gold}": partial(mm_niah.score, gold) for gold in (1, "5", "the Seine", [1, 2])},
    **{f"vtcbench {metric}": partial(vtcbench.score, ["a b", "5"], metric=metric) for metric in vtcbench.METRICS},
    "slidevqa": partial(slidevqa.score, "7 slides", question="how many slides are there?"),
    "video_mme": partial(video_mme.score, "A"),
    "longvideobench": partial(longvideobench.score, "A"),
    "document_haystack": partial(document_haystack.score, "car", use_aliases=True),
    "needle": partial(needle.score, "6822442"),
    "needles": partial(needle.score, ["6822442", "€"]),
    "no needle": partial(needle.score, "Not answerable"),
}


@pytest.mark.parametrize("name", SCORERS)
def test_nothing_a_model_says_raises(name):
    values = {SCORERS[name](text).value for text in random_texts(10_000, seed=5)}
    assert min(values) == 0
    assert 0 < max(values) <= 1  # right answers are among the texts


PARSERS = {
    "parse_predictions": document_haystack_files.parse_predictions,
    "extract_quoted": document_haystack_files.extract_quoted,
    "extract_final_answer": vtcbench.extract_final_answer,
    "parse_output": mmlongbench_text.parse_output,
    "parse_extracted_answer": mmlongbench_doc.parse_extracted_answer,
    "parse_concise_safe": lambda text: longdocurl.parse_concise_safe(
        f"<concise_answer>{text}</concise_answer><answer_format>List</answer_format>"
    ),
}


@pytest.mark.parametrize("name", PARSERS)
def test_no_reply_breaks_a_parser(name):
    results = {str(PARSERS[name](text)) for text in random_texts(10_000, seed=6)}
    assert len(results) > 1
