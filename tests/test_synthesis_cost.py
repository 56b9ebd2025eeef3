"""What a build is said to take, beside what it took."""

import pymupdf
import pytest
from scripted_server import ScriptedServer
from scripted_teacher import Teacher, learn
from synthetic_pdf import report

import mmprolong_hf.synthesis.cost as cost
from mmprolong_hf.synthesis.cost import Amount, estimate_build
from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.pipeline import build_dataset
from mmprolong_hf.synthesis.plan import BuildPlan
from mmprolong_hf.synthesis.yaml_options import read_options


@pytest.fixture(scope="module")
def pdfs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pdfs")
    for k, city in enumerate(("Lima", "Oslo", "Bern", "Rome")):
        report(
            folder / f"{city}.pdf",
            titles=[f"{part} of {city}" for part in ("North", "South", "East", "West")[: 2 + k % 3]],
        )
    (folder / "web.pdf").write_text("<html>")
    return folder


def plan(pdfs, output, **changes):
    values = {
        "pdfs": str(pdfs),
        "output": str(output),
        "pages": {"dpi": 36},
        "pool": {"min_pages": 1, "near_duplicates": None},
    }
    return read_options(BuildPlan, values | changes, "test")


def test_where_all_documents_are_looked_at_the_numbers_are_exact(pdfs, tmp_path):
    wanted = plan(pdfs, tmp_path / "set")
    estimate = estimate_build(wanted)
    built = build_dataset(wanted)
    assert (estimate.num_files, estimate.num_scanned, estimate.num_built) == (5, 5, 4)
    assert estimate.rejected == {"not_a_pdf": 1}
    amounts = estimate.amounts
    assert amounts["documents"] == Amount(4)
    assert amounts["pages"] == Amount(built.pages)
    assert amounts["page tokens"] == Amount(built.page_tokens)
    assert amounts["questions"].value == sum(built.questions.values())
    assert amounts["core-hours"].value > 0
    assert "looked at 5, read 4 of them whole. Nothing was written." in str(estimate)


def test_a_sample_is_scaled_and_says_how_sure_it_is(pdfs, tmp_path, monkeypatch):
    monkeypatch.setattr(cost, "PILOT", 3)
    estimate = estimate_build(plan(pdfs, tmp_path / "set"))
    assert estimate.num_scanned == 3
    pages = estimate.amounts["pages"]
    assert pages.spread > 0
    assert "(" in str(pages)
    assert not list(tmp_path.iterdir())
    assert estimate_build(plan(pdfs, tmp_path / "set")).amounts["pages"] == pages


def test_the_calls_of_a_teacher_are_counted_before_they_cost(pdfs, tmp_path):
    with ScriptedServer(Teacher(learn(sorted(pdfs.glob("[A-Z]*.pdf")), dpi=36))) as server:
        model = {"model": "a-teacher", "base_url": server.url, "prompt_price": 2.0, "completion_price": 8.0}
        judge = {"endpoint": {**model, "model": "a-judge"}, "checks": ["evidence_only", "closed_book"]}
        asking = {"tasks": {"extract-single": 3, "extract-multi": 2}}
        estimate = estimate_build(plan(pdfs, tmp_path / "set", teacher=model, asking=asking, verify={"judge": judge}))
        assert not server.requests
        teacher, judge = estimate.models["a-teacher"], estimate.models["a-judge"]
        assert teacher["USD"].value == pytest.approx(
            (2 * teacher["prompt tokens"].value + 8 * teacher["written tokens"].value) / 1e6
        )
        assert judge["calls"].value == 2 * estimate.amounts["questions"].value
        build_dataset(plan(pdfs, tmp_path / "set", teacher=model, asking=asking))
        assert teacher["calls"].value == len(server.requests)


def scan(path, pages):
    """The pages of a document as pictures."""
    document = pymupdf.open()
    for page in pages:
        document.new_page(width=612, height=792).insert_image((0, 0, 612, 792), stream=page.image)
    document.save(path)


def test_reading_scans_is_paid_by_the_page_and_roles_that_share_a_model_by_one_bill(tmp_path):
    folder = tmp_path / "pdfs"
    folder.mkdir()
    born = read_pdf(report(folder / "born.pdf", chapters=3), dpi=36)
    scan(folder / "scan.pdf", born.pages)
    model = {"model": "a-model", "base_url": "http://localhost:1/v1", "prompt_price": 2.0, "max_tokens": 1000}
    pool = {"min_pages": 1, "near_duplicates": None, "scanned": "keep", "languages": ["en"]}
    estimate = estimate_build(plan(folder, tmp_path / "set", pool=pool, scans={**model, "model": "a-reader"}))
    (bill,) = estimate.models.values()
    pages = len(born.pages)
    assert not estimate.rejected  # that no question comes from a scan before it is read is no reason
    assert estimate.amounts["pages"] == Amount(2 * pages)
    assert (bill["calls"], bill["written tokens"]) == (Amount(pages), Amount(1000 * pages))
    assert bill["USD"].value == pytest.approx(2 * bill["prompt tokens"].value / 1e6)
    changes = {"pool": pool, "teacher": model, "asking": {"tasks": {"reasoning": 2}}}
    teacher = estimate_build(plan(folder, tmp_path / "set", scans={**model, "model": "a-reader"}, **changes)).models
    together = estimate_build(plan(folder, tmp_path / "set", scans=model, **changes)).models
    assert together == {"a-model": {name: teacher["a-model"][name] + bill[name] for name in bill}}
    assert together["a-model"]["calls"].value > pages
