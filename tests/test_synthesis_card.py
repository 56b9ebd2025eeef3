"""What the card says of a build."""

import re
from string import Template

import pytest
import yaml

from mmprolong_hf.synthesis import output
from mmprolong_hf.synthesis.card import card_facts
from mmprolong_hf.synthesis.output import write_card
from mmprolong_hf.synthesis.plan import BuildPlan, folder_plan
from mmprolong_hf.synthesis.report import BuildReport
from mmprolong_hf.synthesis.schema import DOCUMENT_FEATURES, QUESTION_FEATURES
from mmprolong_hf.synthesis.short_context import SHORT_TASK
from mmprolong_hf.synthesis.yaml_options import read_options

BENCHMARK = {"files": 3, "pages": 90, "questions": 50, "unread": {}, "questions_too_short": 0}
REPORT = BuildReport(
    "out",
    rejected={"c.pdf": ("benchmark_text", "it holds 90% of q.pdf page 3")},
    rows={"train": 2},
    licenses={"": 1, "A|B <!--": 3},
    languages={"de": 1, "en": 3},
    pages=1234,
    pool={"languages": {"en": 2}, "benchmark": BENCHMARK},
    versions={"mmprolong_hf": "9.9"},
    plan={"seed": 0, "verify": {"require": ("wording",)}},
)
MODEL = {"model": "a-teacher", "base_url": "http://localhost:1/v1"}
PLAN = folder_plan("pdfs", {"output": "set"})


def plan_with(**values) -> BuildPlan:
    return read_options(BuildPlan, {"pdfs": "p", "output": "o", **values}, "test")


def facts_of(**report) -> dict[str, str]:
    return card_facts(BuildReport("out", **report), PLAN)


def test_tables_are_filled_or_say_none(tmp_path):
    facts = card_facts(REPORT, PLAN)
    assert "| benchmark_text | 1 |" in facts["rejected"]
    assert facts["dropped"] == "None."
    assert "no model was asked" in facts["teacher"]
    assert "| pages | 1,234 |" in facts["statistics"]
    assert facts["languages"].splitlines()[2:] == ["| de | 1 |", "| en | 3 |"]
    assert facts["versions"] == "mmprolong_hf 9.9"
    write_card(tmp_path, facts)  # every name of the template is there
    _, front, text = (tmp_path / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(front)["language"] == ["de", "en"]
    assert "$" not in text
    assert "\n\n\n" not in text.replace("\n\n\ndef to_samples", "").replace("\n\n\ndocuments =", "")


def test_every_name_of_the_template_is_given_and_used():
    names = set(Template(output.CARD.read_text()).get_identifiers()) - {"configs", "config_table"}
    assert set(card_facts(REPORT, PLAN)) == names


def test_the_columns_are_those_of_the_schema():
    text = output.CARD.read_text()
    tables = re.findall(r"\| (?:column|field) \| what it is \|\n\| --- \| --- \|\n((?:\|.*\n)+)", text)
    documents, questions = ([re.match(r"\| `(\w+)` \| \S", line)[1] for line in t.splitlines()] for t in tables)
    assert documents == list(DOCUMENT_FEATURES)
    assert questions == list(QUESTION_FEATURES)


def test_what_was_not_told_of_licences_is_counted():
    lines = card_facts(REPORT, PLAN)["licenses"].splitlines()[2:]
    assert lines == ["| not told | 1 |", "| A\\|B &lt;!-- | 3 |"]


def test_lengths_are_counted_in_the_pictures_ranges():
    lines = facts_of(mixture={"histogram": {0: 1, 16384: 1200}})["histogram"].splitlines()[2:]
    assert lines == ["| 0K to 8K | 1 |", "| 8K to 16K | 0 |", "| 16K to 24K | 1,200 |"]
    lines = facts_of(mixture={"histogram": {122880: 2, 131072: 3, 262144: 4}})["histogram"].splitlines()
    assert lines[-2:] == ["| 120K to 128K | 2 |", "| 128K and more | 7 |"]
    assert facts_of()["histogram"] == "None."


def test_the_plan_is_yaml():
    assert yaml.safe_load(card_facts(REPORT, PLAN)["options"]) == {"seed": 0, "verify": {"require": ["wording"]}}


def test_models_are_named():
    judge = {"endpoint": {**MODEL, "model": "a-judge"}, "checks": ["closed_book"]}
    plan = plan_with(
        teacher=MODEL, scans=MODEL | {"model": "a-reader"}, pool={"scanned": "keep"}, verify={"judge": judge}
    )
    facts = card_facts(BuildReport("out", failures={"not_json": 2}), plan)
    assert "model a-teacher" in facts["teacher"]
    assert "segment of 8 to 15 pages" in facts["teacher"]
    assert "a-judge, answered from chosen pages only (closed_book)" in facts["judged"]
    assert "was read by the model a-reader, and nothing confirms it" in facts["scans"]
    assert "| prompts/ask.md |" in facts["prompts"]
    assert facts["same"].endswith("and the models' same replies")
    assert "| not_json | 2 |" in facts["failures"]
    assert card_facts(REPORT, PLAN)["failures"] == ""
    assert "(scans) are left out" in card_facts(REPORT, PLAN)["scans"]


def test_the_compact_form_is_no_form_for_trl():
    facts = card_facts(BuildReport("out"), plan_with(pages={"store": "pdf"}))
    assert facts["pages"] == "the PDF itself"
    assert "holds the PDFs in place of page images" in facts["no_images"]
    assert facts["no_images"].endswith("\n\n")  # a paragraph of its own
    assert facts_of()["no_images"] == ""


def test_checks_that_kept_nothing_out_are_named():
    free = card_facts(BuildReport("out"), plan_with(verify={"require": ["quotes_found"]}))["required"]
    assert "`wording`" in free
    assert "`quotes_found`" not in free
    assert facts_of()["required"] == ""


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({}, "Compared with 3 benchmark files (90 pages) and 50 questions by"),
        ({"files": 1, "pages": 1, "questions": 1}, "Compared with 1 benchmark file (1 page) and 1 question by"),
        ({"files": 0, "pages": 0}, "Compared with 0 benchmark files (0 pages) and 50 questions by"),
        (
            {"unread": {"a": 1}, "questions_too_short": 2},
            "Not compared, because they could not be read or are too short: 1 benchmark file, 2 questions.",
        ),
    ],
)
def test_what_was_compared_reads_well_for_any_number(facts, sentence):
    report = BuildReport("out", pool={"benchmark": BENCHMARK | facts}, left_out={"benchmark_question": 4})
    text = card_facts(report, PLAN)["benchmarks"]
    assert sentence in text
    assert "Left out: benchmark_question 4." in text


def test_a_pool_that_was_compared_with_nothing_says_so():
    assert facts_of()["benchmarks"].startswith("**Nothing was compared.** The plan named no benchmark")
    assert "Left out: nothing." in facts_of(pool={"benchmark": BENCHMARK})["benchmarks"]


def test_documents_beyond_the_viewer_are_named_and_counted():
    assert facts_of()["beyond_viewer"] == ""
    assert "never shown there: 1 document (`a.pdf`)." in facts_of(beyond_viewer=["a.pdf"])["beyond_viewer"]
    many = facts_of(beyond_viewer=[f"{k}.pdf" for k in range(7)])["beyond_viewer"]
    assert "at most 286.1 MiB" in many
    assert "7 documents (`0.pdf`, `1.pdf`, `2.pdf`, `3.pdf`, `4.pdf` and 2 more)" in many


def test_short_samples_are_told_apart(tmp_path):
    mixture = {"short_share": 0.5, "short_datasets": {str(tmp_path): [], "org/set": []}}
    said = card_facts(BuildReport("out", short={SHORT_TASK: 1}), plan_with(mixture=mixture))["short"]
    assert f"short samples, 1 question from {tmp_path.name}, org/set." in said
    assert facts_of(short={"duplicate": 3})["short"] == ""
