"""What would be pushed is what `load_dataset` reads, and a push is one commit of it."""

import json
import shutil
import subprocess
import sys
from io import BytesIO

import pyarrow.parquet as pq
import pytest
from built_sets import NUM_DOCUMENTS, NUM_SHORT, PARTS, documents, lay_out, sets
from datasets import load_dataset
from loopback_hub import LoopbackHub
from PIL import Image

from mmprolong_hf.hub import dataset as dataset_module
from mmprolong_hf.hub.dataset import OWNED, plan_dataset, publish_dataset
from mmprolong_hf.review.grades import FORMAT_VERSION
from mmprolong_hf.review.sample import draw_sample
from mmprolong_hf.rows import UndecodedRows
from mmprolong_hf.synthesis.render import PdfPages

OTHERS = ("questions", "rejected", "elements")


def plan_of(*pages, **options):
    return plan_dataset(sets().images, "me/reports", pages=pages, pdfs=sets().pdfs, **options)


def review(folder, path, *, grade="correct", name="Ada"):
    """As the page exports it, of three questions."""
    sample = draw_sample(folder, num_samples=3, seed=7)
    rows = [{key: q[key] for key in ("doc_id", "question", "task")} for q in sample.questions]
    content = {"format_version": FORMAT_VERSION, "fingerprint": sample.fingerprint, "seed": 7, "split": "train"}
    content |= {"num_questions": sample.num_questions, "reviewer": name}
    path.write_text(json.dumps(content | {"samples": [row | {"grade": grade, "note": ""} for row in rows]}))
    return path


def test_a_plan_names_every_file_and_needs_no_network():
    plan = plan_of("images", "references")
    data = {f"{part}/{split}-00000-of-00001.parquet" for part in ("data", "references") for split in ("train", "test")}
    flat = {f"questions/{split}-00000-of-00001.parquet" for split in ("train", "test")}
    flat |= {f"{part}/train-00000-of-00001.parquet" for part in ("rejected", "elements")}
    assert set(plan.files) == data | flat | {"build_report.json", "mixture.png"}
    assert plan.num_bytes == sum(path.stat().st_size for path in plan.files.values())
    assert plan.files["data/train-00000-of-00001.parquet"] == sets().images / "data" / "train-00000-of-00001.parquet"
    assert f"{len(plan.files)} files, {plan.num_bytes:,} bytes, and README.md to me/reports" in str(plan)
    assert all(text in str(plan) for text in plan.card.sections.values())
    (note,) = plan.notes
    assert str(plan).endswith(f"\nnote: {note}")
    assert f"{sets().images.parent / '.images.publish'}; delete it" in note
    assert plan_of().notes == ()


def test_without_pages_the_folders_own_form_is_published():
    assert plan_of().configs[0].name == "default"
    plan = plan_dataset(sets().pdf, "me/reports")
    assert plan.configs[0].name == "pdf"
    assert plan.files["pdf/test-00000-of-00001.parquet"] == sets().pdf / "data" / "test-00000-of-00001.parquet"


def test_references_alone_give_away_no_page():
    plan = plan_of("references")
    assert not [name for name in plan.files if name.startswith(("data/", "pdf/", "elements/"))]
    row = documents(sets().images)[0]
    image, running_text = repr(row["images"][0]["bytes"])[2:200], "This line of running text says nothing"

    def holds(plan, text):
        tables = (pq.read_table(path) for name, path in plan.files.items() if name.endswith(".parquet"))
        return any(text in repr(table.to_pylist()) for table in tables)

    assert [holds(plan, image), holds(plan, running_text)] == [False, False]
    assert [holds(plan_of("images", "references"), text) for text in (image, running_text)] == [True, True]


@pytest.mark.parametrize("pages", [("images",), ("pdf", "images", "references"), ("references",)])
def test_load_dataset_reads_every_config_also_streaming(pages, tmp_path):
    plan = plan_of(*pages)
    folder = str(lay_out(plan, tmp_path / "-".join(("repository", *pages))))
    for config in plan.configs:
        loaded = load_dataset(folder, config.name)
        assert {name: len(rows) for name, rows in loaded.items()} == {n: s.num_rows for n, s in config.splits.items()}
        assert loaded["train"].features == config.features
        streamed = next(iter(load_dataset(folder, config.name, split="train", streaming=True)))
        assert streamed.keys() == loaded["train"][0].keys()
    unasked = load_dataset(folder, split="train")
    assert len(unasked) == NUM_DOCUMENTS - 1 + NUM_SHORT
    assert bool(unasked[0]["images"]) == (pages[0] == "images")
    assert bool(unasked[0]["pdf"]) == (pages[0] == "pdf")


def test_pdfs_train_on_the_very_bytes_of_the_images(tmp_path):
    """As training opens the rows; of every page of every document."""
    folder = str(lay_out(plan_of("images", "pdf"), tmp_path / "both-forms"))
    images, pdfs = (UndecodedRows(load_dataset(folder, name, split="train")) for name in ("default", "pdf"))
    pages = 0
    for one, other in zip(images, pdfs, strict=True):
        assert [p["bytes"] for p in one["images"]] == [p["bytes"] for p in other["images"]]
        assert {k: v for k, v in one.items() if k not in ("images", "pdf")} == {
            k: v for k, v in other.items() if k not in ("images", "pdf")
        }
        if other["pdf"]:
            assert PdfPages(other["pdf"], other["dpi"] + 1, other["engine"])[0] != other["images"][0]
        sizes = [list(Image.open(BytesIO(p["bytes"])).size) for p in other["images"]]
        assert sizes == one["page_sizes"]
        pages += len(sizes) * bool(other["pdf"])
    assert pages == sum(row["num_pages"] for row in documents(sets().pdf)[: NUM_DOCUMENTS - 1])


def test_reviews_are_told_and_published(tmp_path):
    assert "Nobody has graded" in plan_of().card.sections["Review"]
    paths = [review(sets().images, tmp_path / f"{name}.json", name=name) for name in ("Ada", "Grace")]
    plan = plan_of(reviews=paths)
    assert "Nobody has graded" not in plan.card.sections["Review"]
    assert "Grace" in plan.card.sections["Review"]
    assert {name: plan.files[name] for name in plan.files if "reviews/" in name} == {
        f"reviews/{path.name}": path for path in paths
    }
    (tmp_path / "more").mkdir()
    with pytest.raises(ValueError, match=r"the reviews are called Ada\.json, Ada\.json; expected names of their own"):
        plan_of(reviews=[paths[0], shutil.copy(paths[0], tmp_path / "more")])
    with pytest.raises(ValueError, match=r"expected names of their own that end in \.json"):
        plan_of(reviews=[paths[0].rename(tmp_path / "Ada.txt")])


def test_a_review_of_another_set_is_refused(tmp_path):
    path = review(sets().images, tmp_path / "review.json")
    content = json.loads(path.read_text())
    content["samples"][0]["question"] = "What else?"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"the review by Ada has as question of sample 1 'What else\?'"):
        plan_of(reviews=[path])


def test_row_groups_that_the_viewer_does_not_show_are_a_note(monkeypatch):
    monkeypatch.setattr(dataset_module, "VIEWER_BYTES", 100_000)
    (note,) = plan_of().notes
    assert "the Hub's viewer shows no row group of more than 100,000 bytes: train of default (" in note
    assert f"note: {note}" in str(plan_of())


def test_a_repository_is_named_whole():
    for repo_id, words in (
        ("reports", "expected name/reports"),
        ("me/a b", "Repo id must use"),
        ("a/b/c", "in the form"),
    ):
        with pytest.raises(ValueError, match=words):
            plan_dataset(sets().images, repo_id)


def test_what_may_not_be_published_is_a_note(tmp_path):
    folder = shutil.copytree(sets().images, tmp_path / "set")
    report = json.loads((folder / "build_report.json").read_text())
    questions = {**report["questions"]}
    questions["ocr-full"] = questions.pop("reasoning")
    report |= {"licenses": {"": 2, "cc0-1.0": 1}, "questions": questions}
    (folder / "build_report.json").write_text(json.dumps(report))
    (note,) = plan_dataset(folder, "me/reports").notes
    assert note == "the pages of 2 documents are published, and no licence of theirs was told"
    note, _ = plan_dataset(folder, "me/reports", pages=("references",)).notes
    assert note.startswith(f"{questions['ocr-full']} answers (ocr-full, ocr-needle) are the text of whole pages")


def test_unknown_pages_and_a_folder_that_is_no_set(tmp_path):
    with pytest.raises(ValueError, match=r"pages is pngs; expected each at most once of images, pdf, references"):
        plan_of("pngs")
    with pytest.raises(ValueError, match=r"has no README\.md, build_report\.json, mixture\.png, data, questions"):
        publish_dataset(tmp_path, "me/reports")


PROGRAM = """
import sys, json
from pathlib import Path
from mmprolong_hf.hub.dataset import publish_dataset
for pages in json.loads(sys.argv[3]):
    done = publish_dataset(Path(sys.argv[1]), "tester/reports", pages=pages, pdfs=Path(sys.argv[2]))
    print(json.dumps([done.uploaded, done.deleted]))
"""


def test_a_push_is_one_commit_and_another_of_the_same_uploads_nothing(environment):
    turns = [["images"], ["images"], ["references", "pdf"], ["references"]]
    with LoopbackHub() as hub:
        command = [sys.executable, "-c", PROGRAM, str(sets().images), str(sets().pdfs), json.dumps(turns)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment | hub.environment, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        changes = [json.loads(line) for line in done.stdout.splitlines()]
        files = hub.files("dataset", "tester/reports")
        commits = len(hub.commits("dataset", "tester/reports"))
    assert changes[1] == [[], []]
    assert commits == 1 + 3  # the Hub's own first one
    assert {path.split("/")[0] for path in changes[2][0]} == {"pdf", "references", "README.md"}
    assert {path.split("/")[0] for path in changes[2][1]} == {"data"}
    assert {path.split("/")[0] for path in changes[3][1]} == {"pdf", "elements"}
    plan = plan_dataset(sets().images, "tester/reports", pages=("references",))
    assert {name: path.read_bytes() for name, path in plan.files.items()} == {
        name: files[name] for name in files if name not in ("README.md", ".gitattributes")
    }


def test_owned_files_are_those_that_publishing_writes():
    folders = {*PARTS.values(), *OTHERS}
    assert set(OWNED) == {f"{folder}/*.parquet" for folder in folders} | {"reviews/*.json"}
