import json
import subprocess
import sys

import pytest
import tiny
from synthetic_pdf import report


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
    pytest.importorskip("reportlab")
    from mmprolong_hf.demo.card_documents import write_cards
    from mmprolong_hf.demo.reports import write_reports

    write_cards(tmp_path / "pdfs", num_documents={3: 4})
    done = mmprolong("build", "pdfs", "set", environment=environment, cwd=tmp_path)
    assert done.returncode == 1  # cards are nearly empty by the rule for real documents
    assert "error: all 4 PDFs of pdfs were rejected" in done.stderr
    assert "nearly_empty" in done.stderr
    write_reports(tmp_path / "reports", count=1)
    done = mmprolong("build", "reports", "set", environment=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "questions: extract-multi" in done.stdout
    tiny.save_checkpoint(tmp_path / "model", max_pixels=28 * 28 * 300)
    (tmp_path / "reports/broken.pdf").write_bytes(b"%PDF-1.7")
    words = ["--lengths", "700,1500", "--depths", 2, "--trials", 1, "--size", 0.05]
    for source in (["--dataset", "set"], ["--pdfs", "reports"]):
        done = mmprolong("needle", "model", "out", *source, *words, environment=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stderr[-2000:]
        assert "| 1,500 | 2 |" in done.stdout
        assert (tmp_path / "out/heatmap.png").exists()
    assert "left out: broken.pdf: unreadable" in done.stderr
    report = json.loads((tmp_path / "out/needle.json").read_text())
    assert [(pdf["source"], pdf["reason"]) for pdf in report["skipped"]] == [("broken.pdf", "unreadable")]
    both = ["--dataset", "set", "--pdfs", "reports"]
    done = mmprolong("needle", "model", "out", *both, environment=environment, cwd=tmp_path)
    assert done.stderr == "error: --pdfs reports and --dataset set are both given, expected one of them\n"


def test_needles_need_no_document(tmp_path, environment):
    tiny.save_checkpoint(tmp_path / "model", max_pixels=28 * 28 * 300)
    words = ["--kind", "table", "--lengths", "1500", "--depths", 2, "--trials", 1, "--size", 0.2]
    done = mmprolong("needle", "model", "out", *words, environment=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads((tmp_path / "out/needle.json").read_text())
    assert {record["hidden"][0]["source"]["doc_id"][:6] for record in report["records"]} == {"drawn-"}

    words[words.index("--lengths") + 1] = "900000"
    done = mmprolong("needle", "model", "out", *words, environment=environment, cwd=tmp_path)
    assert done.returncode == 1
    assert "not measured at 900000 tokens, all or in part: the pages cannot fill the context" in done.stderr
    assert done.stderr.endswith("error: nothing could be measured: see needle.json\n")


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
