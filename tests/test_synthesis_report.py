"""What a build says of itself."""

from mmprolong_hf.synthesis.report import BuildReport, card_facts

REPORT = BuildReport(
    "out",
    accepted=["a.pdf", "b.pdf"],
    rejected={"c.pdf": ("encrypted", "it needs a password"), "d.pdf": ("encrypted", "so does it")},
    rows={"train": 2},
    questions={"reasoning": 4},
    pages=30,
    seconds=2.0,
)


def test_the_summary_names_every_rejected_file():
    assert REPORT.rejected_by_reason == {"encrypted": 2}
    assert REPORT.pages_per_second == 15
    for words in (
        "2 documents (train 2)",
        "4 questions: reasoning 4",
        "2 rejected: encrypted 2",
        "  c.pdf: encrypted: it needs",
    ):
        assert words in str(REPORT)


def test_the_card_has_a_table_or_says_none():
    facts = card_facts(REPORT)
    assert "| encrypted | 2 |" in facts["rejected"]
    assert facts["dropped"] == "None."
