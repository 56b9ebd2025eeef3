"""What a build is said to take, beside what it took."""

import io
import json

import pymupdf
import pytest
from PIL import Image
from scripted_server import ScriptedServer, images
from scripted_teacher import Teacher, learn
from synthetic_pdf import report

import mmprolong_hf.synthesis.cost as cost
from mmprolong_hf.lengths import page_tokens
from mmprolong_hf.synthesis.build_estimate import Amount
from mmprolong_hf.synthesis.cost import estimate_build
from mmprolong_hf.synthesis.model_calls import JUDGE_INSTRUCTION_TOKENS
from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.pipeline import build_dataset
from mmprolong_hf.synthesis.plan import BuildPlan
from mmprolong_hf.synthesis.schema import NOT_ANSWERABLE
from mmprolong_hf.synthesis.verification.judge import CHECKS
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


@pytest.mark.parametrize("checks", [CHECKS, ("closed_book", "single_page")])
def test_a_judge_of_extractive_questions_is_asked_as_often_as_was_said(tmp_path, checks):
    pdfs = tmp_path / "pdfs"
    pdfs.mkdir()
    report(pdfs / "Lima.pdf", titles=["North of Lima", "South of Lima", "East of Lima"])
    with ScriptedServer(lambda body: json.dumps({"answer": NOT_ANSWERABLE})) as server:
        endpoint = {"model": "a-judge", "base_url": server.url, "prompt_price": 2.0, "completion_price": 8.0}
        verify = {
            "judge": {"endpoint": endpoint, "checks": list(checks)},
            "require": ["quotes_found", "anchor_unique"],  # what the judge finds rejects nothing
        }
        wanted = plan(pdfs, tmp_path / "set", verify=verify)
        estimate = estimate_build(wanted)
        assert not server.requests
        build_dataset(wanted)
    sizes = [Image.open(io.BytesIO(image)).size for body in server.requests for image in images(body)]
    bill = estimate.models["a-judge"]
    assert bill["calls"] == Amount(len(server.requests))
    assert bill["prompt tokens"] == Amount(
        JUDGE_INSTRUCTION_TOKENS * len(server.requests) + sum(page_tokens(*size) for size in sizes)
    )
    assert bill["USD"].value == pytest.approx(
        (2 * bill["prompt tokens"].value + 8 * bill["written tokens"].value) / 1e6
    )
    assert sizes
    assert len(server.requests) > estimate.amounts["questions"].value


def test_the_judge_of_a_scan_that_nobody_has_read_is_not_known(tmp_path):
    folder = tmp_path / "pdfs"
    folder.mkdir()
    scan(folder / "scan.pdf", read_pdf(report(tmp_path / "born.pdf", chapters=3), dpi=36).pages)
    model = {"model": "a-reader", "base_url": "http://localhost:1/v1"}
    judge = {"endpoint": {**model, "model": "a-judge"}}
    pool = {"min_pages": 1, "near_duplicates": None, "scanned": "keep", "languages": ["en"]}
    estimate = estimate_build(plan(folder, tmp_path / "set", pool=pool, scans=model, verify={"judge": judge}))
    assert set(estimate.models) == {"a-reader"}
    assert "questions" not in estimate.amounts


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
