"""cli.py: the commands, as a user starts them."""

import json
import subprocess
import sys

import tiny
from command_line import mmprolong
from synthetic_pdf import report
from typer.main import get_command

from mmprolong_hf.cli import app

HEAVY = ("torch", "transformers", "datasets", "pandas", "PIL", "matplotlib")


def test_the_commands_in_the_order_of_the_help():
    assert list(get_command(app).commands) == [
        "build",
        "extend",
        "merge",
        "train",
        "doctor",
        "needle",
        "evaluate",
        "review",
        "restore",
        "demo",
        "publish",  # a group of two, which typer lists behind the commands
    ]


def test_the_help_loads_nothing_heavy():
    code = f"import sys, mmprolong_hf.cli; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_extend_copies_a_checkpoint(tmp_path, environment):
    tiny.save_checkpoint(tmp_path / "model")
    done = mmprolong("extend", "model", "extended", environment=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "extended: 131,072 tokens" in done.stdout
    text = json.loads((tmp_path / "extended/config.json").read_text())["text_config"]
    assert text["rope_parameters"]["rope_theta"] == text["rope_theta"] == 4e6
    again = mmprolong("extend", "extended", "twice", environment=environment, cwd=tmp_path)
    assert again.returncode == 1
    assert again.stderr.startswith("error: ")
    assert "already extended" in again.stderr


def test_a_plan_is_estimated_built_and_watched(tmp_path, environment):
    (tmp_path / "pdfs").mkdir()
    for k in (1, 2):
        report(tmp_path / "pdfs" / f"{k}.pdf", titles=[f"{side} {k}" for side in ("Left side", "Right side")])
    plan = "pdfs: pdfs\noutput: set\nwork: work\npool: {min_pages: 1, near_duplicates: null}\npages: {dpi: 36}\n"
    (tmp_path / "plan.yaml").write_text(plan)
    done = mmprolong("build", "plan.yaml", "--dry_run", environment=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 PDFs; looked at 2, read 2 of them whole. Nothing was written." in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pdfs", "plan.yaml"]
    done = mmprolong("build", "plan.yaml", "--set", "pages.store=pdf", environment=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 documents (train 2), 12 pages" in done.stdout
    done = mmprolong(
        "build", "plan.yaml", "--set", "pages.store=pdf", "--status", environment=environment, cwd=tmp_path
    )
    assert "build: 2 of 2 PDFs, 100.0%" in done.stdout
    done = mmprolong("build", "plan.yaml", "--set", "pages.stor=pdf", environment=environment, cwd=tmp_path)
    assert done.stderr == "error: plan.yaml: pages: unknown key 'stor', did you mean 'store'?\n"


def test_train_takes_a_recipe(tmp_path, environment):
    done = mmprolong("train", "nowhere.yaml", environment=environment, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "error: recipe nowhere.yaml does not exist\n")
