import json
import subprocess
import sys

import pytest
import tiny


def mmprolong(*words, environment, cwd):
    command = [sys.executable, "-m", "mmprolong_hf.cli", *map(str, words)]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True)


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


def test_build_then_needle(tmp_path, environment):
    reportlab = pytest.importorskip("mmprolong_hf.demo.documents")
    reportlab.write_cards(tmp_path / "pdfs", num_documents={3: 4})
    done = mmprolong("build", "pdfs", "set", environment=environment, cwd=tmp_path)
    assert done.returncode == 1  # cards are nearly empty by the rule for real documents
    assert "error: all 4 PDFs in pdfs were rejected" in done.stderr
    assert "nearly_empty" in done.stderr
    reportlab.write_reports(tmp_path / "reports", count=1)
    done = mmprolong("build", "reports", "set", environment=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    tiny.save_checkpoint(tmp_path / "model", max_pixels=28 * 28 * 300)
    words = ["needle", "model", "set", "out", "--lengths", "700,1500", "--depths", 2, "--trials", 1, "--size", 0.05]
    done = mmprolong(*words, environment=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "out/heatmap.png").exists()


def test_train_takes_a_recipe(tmp_path, environment):
    done = mmprolong("train", "nowhere.yaml", environment=environment, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "error: recipe nowhere.yaml does not exist\n")
