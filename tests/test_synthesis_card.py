"""What the card says of a build."""

from mmprolong_hf.synthesis.card import card_facts
from mmprolong_hf.synthesis.output import write_card
from mmprolong_hf.synthesis.plan import BuildPlan, folder_plan
from mmprolong_hf.synthesis.report import BuildReport
from mmprolong_hf.synthesis.yaml_options import read_options

REPORT = BuildReport(
    "out",
    rejected={"c.pdf": ("benchmark_text", "it holds 90% of q.pdf page 3")},
    rows={"train": 2},
    pages=1234,
    pool={"languages": {"en": 2}, "benchmark": {"files": 3, "pages": 90, "questions": 50}},
)
MODEL = {"model": "a-teacher", "base_url": "http://localhost:1/v1"}


def test_tables_are_filled_or_say_none(tmp_path):
    facts = card_facts(REPORT, folder_plan("pdfs", {"output": "set"}))
    assert "| benchmark_text | 1 |" in facts["rejected"]
    assert facts["dropped"] == "None."
    assert "no model was asked" in facts["teacher"]
    assert "Compared with 3 benchmark files (90 pages) and 50 benchmark questions" in facts["benchmarks"]
    assert "Left out: benchmark_text 1." in facts["benchmarks"]
    write_card(tmp_path, facts)  # every name of the template is there
    assert "1,234 pages" in (tmp_path / "README.md").read_text()


def test_models_and_the_compact_form_are_named():
    values = {"pdfs": "p", "output": "o", "teacher": MODEL, "pages": {"store": "pdf"}}
    values["verify"] = {"judge": {"endpoint": {**MODEL, "model": "a-judge"}, "checks": ["closed_book"]}}
    facts = card_facts(BuildReport("out"), read_options(BuildPlan, values, "test"))
    assert "model a-teacher" in facts["teacher"]
    assert "segment of 8 to 15 pages" in facts["teacher"]
    assert "a-judge, answered from chosen pages only (closed_book)" in facts["judged"]
    assert "A row holds the `pdf` itself" in facts["compact"]
    assert facts["benchmarks"] == "The pool was not compared with any benchmark."
