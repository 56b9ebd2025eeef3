"""The command line as users type it, in processes of its own."""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
import tiny
from safetensors.torch import load_file

RECIPE = '''if __name__ == "__main__": from mmprolong_hf.train import main; main(); r"""
# A recipe of the tests
model_name_or_path: {folder}/model
dataset_name: {folder}/dataset
output_dir: {folder}/out
extend_context: true
rope_theta: 4.0e+6
max_position_embeddings: 131072
max_length: 128
packs_per_step: 4
max_steps: 4
learning_rate: 1.0e-3
lr_scheduler_type: cosine_with_min_lr
lr_scheduler_kwargs: {{min_lr_rate: 0.1}}
eval_strategy: steps
eval_steps: 2
save_steps: 2
logging_steps: 1
bf16: false
use_cpu: true
report_to: none
# """
'''


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train")
    tiny.save_checkpoint(folder / "model")
    tiny.save_dataset(folder / "dataset", train=tiny.documents(6), test=tiny.documents(2))
    (folder / "recipe.yaml").write_text(RECIPE.format(folder=folder))
    return folder


def run(command, environment, **kwargs):
    return subprocess.run(command, env=environment, capture_output=True, text=True, **kwargs)


def error_of(done):
    lines = [line for line in done.stderr.splitlines() if "it/s" not in line]
    return "\n".join(lines[-60:])


def history(folder):
    return json.loads((folder / "trainer_state.json").read_text())["log_history"]


@pytest.fixture(scope="module")
def one_process(world, environment):
    done = run(["accelerate", "launch", "recipe.yaml"], environment, cwd=world)
    assert done.returncode == 0, error_of(done)
    return done


def test_accelerate_launch_of_a_recipe_trains(world, one_process):
    assert "12 questions in 4 packs" in one_process.stdout
    entries = history(world / "out")
    losses = [entry["loss"] for entry in entries if "loss" in entry]
    assert len(losses) == 4
    assert [entry["step"] for entry in entries if "eval_loss" in entry] == [2, 4]
    assert (world / "out" / "README.md").exists()


def test_the_checkpoint_loads_where_nothing_of_ours_is(world, one_process, environment):
    code = (
        "import sys; sys.modules['mmprolong_hf'] = None\n"
        "from transformers import Qwen2_5_VLForConditionalGeneration\n"
        f"model = Qwen2_5_VLForConditionalGeneration.from_pretrained({str(world / 'out')!r})\n"
        "print(model.config.text_config.rope_parameters['rope_theta'], model.config.text_config.max_position_embeddings)"
    )
    done = run([sys.executable, "-c", code], environment)
    assert done.stdout.split() == ["4000000.0", "131072"], done.stderr[-2000:]


def test_two_processes_equal_one(world, one_process, environment):
    command = ["accelerate", "launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0"]
    command += ["recipe.yaml", "--output_dir", "two"]
    done = run(command, environment, cwd=world)
    assert done.returncode == 0, error_of(done)
    for one, two in zip(history(world / "out"), history(world / "two"), strict=True):
        for key in ("loss", "eval_loss", "supervised_tokens", "num_tokens", "largest_position", "fill"):
            if key in one:
                assert two[key] == pytest.approx(one[key], rel=1e-4), (key, one["step"])
    ours, theirs = (load_file(world / name / "model.safetensors") for name in ("two", "out"))
    assert max((ours[name] - theirs[name]).abs().max() for name in theirs) < 1e-4
    start = load_file(world / "model" / "model.safetensors")
    assert max((ours[name] - start[name]).abs().max() for name in theirs) > 1e-3


def test_resume_from_the_command_line(world, one_process, environment):
    shutil.copytree(world / "out" / "checkpoint-2", world / "resumed" / "checkpoint-2")
    command = ["accelerate", "launch", "recipe.yaml", "--output_dir", "resumed", "--resume_from_checkpoint", "last"]
    done = run(command, environment, cwd=world)
    assert done.returncode == 0, error_of(done)
    losses = [[entry["loss"] for entry in history(world / name) if "loss" in entry] for name in ("out", "resumed")]
    assert losses[0] == losses[1]


def test_a_run_goes_on_with_another_number_of_processes(world, environment):
    options = ["recipe.yaml", "--packs_per_step", "2", "--max_steps", "4", "--eval_strategy", "no"]
    whole = ["accelerate", "launch", *options, "--save_steps", "3", "--output_dir", "on_one"]
    done = run(whole, environment, cwd=world)
    assert done.returncode == 0, error_of(done)
    shutil.copytree(world / "on_one" / "checkpoint-3", world / "on_two" / "checkpoint-3")  # in the middle of an epoch
    command = ["accelerate", "launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0", *options]
    done = run([*command, "--output_dir", "on_two", "--resume_from_checkpoint", "last"], environment, cwd=world)
    assert done.returncode == 0, error_of(done)
    entries = [[e for e in history(world / name) if "loss" in e] for name in ("on_one", "on_two")]
    assert [entry["step"] for entry in entries[1]] == [1, 2, 3, 4]
    for key in ("loss", "supervised_tokens", "questions", "num_tokens"):
        assert entries[1][-1][key] == pytest.approx(entries[0][-1][key], rel=1e-4), key
    ours, theirs = (load_file(world / name / "model.safetensors") for name in ("on_two", "on_one"))
    assert max((ours[name] - theirs[name]).abs().max() for name in theirs) < 1e-4
    before = load_file(world / "on_one" / "checkpoint-3" / "model.safetensors")
    assert max((ours[name] - before[name]).abs().max() for name in theirs) > 1e-4  # the step after it was taken


def test_lora_from_the_command_line_merges(world, environment):
    lora = ["--use_peft", "true", "--lora_r", "4", "--max_steps", "1", "--output_dir", "lora"]
    done = run([sys.executable, "recipe.yaml", *lora], environment, cwd=world)
    assert done.returncode == 0, error_of(done)
    assert "`mmprolong merge lora FOLDER` makes a checkpoint of it" in done.stdout
    done = run([sys.executable, "-m", "mmprolong_hf.cli", "merge", "lora", "merged"], environment, cwd=world)
    assert done.returncode == 0, error_of(done)
    assert (world / "merged" / "model.safetensors").exists()
    again = run([sys.executable, "recipe.yaml", "--output_dir", "lora"], environment, cwd=world)
    assert "of another kind of run; name a folder of its own" in again.stderr


def test_trackio_keeps_the_metrics(world, environment, tmp_path):
    pytest.importorskip("trackio")
    options = ["--report_to", "trackio", "--project", "tests", "--max_steps", "2", "--output_dir", "tracked"]
    done = run([sys.executable, "recipe.yaml", *options], environment | {"TRACKIO_DIR": str(tmp_path)}, cwd=world)
    assert done.returncode == 0, error_of(done)
    with closing(sqlite3.connect(tmp_path / "tests.db")) as database:
        kept = [json.loads(metrics) for (metrics,) in database.execute("SELECT metrics FROM metrics")]
    assert len([metrics for metrics in kept if metrics.get("train/supervised_tokens", 0) > 0]) == 2


def test_the_module_form_and_the_dry_run(world, environment):
    command = [sys.executable, "-m", "mmprolong_hf.train", "--config", "recipe.yaml", "--dry_run"]
    done = run(command, environment, cwd=world)
    assert done.returncode == 0, error_of(done)
    for part in (
        r"samples +12 of",
        r"steps +4 of 4 packs \(4.00 epochs\), 12 questions each",
        r"context +131,072 tokens, rope default, theta 4e\+06",
    ):
        assert re.search(part, done.stdout), part
    assert "cannot be reached" not in done.stdout


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--max_lenght", "5"], "error: unknown option '--max_lenght', did you mean 'max_length'?"),
        (
            ["--dataset_name", "nowhere/at-all", "--dry_run", "--max_length", "131072"],
            "nowhere/at-all cannot be reached: planned",
        ),
        (["--dataset_name", "nowhere/at-all", "--dry_run"], "is longer than max_length=128"),
        (["--packs_per_step", "0"], "packs_per_step is 0"),
        (["--resume_from_checkpoint", "last", "--output_dir", "fresh"], "fresh holds no complete checkpoint"),
        (["--resume_from_checkpoint", "nowhere"], "expected a checkpoint folder or 'last'"),
        (["--output_dir", "recipe.yaml"], "output_dir recipe.yaml is a file"),
        (["--model_name_or_path", "nowhere/model"], "nowhere/model is neither a checkpoint folder nor a model"),
    ],
)
def test_mistakes_are_one_line(world, environment, extra, message):
    done = run([sys.executable, "recipe.yaml", *extra], environment, cwd=world)
    assert message in done.stdout + done.stderr
    if "error" in done.stderr:
        assert done.returncode == 1
        assert "Traceback" not in done.stderr


def test_a_run_fills_with_what_its_dry_run_says(world, environment):
    tiny.save_dataset(world / "short", train=tiny.documents(9, max_pages=1))
    filled = ["recipe.yaml", "--fill_with", "short", "--max_length", "200", "--packs_per_step", "1", "--max_steps", "-1", "--num_train_epochs", "1"]  # fmt: skip
    filled += ["--eval_strategy", "no", "--save_strategy", "no", "--output_dir", "filled"]
    planned = run([sys.executable, *filled, "--dry_run"], environment, cwd=world)
    assert planned.returncode == 0, error_of(planned)
    done = run([sys.executable, *filled], environment, cwd=world)
    assert done.returncode == 0, error_of(done)
    entries = [entry for entry in history(world / "filled") if "loss" in entry]
    questions, tokens = sum(entry["questions"] for entry in entries), entries[-1]["num_tokens"]
    assert questions > 12
    assert f"\nquestions            {questions:.0f}\n" in planned.stdout
    assert f"\ntokens               {tokens:.0f} in" in planned.stdout


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        ("dataset", "fill_with is 'dataset', the dataset itself, whose questions would be trained twice"),
        ("nowhere/x", "error: fill_with: dataset_name 'nowhere/x' is neither a local folder nor"),
    ],
)
def test_a_wrong_dataset_to_fill_with(world, environment, fill, message):
    command = [sys.executable, "recipe.yaml", "--dataset_name", "dataset", "--fill_with", fill, "--dry_run"]
    assert message in run(command, environment, cwd=world).stderr


def test_a_dataset_that_is_not_there(world, environment):
    done = run([sys.executable, "recipe.yaml", "--dataset_name", "nowhere/at-all"], environment, cwd=world)
    assert done.returncode == 1
    assert "error: dataset_name 'nowhere/at-all' is neither a local folder nor a dataset" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_without_parquet(world, environment):
    (world / "empty").mkdir(exist_ok=True)
    done = run([sys.executable, "recipe.yaml", "--dataset_name", "empty"], environment, cwd=world)
    assert "error: dataset_name empty holds no Parquet file; make it with `mmprolong build PDFS empty`" in done.stderr


@pytest.mark.parametrize("recipe", ["qwen25vl_128k", "qwen25vl_128k_paper", "qwen3vl_128k"])
def test_the_big_recipes_dry_run_without_weights_or_hub(root, environment, recipe):
    done = run([sys.executable, f"recipes/{recipe}.yaml", "--dry_run"], environment, cwd=root)
    assert done.returncode == 0, error_of(done)
    assert "planned on the paper's length distribution instead" in done.stdout
    for line in ("documents", "samples", "packs in an epoch", "steps", "tokens", "supervised tokens", "largest position", "FLOPs", "GPU-hours", "memory per GPU"):  # fmt: skip
        assert f"\n{line} " in done.stdout, line
