"""cli_evaluation.py: needles and benchmarks, as a user starts them."""

import json
import subprocess
import time

import pytest
import tiny
from command_line import command, mmprolong


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


def test_needles_that_were_killed_go_on_where_they_were_and_are_the_same(tmp_path, environment):
    tiny.save_checkpoint(tmp_path / "model", max_pixels=28 * 28 * 300)
    words = ["--lengths", "700,1500", "--depths", 3, "--trials", 4, "--size", 0.05]
    done = mmprolong("needle", "model", "whole", *words, environment=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]

    answers = tmp_path / "killed/needle_answers.jsonl"
    run = subprocess.Popen(
        command("needle", "model", "killed", *words),
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not answers.exists() or answers.read_bytes().count(b"\n") < 5:
        assert run.poll() is None
        time.sleep(0.005)
    run.kill()
    run.wait()
    assert not (tmp_path / "killed/needle.json").exists()
    before = answers.read_bytes()
    before = before[: before.rfind(b"\n") + 1]
    done = mmprolong("needle", "model", "killed", *words, environment=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]

    asked = [json.loads(line)["id"] for line in answers.read_text().splitlines()]
    assert answers.read_bytes().startswith(before)
    assert len(set(asked)) == len(asked) == 2 * 3 * 4, "a question was asked again, or never"
    for file in ("needle.json", "needle.csv", "per_length.md", "heatmap.png"):
        assert (tmp_path / "killed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file
