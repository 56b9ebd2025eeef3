"""metrics/document_haystack_files.py against the cases of tests/data/vectors/document_haystack.json, and by hand."""

import json
from pathlib import Path

import pytest

from mmprolong_hf.evaluation.metrics import document_haystack_files
from mmprolong_hf.evaluation.metrics.document_haystack import check_answer

CASES = json.loads((Path(__file__).parent / "data/vectors/document_haystack.json").read_text(encoding="utf-8"))[
    "cases"
]
CASES = [case for case in CASES if "parse" in case["tags"]]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_vectors(case):
    options = {"upstream_compat": True} if case["function"] == "parse_predictions" else {}
    assert getattr(document_haystack_files, case["function"])(**case["inputs"], **options) == case["expected"]


def test_the_benchmarks_own_aliases():
    aliases = document_haystack_files.parse_aliases('"Key" "latchkey" "Passkey"\n\nno quotes\n')
    assert aliases == {"key": ("latchkey", "Passkey")}
    assert check_answer("key", "a passkey", True, aliases=aliases) == 1
    assert check_answer("key", "a latch", True, aliases=aliases) == 0


@pytest.mark.parametrize(
    ("text", "ours", "upstream"),
    [
        ("#1\nPrompt: q\nOutput: x\ny\n\n#2\nPrompt: r\nOutput: z", [[1, "q", "x y"], [2, "r", "z"]], None),
        ("#1\r\nPrompt: q\r\nOutput: \r\n", [[1, "q", ""]], [[1, "q Output:"]]),
        ("#1\nPrompt: q\nOutput: x\n# Title", [[1, "q", "x # Title"]], ValueError),
        ("Hello\n#1\nPrompt: q\nOutput: x", [[1, "q", "x"]], IndexError),
        ("#1\nq\nOutput: x", [[1, "q", "x"]], TypeError),
        ("#1\nPrompt: q\nOutput: x\nOutput: y", [[1, "q", "x Output: y"]], [[1, "q", "x", "y"]]),
    ],
)
def test_predictions(text, ours, upstream):
    assert document_haystack_files.parse_predictions(text) == ours
    if isinstance(upstream, type):
        with pytest.raises(upstream):
            document_haystack_files.parse_predictions(text, upstream_compat=True)
    else:
        assert document_haystack_files.parse_predictions(text, upstream_compat=True) == (upstream or ours)


@pytest.mark.parametrize(("text", "expected"), [('a "b" "c"', "b"), ('"one', None), ('"a\nb"', None), ('""', "")])
def test_extract_quoted(text, expected):
    assert document_haystack_files.extract_quoted(text) == expected
