"""What a build says of itself."""

from mmprolong_hf.synthesis.report import BuildReport

REPORT = BuildReport(
    "out",
    accepted=["a.pdf", "b.pdf"],
    rejected={"c.pdf": ("encrypted", "it needs a password"), "d.pdf": ("encrypted", "so does it")},
    rows={"train": 2},
    questions={"reasoning": 4},
    mixture={"tokens": 5000, "shortfall": {"reasoning": "1 sample"}},
    models={"a-model": {"calls": 3, "prompt_tokens": 90, "completion_tokens": 9, "usd": 0.5, "unsettled_usd": 0.0}},
    pages=30,
    seconds=2.0,
)


def test_the_summary_names_every_rejected_file():
    assert REPORT.rejected_by_reason == {"encrypted": 2}
    assert REPORT.pages_per_second == 15
    for words in (
        "2 documents (train 2)",
        "4 questions: reasoning 4",
        "5000 tokens of samples",
        "not reached: reasoning, 1 sample",
        "a-model: 3 calls, 90 + 9 tokens, 0.5000 USD",
        "2 rejected: encrypted 2",
        "  c.pdf: encrypted: it needs",
    ):
        assert words in str(REPORT)
