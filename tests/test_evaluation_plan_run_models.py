"""evaluation/plan_run.py with a real model, a server, a judge and the command, on a set of tiny pages."""

import hashlib
import json
import resource
import subprocess

import pytest
import tiny
from answered import report_files
from scripted_server import Answer, ScriptedServer, error, images, texts
from test_evaluation_server_prompts import counting_server
from typer.testing import CliRunner

from mmprolong_hf.cli import app
from mmprolong_hf.evaluation.answers import AnswerFile, read_lines
from mmprolong_hf.evaluation.options import (
    DocumentsOptions,
    EvaluationOptions,
    JudgeOptions,
    RopeOptions,
    ServerOptions,
    TransformersOptions,
)
from mmprolong_hf.evaluation.plan_run import evaluate, judge_answers, read_run, report_run
from mmprolong_hf.synthesis.endpoint import EndpointOptions


def own_hash(row):
    return {"doc_id": hashlib.sha256(row["doc_id"].encode()).hexdigest()}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    tiny.save_checkpoint(folder / "model")
    tiny.save_dataset(folder / "set", test=tiny.documents(9).map(own_hash))
    return folder


def plan(world, output, **changes):
    documents = DocumentsOptions("cards", dataset=str(world / "set"), lengths=(600,))
    values = {"documents": (documents,), "pages": str(world / "pages"), "max_new_tokens": 6} | changes
    return EvaluationOptions(str(world / "model"), str(output), **values)


def test_a_tiny_model_is_evaluated_resumed_and_reports_the_same(world, tmp_path):
    options = plan(world, tmp_path)
    summary = evaluate(options)
    assert (summary.num_questions, summary.num_kept, summary.num_failed) == (18, 0, 0)
    assert summary.prefilled_tokens < summary.prompt_tokens
    report_run(tmp_path)
    whole = report_files(tmp_path)
    run, answers = read_run(tmp_path)
    assert len({record["prediction"] for record in answers.values()}) > 5  # it reads something
    assert run["options"]["max_new_tokens"] == 6
    # A question that is asked with others and alone is answered the same, by the real engine.
    lines = (tmp_path / "answers.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "answers.jsonl").write_bytes(b"".join(lines[:7]) + lines[7][:50])
    summary = evaluate(options)
    assert summary.num_kept == 7
    report_run(tmp_path)
    assert report_files(tmp_path) == whole
    report = json.loads(whole["report.json"])
    (cell,) = report["methods"][0]["cells"]
    assert (cell["dataset"], cell["context_length"], cell["num"], cell["num_failed"]) == ("cards", 600, 18, 0)
    assert 500 < report["lengths"][0]["max_prompt_tokens"] <= 600 - 6


def test_a_control_goes_the_same_way_and_is_compared(world, tmp_path):
    evaluate(plan(world, tmp_path / "base"))
    report_run(tmp_path / "base")
    control = plan(
        world, tmp_path / "yarn", rope=RopeOptions("yarn", factor=4.0), transformers=TransformersOptions(64, 2)
    )
    evaluate(control)
    report = report_run(tmp_path / "yarn", [tmp_path / "base"])
    assert report["comparison"][0]["rows"][-1]["num"] == 18
    assert '"type": "yarn"' in report["engine"]
    predictions = [
        {id: record["prediction"] for id, record in read_run(tmp_path / name)[1].items()} for name in ("base", "yarn")
    ]
    assert predictions[0] != predictions[1]


def reply(body):
    """A server for both parts: a model that reads the number of pages, and a judge that fails now and then."""
    if images(body):
        return Answer(f"{len(images(body))}", usage=False)
    if "What is on page 2?" in texts(body):
        return error(400, "too hard")
    return '[JSON]: {"answer_score": 1}'


def test_a_server_answers_and_a_judge_grades_what_it_answered(world, tmp_path):
    with ScriptedServer(reply) as server:
        endpoint = EndpointOptions("served", server.url, backoff=0.001)
        options = plan(
            world,
            tmp_path,
            engine="server",
            server=ServerOptions(endpoint),
            judge=JudgeOptions(EndpointOptions("grader", server.url)),
        )
        assert evaluate(options).num_failed == 0
        report = report_run(tmp_path)
        whole, asked = report_files(tmp_path), len(server.requests)
        evaluate(options)
        # what was answered is not asked again, and of the judge only what failed
        assert len(server.requests) - asked == 6
        report_run(tmp_path)
    assert report_files(tmp_path) == whole
    # the server's model is what the scores are of, also in a model card
    assert (report["model"], report["processor"]) == ("served", str(world / "model"))
    text = whole["report.md"].decode()
    assert text.startswith("# served\n")
    assert "its weights were not seen" in text
    assert "For 18 of 18 answers the server told no prompt tokens" in text
    assert f"Tokens are counted with the processor of {world}/model." in text
    assert b"name: served\n" in whole["model_index.yaml"]
    rule, judge = report["methods"]
    assert rule["method"]["judge"] is None
    assert judge["method"]["judge"].startswith("grader, temperature 0, prompt ")
    assert judge["cells"][0]["num_failed"] == sum(judge["failures"].values()) == 6
    assert judge["cells"][0]["score"] == pytest.approx(100 * 12 / 18)
    assert report["agreement"][0]["num_questions"] == 12
    verdicts = read_lines(tmp_path / "verdicts.jsonl", ("id", "name"))
    assert len({verdict["prompt_sha256"] for verdict in verdicts}) == 1


@pytest.mark.parametrize("check", [True, False])
def test_the_tokens_that_a_server_tells_are_those_of_the_pages(world, tmp_path, check):
    keep = slice(None) if check else slice(1)  # a server that reads one page, found only where it is checked
    with counting_server(tiny.processor(), keep=keep) as server:
        endpoint = EndpointOptions("served", server.url, backoff=0.001)
        options = plan(world, tmp_path, engine="server", server=ServerOptions(endpoint, False, check_prompts=check))
        assert evaluate(options).num_failed == 0
    notes = "\n".join(report_run(tmp_path)["notes"])
    assert "told no prompt tokens" not in notes
    assert ("were not compared" in notes) == (not check)


def test_two_judges_of_one_run_do_not_judge_at_once(world, tmp_path):
    tried, told = [], []

    def judge_while_another_judges(body):
        if images(body):
            return Answer("5", usage=False)
        if not tried:
            tried.append(body)
            with pytest.raises(ValueError, match="another run is writing to") as error:
                judge_answers(tmp_path, options.judge)
            told.append(str(error.value))
        return '[JSON]: {"answer_score": 1}'

    with ScriptedServer(judge_while_another_judges) as server:
        endpoint = EndpointOptions("served", server.url)
        options = plan(world, tmp_path, engine="server", server=ServerOptions(endpoint), judge=JudgeOptions(endpoint))
        evaluate(options)
        verdicts = read_lines(tmp_path / "verdicts.jsonl", ("id", "name"))
        assert [verdict["error"] for verdict in verdicts] == [None] * 18
        assert told == [f"another run is writing to {tmp_path}: wait until it is done, or name another output folder"]
        (tmp_path / "verdicts.jsonl").unlink()
        with AnswerFile(tmp_path / "answers.jsonl"), pytest.raises(ValueError, match="another run is writing to"):
            evaluate(options)
        assert not (tmp_path / "verdicts.jsonl").exists()
        judge_answers(tmp_path, options.judge)  # the first is done
    assert read_lines(tmp_path / "verdicts.jsonl", ("id", "name")) == verdicts


def test_a_server_that_refuses_stops_the_run_and_keeps_what_is_done(world, tmp_path):
    with ScriptedServer(lambda body: error(401, "wrong key")) as server:
        endpoint = EndpointOptions("served", server.url, backoff=0.001)
        with pytest.raises(ValueError, match="What is done is kept; the same command goes on"):
            evaluate(plan(world, tmp_path, engine="server", server=ServerOptions(endpoint)))
    assert read_run(tmp_path)[1] == {}


def test_the_command_evaluates_reports_and_compares(world, tmp_path, monkeypatch):
    monkeypatch.chdir(world)
    documents = "documents:\n- {name: cards, dataset: set, lengths: [600]}\n"
    (tmp_path / "plan.yaml").write_text(f"model: model\noutput: out\npages: pages\nmax_new_tokens: 4\n{documents}")
    command = ["evaluate", str(tmp_path / "plan.yaml"), "--set", f"output={tmp_path / 'out'}"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "18 questions, 0 of them answered before, 0 failed;" in done.output
    before = report_files(tmp_path / "out")
    monkeypatch.setattr("mmprolong_hf.evaluation.plan_run.make_engine", None)  # nothing is loaded to report
    done = CliRunner().invoke(app, [*command, "--report_only"])
    assert (
        done.output
        == f"{tmp_path}/out/report.md, report.json, accuracy.png, and model_index.yaml once everything is answered\n"
    )
    assert report_files(tmp_path / "out") == before
    done = CliRunner().invoke(app, [*command, "--report_only", "--compare", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert f"## Beside {tmp_path}/out" in (tmp_path / "out/report.md").read_text()
    done = CliRunner().invoke(app, [*command, "--set", "modle=m"])
    assert isinstance(done.exception, ValueError)
    assert "unknown key 'modle', did you mean 'model'" in str(done.exception)


@pytest.mark.parametrize("taken", ["output", "pages"])
def test_a_file_where_a_folder_is_needed_is_told(world, tmp_path, taken):
    (tmp_path / taken).touch()
    options = plan(world, tmp_path / "output", pages=str(tmp_path / "pages"))
    with pytest.raises(ValueError, match=rf"^{tmp_path}/{taken} cannot be written \(.*\): expected a folder"):
        evaluate(options)


def test_a_run_that_fills_the_disk_ends_with_a_line_and_goes_on(world, tmp_path, environment):
    evaluate(plan(world, tmp_path / "whole"))
    report_run(tmp_path / "whole")
    documents = f"documents:\n- {{name: cards, dataset: {world}/set, lengths: [600]}}\n"
    text = f"model: {world}/model\noutput: {tmp_path}/out\npages: {world}/pages\nmax_new_tokens: 6\n{documents}"
    (tmp_path / "plan.yaml").write_text(text)
    limit = (tmp_path / "whole/answers.jsonl").stat().st_size - 1000  # bytes that a file may have
    done = subprocess.run(
        ["mmprolong", "evaluate", str(tmp_path / "plan.yaml")],
        env=environment,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        f"error: {tmp_path}/out cannot be written ([Errno 27] File too large)"
    )
    assert "Traceback" not in done.stderr
    kept = read_lines(tmp_path / "out/answers.jsonl")
    assert 0 < len(kept) < 18
    assert evaluate(plan(world, tmp_path / "out")).num_kept == len(kept)
    report_run(tmp_path / "out")
    assert report_files(tmp_path / "out") == report_files(tmp_path / "whole")
