"""How far a build is, before, between and after."""

import pytest
from synthetic_pdf import report

from mmprolong_hf.synthesis.pipeline import build_dataset, identified_pdfs, stages_of
from mmprolong_hf.synthesis.plan import folder_plan
from mmprolong_hf.synthesis.status import import_results, show_status


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "pdfs").mkdir()
    for k in (1, 2):
        report(tmp_path / "pdfs" / f"{k}.pdf", chapters=k + 1)
    (tmp_path / "pdfs" / "web.pdf").write_text("<html>")
    changes = {
        "output": str(tmp_path / "set"),
        "work": str(tmp_path / "work"),
        "pages.dpi": 36,
        "pool.near_duplicates": None,
    }
    return folder_plan(tmp_path / "pdfs", changes)


def test_a_build_that_has_not_begun(plan):
    assert show_status(plan) == f"scan: not begun\nbuild: not begun\n{plan.output}: not there yet"


def test_a_finished_build_with_its_failures(plan):
    build_dataset(plan)
    lines = show_status(plan).splitlines()
    assert lines[0].startswith("scan: 3 of 3 PDFs, 100.0%")
    assert lines[1] == "  rejected: not_a_pdf 1"
    assert lines[2].startswith("build: 2 of 2 PDFs")
    assert lines[-1].endswith("a finished build is there")


def test_a_build_under_way(plan):
    build_dataset(plan)
    stage = stages_of(plan, identified_pdfs(plan.pdfs))["scan"]
    outcomes = stage.folder / "outcomes" / "00000.jsonl"
    lines = outcomes.read_text().splitlines()
    outcomes.unlink()  # as if only some documents were done
    for k in (0, 2):
        (stage.folder / "parts" / "00000" / f"{k:05d}.json").write_text(lines[k])
    assert show_status(plan).splitlines()[0].startswith("scan: 2 of 3 PDFs, 66.7%")
    assert "  rejected: not_a_pdf 1" in show_status(plan)


def test_a_batch_without_a_model(plan, tmp_path):
    with pytest.raises(ValueError, match="the plan names no model, so there is no batch to import"):
        import_results(plan, [tmp_path / "results.jsonl"])
