"""References and a folder of PDFs give the set in the compact form."""

import json
import shutil
import subprocess
import sys

import pytest
from built_sets import NUM_DOCUMENTS, NUM_SHORT, documents, lay_out, sets
from loopback_hub import LoopbackHub

from mmprolong_hf.hub.dataset import plan_dataset
from mmprolong_hf.hub.dataset_files import read_built_set
from mmprolong_hf.hub.restore import restore_dataset


@pytest.fixture
def published(tmp_path):
    plan = plan_dataset(sets().images, "tester/reports", pages=("references",))
    return lay_out(plan, tmp_path / "published")


def long_rows(folder, part="data"):
    return [row for row in documents(folder, part) if row["teacher" if part == "questions" else "engine"]]


def test_every_row_is_that_of_the_compact_set(published, tmp_path):
    pdfs = tmp_path / "mine"
    pdfs.mkdir()
    for k, path in enumerate(sorted(sets().pdfs.glob("*.pdf"), reverse=True)):
        shutil.copy(path, pdfs / f"download{k}.pdf")  # names do not matter
    done = restore_dataset(published, pdfs, tmp_path / "set")
    assert documents(tmp_path / "set") == long_rows(sets().pdf)
    assert long_rows(published, "references") != long_rows(sets().pdf)
    asked = [q for row in long_rows(sets().pdf) for q in row["questions"]]
    assert [row["question"] for row in documents(tmp_path / "set", "questions")] == [q["question"] for q in asked]
    assert (sum(done.rows.values()), sum(done.questions.values())) == (NUM_DOCUMENTS, len(asked))


def test_what_is_missing_is_listed_and_its_questions_are_left_out(published, tmp_path):
    pdfs = shutil.copytree(sets().pdfs, tmp_path / "some")
    (pdfs / "report2.pdf").unlink()
    done = restore_dataset(str(published), pdfs, tmp_path / "set")
    lines = [json.loads(line) for line in (tmp_path / "set" / "missing.jsonl").read_text().splitlines()]
    lost = next(row for row in documents(sets().pdf) if row["source"] == "report2.pdf")
    assert lines == list(done.missing)
    assert lines[0] == {"name": "report2.pdf", "url": "https://example.org/report2.pdf", "sha256": lost["doc_id"]}
    assert len(lines) == 1 + NUM_SHORT  # a short sample of another data set was never a PDF
    assert f"report2.pdf https://example.org/report2.pdf sha256 {lost['doc_id']}" in str(done)
    assert f"2 of {NUM_DOCUMENTS + NUM_SHORT} documents" in str(done)
    assert lost["doc_id"] not in {row["doc_id"] for row in documents(tmp_path / "set", "questions")}


def test_a_restored_set_is_a_whole_set_that_can_be_published(published, tmp_path):
    restore_dataset(published, sets().listed, tmp_path / "set")
    built = read_built_set(tmp_path / "set")  # its counts are those of its report
    assert built.store == "pdf"
    assert built.report["pages"] == sum(row["num_pages"] for row in documents(tmp_path / "set"))
    plan = plan_dataset(tmp_path / "set", "me/again")
    assert [config.name for config in plan.configs] == ["pdf", "questions", "rejected"]
    assert "tester/reports" not in str(plan.card)


def test_restoring_again_replaces_and_tells_the_sets_apart(published, tmp_path):
    some = tmp_path / "some"
    some.mkdir()
    shutil.copy(sets().pdfs / "report1.pdf", some)
    restore_dataset(published, some, tmp_path / "set")
    first = read_built_set(tmp_path / "set")
    restore_dataset(published, sets().pdfs, tmp_path / "set")
    second = read_built_set(tmp_path / "set")
    assert len(documents(tmp_path / "set")) == NUM_DOCUMENTS
    builds = [built.card.metadata["configs"][0]["description"] for built in (first, second)]
    assert builds[0] != builds[1]  # or datasets would show the first again
    assert sorted(path.name for path in tmp_path.iterdir()) == ["published", "set", "some"]


def test_no_pdf_at_all(published, tmp_path):
    pdfs = tmp_path / "others"
    pdfs.mkdir()
    (pdfs / "report1.pdf").write_bytes(b"%PDF-another")
    with pytest.raises(
        ValueError, match=r"none of the 5 PDFs of .* is in .*others \(the first is report1\.pdf, sha256"
    ):
        restore_dataset(published, pdfs, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_a_source_without_references(tmp_path):
    with pytest.raises(
        ValueError, match=r"images has no references: expected a dataset that was published with --pages"
    ):
        restore_dataset(sets().images, sets().pdfs, tmp_path / "set")
    for source in ("me/nowhere", "not/the/id of a repository"):
        told = rf"{source} is no folder, and as a dataset of the Hub it cannot be had \(.*\); name one that is there$"
        with pytest.raises(ValueError, match=told):  # one line: "." is no "\n"
            restore_dataset(source, sets().pdfs, tmp_path / "set")


def test_another_folder_is_not_touched(published, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file, expected a folder to write"):
        restore_dataset(published, sets().pdfs, tmp_path / "file")
    restore_dataset(published, sets().pdfs, tmp_path / "set")
    (tmp_path / "set" / "data" / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match=r"this command has not written \(data/thesis\.txt\); name a new"):
        restore_dataset(published, sets().pdfs, tmp_path / "set")
    built = shutil.copytree(sets().pdf, tmp_path / "built")
    with pytest.raises(ValueError, match=r"this command has not written \(README\.md"):
        restore_dataset(published, sets().pdfs, built)
    assert documents(built) == documents(sets().pdf)


def test_an_earlier_set_outlives_a_kill_between_its_two_names(published, tmp_path):
    restore_dataset(published, sets().pdfs, tmp_path / "set")
    before = documents(tmp_path / "set")
    (tmp_path / "set").rename(tmp_path / ".set.earlier")
    with pytest.raises(ValueError, match="is no folder"):
        restore_dataset("me/nowhere", sets().pdfs, tmp_path / "set")
    assert documents(tmp_path / "set") == before


def test_the_folder_of_the_pdfs_is_no_output(published, tmp_path):
    pdfs = shutil.copytree(sets().pdfs, tmp_path / "pdfs")
    with pytest.raises(ValueError, match="holds the PDFs themselves"):
        restore_dataset(published, pdfs, pdfs)


def test_neither_pymupdf_nor_torch_is_needed(published, tmp_path, environment):
    """A machine that trains restores."""
    code = "import sys; sys.modules['pymupdf'] = sys.modules['torch'] = None\n"
    code += "from pathlib import Path\nfrom mmprolong_hf.hub.restore import restore_dataset\n"
    code += "print(restore_dataset(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))"
    command = [sys.executable, "-c", code, str(published), str(sets().pdfs), str(tmp_path / "set")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert "3 of 5 documents" in done.stdout, done.stderr[-2000:]


PROGRAM = """
import sys
from pathlib import Path
from mmprolong_hf.hub.dataset import publish_dataset
from mmprolong_hf.hub.restore import restore_dataset
folder, pdfs, output = map(Path, sys.argv[1:])
publish_dataset(folder, "tester/reports", pages=("images", "references"))
print(restore_dataset("tester/reports", pdfs, output))
"""


def test_from_the_hub_only_what_is_needed_is_downloaded(tmp_path, environment):
    with LoopbackHub() as hub:
        command = [sys.executable, "-c", PROGRAM, str(sets().images), str(sets().pdfs), str(tmp_path / "set")]
        done = subprocess.run(command, capture_output=True, text=True, env=environment | hub.environment, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        fetched = {path.rpartition("/main/")[2] or path for method, path in hub.requests if "/resolve/" in path}
    assert documents(tmp_path / "set") == long_rows(sets().pdf)
    assert any("references/train-" in path for path in fetched)
    assert not any("data/train-" in path or "elements/" in path for path in fetched)
    assert "Restored from tester/reports" in (tmp_path / "set" / "README.md").read_text()
