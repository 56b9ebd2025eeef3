"""A whole build with a model as the teacher and one as the judge, over HTTP: also when they fail, are dear, or answer in batches."""

import json
import shutil
from collections import Counter
from dataclasses import replace

import pytest
from scripted_server import ScriptedServer, error, seeded_faults, texts
from scripted_teacher import Judge, Teacher, learn
from synthetic_pdf import report
from test_synthesis_pool_scan import as_images
from test_synthesis_scans import Reader

from mmprolong_hf.synthesis.build_with_models import Unanswered
from mmprolong_hf.synthesis.endpoint import BudgetSpent, EndpointRefused, Pending
from mmprolong_hf.synthesis.output import read_rows
from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.pipeline import build_dataset
from mmprolong_hf.synthesis.plan import BuildPlan
from mmprolong_hf.synthesis.status import import_results, show_status
from mmprolong_hf.synthesis.teacher.prompting import load_prompt
from mmprolong_hf.synthesis.yaml_options import read_options

DPI = 36
TASKS = {"extract-single": 3, "extract-multi": 2, "reasoning": 2}


@pytest.fixture(scope="module")
def pdfs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pdfs")
    for k, city in enumerate(("Lima", "Oslo", "Bern")):
        titles = [
            f"{quarter} of {city}"
            for quarter in ("North", "South", "East", "West", "Centre", "Harbour", "Hills")[: 5 + k]
        ]
        report(folder / f"{city}.pdf", titles=titles)
    return folder


@pytest.fixture(scope="module")
def known(pdfs):
    return learn(sorted(pdfs.iterdir()), dpi=DPI)


def plan(pdfs, folder, teacher, judge=None, **changes):
    fast = {"backoff": 0.01, "timeout": 3.0, "max_retries": 12, "prompt_price": 1.0, "completion_price": 1.0}
    values = {
        "pdfs": str(pdfs),
        "output": str(folder / "set"),
        "pool": {"min_pages": 1, "near_duplicates": None},
        "pages": {"dpi": DPI},
        "questions": {"per_task": TASKS},
        "teacher": {"model": "a-teacher", "base_url": teacher.url, **fast},
        "asking": {"tasks": TASKS},
    }
    if judge is not None:
        values["verify"] = {
            "judge": {"endpoint": {"model": "a-judge", "base_url": judge.url, "temperature": 0.0, **fast}}
        }
    return read_options(BuildPlan, values | changes, "the test")


def questions(folder):
    return list(read_rows(folder / "set", "train", part="questions"))


@pytest.fixture(scope="module")
def built(pdfs, known, tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    with ScriptedServer(Teacher(known)) as teacher, ScriptedServer(Judge(known)) as judge:
        report_ = build_dataset(plan(pdfs, folder, teacher, judge))
        return folder, report_, (teacher, judge)


def test_what_the_teacher_asked_is_published_with_all_verdicts(built):
    folder, report_, _ = built
    rows = questions(folder)
    assert len(rows) == sum(report_.questions.values()) > 12
    assert {row["teacher"] for row in rows} == {"a-teacher"}
    assert Counter(value for row in rows for value in row["verdicts"].values())["fail"] == 0
    judged = [row["verdicts"] for row in rows]
    assert {v["evidence_only"] for v in judged} == {v["closed_book"] for v in judged} == {"pass"}
    assert {row["verdicts"]["single_page"] for row in rows if row["task"] == "extract-multi"} == {"pass"}
    assert set(report_.failures) <= {
        "not_given",
        "no_expression",
    }  # the extractive teacher counts without a calculation


def test_the_bill_is_that_of_the_servers(built):
    folder, report_, servers = built
    for name, server in zip(("a-teacher", "a-judge"), servers):
        assert report_.models[name]["calls"] == len(server.requests) == server.charged.total()
        assert report_.models[name]["usd"] == pytest.approx(server.tokens.total() / 1e6)
    card = (folder / "set" / "README.md").read_text()
    assert "**teacher is the model a-teacher**" in card
    assert "A second model, a-judge, answered from chosen pages only" in card


def test_faults_change_nothing_that_is_published(built, pdfs, known, tmp_path):
    with (
        ScriptedServer(Teacher(known), seeded_faults(1)) as teacher,
        ScriptedServer(Judge(known), seeded_faults(2)) as judge,
    ):
        build_dataset(plan(pdfs, tmp_path, teacher, judge))
        assert teacher.shown.total() + judge.shown.total() > 10
        assert max(teacher.delivered.values()) == max(judge.delivered.values()) == 1
    assert questions(tmp_path) == questions(built[0])


def test_a_judge_that_disagrees_sends_questions_to_the_rejected(built, pdfs, known, tmp_path):
    class Contrary(Judge):
        def __call__(self, body):
            return json.dumps({"answer": "something else", "same": "no"})

    with ScriptedServer(Teacher(known)) as teacher, ScriptedServer(Contrary(known)) as judge:
        with pytest.raises(ValueError, match="no_questions"):
            build_dataset(plan(pdfs, tmp_path, teacher, judge))
        required = {"judge": {"endpoint": {"model": "a-judge", "base_url": judge.url}}, "require": ["quotes_found"]}
        build_dataset(plan(pdfs, tmp_path, teacher, verify=required))
    assert {row["verdicts"]["evidence_only"] for row in questions(tmp_path)} == {"fail"}


def test_a_spent_budget_stops_cleanly_and_a_larger_one_goes_on(built, pdfs, known, tmp_path):
    with ScriptedServer(Teacher(known)) as teacher, ScriptedServer(Judge(known)) as judge:
        with pytest.raises(BudgetSpent, match="give a larger max_usd"):
            build_dataset(plan(pdfs, tmp_path, teacher, judge, max_usd=0.06))
        spent = teacher.tokens.total() + judge.tokens.total()
        assert 0 < spent / 1e6 <= 0.06
        assert not (tmp_path / "set").exists()
        assert "build: " in show_status(plan(pdfs, tmp_path, teacher, judge))
        build_dataset(plan(pdfs, tmp_path, teacher, judge))
        assert max(teacher.charged.values()) == max(judge.charged.values()) == 1  # nothing was asked twice
    assert questions(tmp_path) == questions(built[0])


def test_a_refused_key_stops_at_once(pdfs, known, tmp_path):
    with ScriptedServer(lambda body: error(401, "this key is not known")) as teacher:
        with pytest.raises(EndpointRefused, match="this key is not known"):
            build_dataset(plan(pdfs, tmp_path, teacher))
        assert len(teacher.requests) <= 8  # those that were under way


def test_a_server_that_is_gone_rejects_no_document(built, pdfs, known, tmp_path):
    gone = {"model": "a-teacher", "base_url": "http://127.0.0.1:9/v1", "max_retries": 0}
    with ScriptedServer(Teacher(known)) as teacher, ScriptedServer(Judge(known)) as judge:
        wanted = plan(pdfs, tmp_path, teacher, judge)
        with pytest.raises(Unanswered, match=r"failed for 3 documents, which are not done; the last is .*unreachable"):
            build_dataset(replace(wanted, teacher=replace(wanted.teacher, **gone)))
        dead = replace(
            wanted.verify.judge, endpoint=replace(wanted.verify.judge.endpoint, **gone | {"model": "a-judge"})
        )
        with pytest.raises(Unanswered, match="unreachable"):  # else the questions went out with unchecked verdicts
            build_dataset(replace(wanted, verify=replace(wanted.verify, judge=dead)))
        build_dataset(wanted)
    assert questions(tmp_path) == questions(built[0])
    written = "".join((tmp_path / "set" / name).read_text() for name in ("README.md", "build_report.json"))
    assert "127.0.0.1" not in written
    assert str(tmp_path) not in written


def test_what_fails_twice_for_a_document_is_counted(pdfs, known, tmp_path):
    class Half(Teacher):
        def __call__(self, body):
            return (
                error(503, "overloaded") if load_prompt("reasoning").strip() in texts(body) else super().__call__(body)
            )

    with ScriptedServer(Half(known)) as teacher:
        wanted = plan(pdfs, tmp_path, teacher)
        wanted = replace(wanted, teacher=replace(wanted.teacher, max_retries=0))
        with pytest.raises(Unanswered, match="http_503"):
            build_dataset(wanted)
        report_ = build_dataset(wanted)
    assert set(report_.questions) == {"extract-single", "extract-multi"}
    assert report_.failures["http_503"] == 3


def test_batches_give_what_calls_give(built, pdfs, known, tmp_path):
    models = {"a-teacher": Teacher(known), "a-judge": Judge(known)}
    with ScriptedServer(Teacher(known)) as teacher, ScriptedServer(Judge(known)) as judge:
        wanted = plan(pdfs, tmp_path, teacher, judge)
        for number in range(9):
            export = tmp_path / f"batch{number}"
            try:
                build_dataset(wanted, export=export)
                break
            except Pending:
                for path in sorted(export.rglob("requests-*.jsonl")):
                    results = tmp_path / "results.jsonl"
                    results.write_text("".join(_result(line, models) for line in path.read_text().splitlines()))
                    assert ", 0 known, 0 broken lines, 0 foreign, 0 failed" in import_results(wanted, [results])
        assert not teacher.requests + judge.requests
    assert 1 < number < 8
    (tmp_path / "other.jsonl").write_text('{"custom_id": "0"}\n')
    with pytest.raises(ValueError, match=r"other\.jsonl answers no request of this plan"):
        import_results(wanted, [tmp_path / "other.jsonl"])
    discounted = json.loads((tmp_path / "set" / "build_report.json").read_text())["models"]
    assert discounted["a-teacher"]["usd"] == pytest.approx(built[1].models["a-teacher"]["calls"] * 110 / 2e6)
    assert questions(tmp_path) == questions(built[0])


def _result(line, models):
    request = json.loads(line)
    body = {
        "choices": [
            {"message": {"content": models[request["body"]["model"]](request["body"])}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10},
    }
    return (
        json.dumps({"custom_id": request["custom_id"], "response": {"status_code": 200, "body": body}, "error": None})
        + "\n"
    )


def test_the_compact_form_needs_images_for_the_models_only(built, pdfs, known, tmp_path):
    with ScriptedServer(Teacher(known)) as teacher:
        build_dataset(plan(pdfs, tmp_path, teacher, pages={"dpi": DPI, "store": "pdf"}))
    rows = list(read_rows(tmp_path / "set", "train"))
    assert [row["pdf"] for row in rows] == [(pdfs / row["source"]).read_bytes() for row in rows]
    assert all(not row["images"] for row in rows)
    shutil.rmtree(tmp_path / "set")


def test_a_scan_is_read_by_a_model_and_asked_about(tmp_path):
    (tmp_path / "pdfs").mkdir()
    original = report(tmp_path / "original.pdf", titles=["North", "South", "East"])
    scan = as_images(original, tmp_path / "pdfs" / "scan.pdf", dpi=72)
    born = read_pdf(original, dpi=DPI)
    reader = Reader(born, read_pdf(scan, dpi=DPI, min_characters=0))
    with ScriptedServer(reader) as server:
        values = {
            "pdfs": str(tmp_path / "pdfs"),
            "output": str(tmp_path / "set"),
            "pool": {"min_pages": 1},
            "pages": {"dpi": DPI},
        }
        with pytest.raises(ValueError, match=r"scan\.pdf: scanned: 9 of its 9 pages are images without text"):
            build_dataset(read_options(BuildPlan, values, "the test"))
        values["pool"] = {"min_pages": 1, "scanned": "keep"}
        values["scans"] = {"model": "a-reader", "base_url": server.url}
        report_ = build_dataset(read_options(BuildPlan, values, "the test"))
        assert len(server.requests) == 9
    (row,) = read_rows(tmp_path / "set", "train")
    assert row["engine"].endswith(", endpoint a-reader")
    assert report_.models["a-reader"]["calls"] == 9
    asked = {q["question"]: q for q in row["questions"]}
    assert len(asked) > 10
    assert {q["verdicts"]["quotes_found"] for q in asked.values()} == {
        "unchecked"
    }  # PDFium reads nothing on a picture
