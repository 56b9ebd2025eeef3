"""evaluation/plan_run.py with an engine that has its answers: stops, folders, files that are broken, corrections."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from answered import report_files
from scripted_engine import ScriptedEngine, context

from mmprolong_hf.evaluation.answers import AnswerFile, read_lines
from mmprolong_hf.evaluation.options import DocumentsOptions, EvaluationOptions
from mmprolong_hf.evaluation.plan_questions import PlanQuestions
from mmprolong_hf.evaluation.plan_run import report_run, write_run
from mmprolong_hf.evaluation.run import question_keys, run_contexts

NUM_CONTEXTS = 12


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
    assert report_files(folder) == report_files(tmp_path / "whole")


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
