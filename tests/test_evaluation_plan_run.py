import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny
from scripted_engine import ScriptedEngine, context
from scripted_server import Answer, ScriptedServer, error, images, texts
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
from mmprolong_hf.evaluation.plan_questions import PlanQuestions
from mmprolong_hf.evaluation.plan_run import evaluate, read_run, report_run, write_run
from mmprolong_hf.evaluation.run import question_keys, run_contexts
from mmprolong_hf.synthesis.endpoint import EndpointOptions

REPORT = ("scores.jsonl", "report.json", "report.md", "accuracy.png", "model_index.yaml")
NUM_CONTEXTS = 12


def contents(folder):
    return {name: (folder / name).read_bytes() for name in REPORT}


def slow_run(folder, seconds=0.0, **corrected):
    """A run of 36 questions with an engine that takes its time; two of them fail."""
    contexts = [context(number, num_asks=3) for number in range(NUM_CONTEXTS)]
    script = {f"{c}/{k}": f" {c + k}" for c in range(NUM_CONTEXTS) for k in range(3)} | {"3/1": "error: out of memory"}
    del script["7/2"]
    sets = ("mmlongdoc", "longdocurl", "slidevqa")
    columns = {
        f"{c}/{k}": {
            "dataset": sets[k], "context_length": (65536, 131072)[c % 2], "prompt_version": "v1.0",
            "question": f"Why? {k}", "asked": f"Why? {k}", "answer": str(2 * k + 4), "answer_format": "Integer",
        }
        for c in range(NUM_CONTEXTS)
        for k in range(3)
    }  # fmt: skip
    for id, gold in corrected.items():
        columns[id]["answer"] = gold
    options = EvaluationOptions("model", str(folder), documents=(DocumentsOptions("cards", dataset="set"),))
    engine = ScriptedEngine(script, seconds=seconds)
    write_run(folder, options, engine, PlanQuestions(contexts, columns, [], []), question_keys(contexts))
    run_contexts(contexts, engine, folder, columns)
    report_run(folder)
    return engine


SLOW_RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_evaluation_plan_run import slow_run
slow_run(Path(sys.argv[2]), seconds=0.1)
"""


def test_a_run_that_is_killed_goes_on_and_reports_the_same(tmp_path, environment):
    slow_run(tmp_path / "whole")
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", SLOW_RUN, str(Path(__file__).parent), str(folder)]
    run = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    answers = folder / "answers.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and run.poll() is None and len(read_lines(answers)) < 8:
        time.sleep(0.02)
    os.kill(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    kept = read_lines(answers)
    assert 8 <= len(kept) < 30  # it was in the middle
    assert not (folder / "report.json").exists()
    with answers.open("ab") as file:
        file.write(b'{"id": "11/2", "key": "half a li')  # what a kill between two writes leaves
    engine = slow_run(folder)
    assert set(engine.asked).isdisjoint(record["id"] for record in kept)
    assert len(engine.asked) == 36 - len(kept)
    assert contents(folder) == contents(tmp_path / "whole")


def test_a_folder_of_another_engine_or_of_no_run_is_an_error(tmp_path):
    slow_run(tmp_path)
    options = EvaluationOptions("model", str(tmp_path), documents=(DocumentsOptions("cards", dataset="set"),))
    with pytest.raises(
        ValueError, match="holds a run of 'scripted', but the plan's engine is 'other': name another output"
    ):
        write_run(tmp_path, options, ScriptedEngine({}, "other"), PlanQuestions([], {}, [], []), {})
    with pytest.raises(ValueError, match=r"run.json is not there, expected the folder of a run"):
        report_run(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"scores.jsonl is not there, expected the folder of a run with its report"):
        report_run(tmp_path, [tmp_path / "nowhere"])


def test_a_second_run_leaves_the_plan_of_the_first(tmp_path):
    slow_run(tmp_path)
    before = (tmp_path / "run.json").read_bytes()
    with AnswerFile(tmp_path / "answers.jsonl"), pytest.raises(ValueError, match="another run is writing to"):
        slow_run(tmp_path, **{"0/0": "0"})
    assert (tmp_path / "run.json").read_bytes() == before


def test_a_run_is_set_beside_itself(tmp_path):
    slow_run(tmp_path)
    report = report_run(tmp_path, [tmp_path])
    assert report["comparison"][0]["other"] == str(tmp_path)
    assert [row["difference"] for row in report["comparison"][0]["rows"]] == [0.0] * 7


def test_a_corrected_right_answer_scores_the_answers_that_were_kept(tmp_path):
    slow_run(tmp_path / "before")
    before = {row["id"]: row["score"] for row in read_lines(tmp_path / "before/scores.jsonl")}
    shutil.copytree(tmp_path / "before", tmp_path / "after")
    engine = slow_run(tmp_path / "after", **{"0/0": "0", "4/0": "5"})
    assert engine.asked == []  # nothing is asked again
    after = {row["id"]: row["score"] for row in read_lines(tmp_path / "after/scores.jsonl")}
    assert {id for id in before if before[id] != after[id]} == {"0/0", "4/0"}
    assert (before["0/0"], after["0/0"], before["4/0"], after["4/0"]) == (0.0, 1.0, 1.0, 0.0)
    (part,) = report_run(tmp_path / "after", [tmp_path / "before"])["comparison"]
    assert part["num_other_gold"] == 2
    assert "**2 questions have another right answer in the other run" in (tmp_path / "after/report.md").read_text()


def test_scores_of_another_version_are_an_error(tmp_path):
    slow_run(tmp_path / "run")
    (tmp_path / "old").mkdir()
    row = {"id": "0/0", "key": "k", "method": {"metric": "doc_qa"}}
    (tmp_path / "old/scores.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(ValueError, match=r"scores.jsonl has other fields than this version writes"):
        report_run(tmp_path / "run", [tmp_path / "old"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"run.json is empty, torn or no JSON \(.*\): remove it, and `mmprolong evaluate PLAN` writes it again"),
        ('{"model": "m", "eng', "run.json is empty, torn or no JSON"),
        ("[" * 100_000, "run.json is empty, torn or no JSON"),
        ("[]", "run.json is no object, expected what a run of this version writes: remove it"),
        ('{"engine": "scripted", "keys": {}}', "run.json has no columns, model, .*: remove it"),
    ],
)
def test_a_broken_run_file_is_named_and_can_be_written_again(tmp_path, content, message):
    slow_run(tmp_path)
    whole, report = (tmp_path / "run.json").read_bytes(), (tmp_path / "report.md").read_bytes()
    (tmp_path / "run.json").write_text(content)
    for step in (report_run, slow_run):
        with pytest.raises(ValueError, match=message):
            step(tmp_path)
    (tmp_path / "run.json").unlink()
    assert slow_run(tmp_path).asked == []
    assert ((tmp_path / "run.json").read_bytes(), (tmp_path / "report.md").read_bytes()) == (whole, report)


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
    whole = contents(tmp_path)
    run, answers = read_run(tmp_path)
    assert len({record["prediction"] for record in answers.values()}) > 5  # it reads something
    assert run["options"]["max_new_tokens"] == 6
    # A question that is asked with others and alone is answered the same, by the real engine.
    lines = (tmp_path / "answers.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "answers.jsonl").write_bytes(b"".join(lines[:7]) + lines[7][:50])
    summary = evaluate(options)
    assert summary.num_kept == 7
    report_run(tmp_path)
    assert contents(tmp_path) == whole
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
        return Answer(f"{len(images(body))}")
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
        whole, asked = contents(tmp_path), len(server.requests)
        evaluate(options)
        # what was answered is not asked again, and of the judge only what failed
        assert len(server.requests) - asked == 6
        report_run(tmp_path)
    assert contents(tmp_path) == whole
    # the server's model is what the scores are of, also in a model card
    assert (report["model"], report["processor"]) == ("served", str(world / "model"))
    text = whole["report.md"].decode()
    assert text.startswith("# served\n")
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
    before = contents(tmp_path / "out")
    monkeypatch.setattr("mmprolong_hf.evaluation.plan_run.make_engine", None)  # nothing is loaded to report
    done = CliRunner().invoke(app, [*command, "--report_only"])
    assert (
        done.output
        == f"{tmp_path}/out/report.md, report.json, accuracy.png, and model_index.yaml once everything is answered\n"
    )
    assert contents(tmp_path / "out") == before
    done = CliRunner().invoke(app, [*command, "--report_only", "--compare", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert f"## Beside {tmp_path}/out" in (tmp_path / "out/report.md").read_text()
    done = CliRunner().invoke(app, [*command, "--set", "modle=m"])
    assert isinstance(done.exception, ValueError)
    assert "unknown key 'modle', did you mean 'model'" in str(done.exception)


def test_suites_of_another_harness_stand_in_the_same_report(tmp_path):
    slow_run(tmp_path / "run")
    results = tmp_path / "outputs"
    results.mkdir()
    (results / "model_RealWorldQA_acc.csv").write_text('"split","Overall"\n"none","0.685"\n')
    report = report_run(tmp_path / "run", suites=[results])
    assert [(row["dataset"], row["score"]) for row in report["suites"]] == [("RealWorldQA", 68.5)]
    assert report["short_context"] is None  # five of the six are missing
    text = (tmp_path / "run" / "report.md").read_text()
    assert "| RealWorldQA | accuracy |  | 68.5 | model_RealWorldQA_acc.csv |" in text
