"""evaluation/lmms_eval_tasks: a plan's questions as tasks of lmms-eval."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import yaml
from datasets import load_dataset
from PIL import Image
from test_evaluation_benchmark_rows import row, write_jsonl, write_pages

from mmprolong_hf.evaluation.lmms_eval_tasks.task_folder import write_tasks
from mmprolong_hf.evaluation.lmms_eval_tasks.task_functions import messages, pages, results, text
from mmprolong_hf.evaluation.options import EvaluationOptions, MMLongBenchOptions
from mmprolong_hf.evaluation.plan_questions import plan_questions
from mmprolong_hf.evaluation.requests import Ask, Context, PageImage


class LmmsEvalLoader(yaml.SafeLoader):
    """Reads `!function package.module.name` as lmms-eval 0.7.3 does."""


def _function(loader, node):
    module, _, name = loader.construct_scalar(node).rpartition(".")
    return getattr(importlib.import_module(module), name)


LmmsEvalLoader.add_constructor("!function", _function)


def load_task(path: Path) -> dict:
    task = yaml.load(path.read_text(encoding="utf-8"), LmmsEvalLoader)
    common = yaml.load((path.parent / task.pop("include")).read_text(encoding="utf-8"), LmmsEvalLoader)
    return common | task


def mmlongbench_plan(tmp_path, datasets=("mmlongdoc", "longdocurl", "slidevqa")) -> Path:
    """A plan of two questions about three pages for each dataset, at 64K."""
    folder = tmp_path / "documentQA"
    folder.mkdir()
    for dataset in datasets:
        rows = [row(1), row(2, answer="blue whale", answer_format="String")]
        write_jsonl(folder, rows, f"{dataset}_K64.jsonl")
        write_pages(tmp_path / "images", rows)
    section = {"folder": str(tmp_path), "image_folder": str(tmp_path / "images"), "lengths": [65536]}
    model = str(tiny.save_checkpoint(tmp_path / "model"))  # its tokenizer says which tokens no question may hold
    plan = {"model": model, "output": "none", "mmlongbench": section | {"datasets": list(datasets)}}
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(plan), encoding="utf-8")
    return path


@pytest.fixture
def questions(tmp_path):
    mmlongbench_plan(tmp_path)
    folders = {"folder": str(tmp_path), "image_folder": str(tmp_path / "images")}
    return plan_questions(
        EvaluationOptions(str(tmp_path / "model"), "none", mmlongbench=MMLongBenchOptions(**folders, lengths=(65536,)))
    )


def question(id: str, dataset: str, **changes) -> dict:
    about = {"dataset": dataset, "context_length": 8192, "prompt_version": "plain", "question": "?"}
    return {id: about | {"answer": "May; April", "answer_format": "List"} | changes}


def read_rows(path: Path) -> list[dict]:
    """As lmms-eval reads them."""
    return load_dataset("parquet", data_files={"test": str(path)}, split="test").to_list()


def test_a_folder_has_a_task_for_each_dataset_and_length_and_their_mean(questions, tmp_path):
    names = [f"mmprolong_{dataset}_64k" for dataset in ("mmlongdoc", "longdocurl", "slidevqa")]
    assert write_tasks(questions.contexts, questions.columns, tmp_path / "tasks") == [*names, "mmprolong_docvqa_64k"]
    for name in names:
        task = load_task(tmp_path / "tasks" / f"{name}.yaml")
        assert (task["task"], task["tag"], task["dataset_path"], task["test_split"]) == (
            name,
            "mmprolong",
            "parquet",
            "test",
        )
        assert (tmp_path / "tasks" / task["dataset_kwargs"]["data_files"]["test"]).is_file()
        assert (task["doc_to_messages"], task["process_results"]) == (messages, results)
        assert (task["doc_to_text"], task["doc_to_visual"]) == (text, pages)
        assert [metric["metric"] for metric in task["metric_list"]] == ["doc_qa", "failed"]
        assert task["generation_kwargs"] == {"max_new_tokens": 128, "temperature": 0, "do_sample": False, "until": []}
    group = yaml.safe_load((tmp_path / "tasks" / "mmprolong_docvqa_64k.yaml").read_text(encoding="utf-8"))
    assert group["task"] == names
    assert not any(metric["weight_by_size"] for metric in group["aggregate_metric_list"])


def test_messages_are_the_contexts_of_a_run_with_every_page_in_order(questions, tmp_path):
    write_tasks(questions.contexts, questions.columns, tmp_path / "tasks")
    asked = {ask.id: (context, ask) for context in questions.contexts for ask in context.asks}
    rows = [row for path in (tmp_path / "tasks").glob("*.parquet") for row in read_rows(path)]
    assert {row["id"] for row in rows} == set(asked)
    for task_row in rows:
        context, ask = asked[task_row["id"]]
        (turn,) = messages(task_row)
        assert turn["role"] == "user"
        said = [part["text"] if part["type"] == "text" else Path(part["url"]) for part in turn["content"]]
        assert said == [part if isinstance(part, str) else part.data for part in context.parts] + [ask.text]
        assert len(context.pages) == 3


def test_a_simple_model_gets_every_page_and_where_it_stands(questions, tmp_path):
    write_tasks(questions.contexts, questions.columns, tmp_path / "tasks")
    for task_row in read_rows(tmp_path / "tasks" / "mmprolong_slidevqa_64k.parquet"):
        files = [part["content"] for part in task_row["parts"] if part["kind"] == "page"]
        assert [page.tobytes() for page in pages(task_row)] == [Image.open(f).convert("RGB").tobytes() for f in files]
        words = text(task_row)
        assert (
            words.index("<image 1>") < words.index("<image 2>") < words.index("<image 3>") < words.index("Question: ")
        )
        assert "<image 4>" not in words


def test_questions_of_a_document_stay_side_by_side(tmp_path):
    page = {name: PageImage(tiny.jpeg(tiny.page(seed))) for seed, name in enumerate("ab")}
    contexts = [Context((page[name],), (Ask(f"{name}1", "?"), Ask(f"{name}2", "?"))) for name in "ba"]
    columns = {
        ask.id: about for context in contexts for ask in context.asks for about in question(ask.id, "mine").values()
    }
    assert write_tasks(contexts, columns, tmp_path) == ["mmprolong_mine_8k"]
    assert [row["id"] for row in read_rows(tmp_path / "mmprolong_mine_8k.parquet")] == ["b1", "b2", "a1", "a2"]


def test_pages_that_are_no_files_are_written_as_they_are(tmp_path):
    data = tiny.jpeg(tiny.page(3))
    context = Context(("Look: ", PageImage(data), PageImage(data)), (Ask("1", "?"),))
    write_tasks([context], question("1", "My set!"), tmp_path)
    (task_row,) = read_rows(tmp_path / "mmprolong_my_set__8k.parquet")
    files = [Path(part["content"]) for part in task_row["parts"] if part["kind"] == "page"]
    assert (len(files), len(set(files)), files[0].suffix, files[0].read_bytes()) == (2, 1, ".jpeg", data)


def test_a_set_of_ones_own_is_scored_exactly(tmp_path):
    context = Context((PageImage(tiny.jpeg(tiny.page(3))),), (Ask("1", "?"),))
    write_tasks([context], question("1", "mine"), tmp_path)
    task = load_task(tmp_path / "mmprolong_mine_8k.yaml")
    assert [metric["metric"] for metric in task["metric_list"]] == ["exact_match", "failed"]
    (task_row,) = read_rows(tmp_path / "mmprolong_mine_8k.parquet")
    assert task["process_results"](task_row, ["Answer: april; may"]) == {"exact_match": 1.0, "failed": 0.0}
    assert task["process_results"](task_row, ["april"]) == {"exact_match": 0.0, "failed": 0.0}


def test_a_date_stays_a_text(tmp_path):
    context = Context(("2020-01-02", PageImage(tiny.jpeg(tiny.page(3)))), (Ask("1", "2021-01-02"),))
    write_tasks([context], question("1", "mine", answer="2019-01-02", answer_format="String"), tmp_path)
    (task_row,) = read_rows(tmp_path / "mmprolong_mine_8k.parquet")
    assert results(task_row, ["2019-01-02"])["exact_match"] == 1.0
    assert [part["text"] for part in messages(task_row)[0]["content"] if part["type"] == "text"] == [
        "2020-01-02",
        "2021-01-02",
    ]


@pytest.mark.parametrize("said", ["", "Answer:", "[LMMS_EVAL_REQUEST_FAILED after 5 retries] 5 timeouts"])
def test_no_answer_is_a_counted_failure(said):
    about = {"dataset": "longdocurl", "answer": "5", "answer_format": "Integer"}
    assert results(about, [said]) == {"doc_qa": 0.0, "failed": 1.0}


def test_a_right_answer_that_the_rule_cannot_read_is_a_counted_failure():
    about = {"dataset": "longdocurl", "answer": "[1, 2", "answer_format": "List"}
    assert results(about, ["1"]) == {"doc_qa": 0.0, "failed": 1.0}


def test_the_folder_must_be_empty(tmp_path):
    (tmp_path / "other.yaml").touch()
    with pytest.raises(ValueError, match="not empty, expected a new folder"):
        write_tasks([], {}, tmp_path)


def test_two_datasets_of_one_task_name_are_refused(tmp_path):
    context = Context((PageImage(tiny.jpeg(tiny.page(3))),), (Ask("1", "?"), Ask("2", "?")))
    with pytest.raises(ValueError, match="two datasets have the task name 'mmprolong_my_set_8k'"):
        write_tasks([context], question("1", "my set") | question("2", "my-set"), tmp_path)


def test_answers_of_several_lengths_in_one_task_are_refused(tmp_path):
    context = Context((PageImage(tiny.jpeg(tiny.page(3))),), (Ask("1", "?"), Ask("2", "?", max_new_tokens=16)))
    with pytest.raises(ValueError, match=r"mmprolong_mine_8k has max_new_tokens \[16, 128\], expected one"):
        write_tasks([context], question("1", "mine") | question("2", "mine"), tmp_path)


def write_by_command(plan: Path, folder: Path, environment: dict) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "mmprolong_hf.evaluation.lmms_eval_tasks", str(plan), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def test_the_command_prints_nothing_but_the_folder(tmp_path, environment):
    plan = mmlongbench_plan(tmp_path, ("slidevqa",))
    done = write_by_command(plan, tmp_path / "tasks", environment)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'tasks'}\n"), done.stderr
    assert "2 questions, 0 left out: mmprolong_slidevqa_64k, mmprolong_docvqa_64k" in done.stderr
    again = write_by_command(plan, tmp_path / "tasks", environment)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.startswith("error: ")


def test_lmms_eval_runs_a_task(tmp_path, environment):
    pytest.importorskip("lmms_eval")
    folder = write_by_command(mmlongbench_plan(tmp_path), tmp_path / "tasks", environment).stdout.strip()
    command = [sys.executable, "-m", "lmms_eval", "--model", "dummy", "--model_args", "response=Answer: 1"]
    command += ["--include_path", folder, "--tasks", "mmprolong_docvqa_64k", "--output_path", str(tmp_path / "out")]
    environment |= {"HF_DATASETS_CACHE": os.environ["HF_DATASETS_CACHE"], "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "out").rglob("*_results.json")
    found = json.loads(path.read_text(encoding="utf-8"))["results"]
    assert {name: found[name]["doc_qa,none"] for name in found} == dict.fromkeys(found, 0.5)
    assert "mmprolong_docvqa_64k" in found
    assert len(found) == 4
