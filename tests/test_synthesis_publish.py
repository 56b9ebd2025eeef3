"""The set is published with what is told of its documents, and with short samples beside the long ones, or alone."""

import json
from io import BytesIO
from pathlib import Path

import pytest
import tiny
from datasets import Dataset, Features, Image, Value
from synthetic_pdf import report

from mmprolong_hf.synthesis import publish as publish_module
from mmprolong_hf.synthesis.output import read_rows
from mmprolong_hf.synthesis.pipeline import build_dataset
from mmprolong_hf.synthesis.plan import folder_plan
from mmprolong_hf.synthesis.sample_lengths import SampleLengths
from mmprolong_hf.synthesis.short_context import SHORT_TASK

NUM_SHORT = 6
EACH = SampleLengths()([(84, 112)], "Number 3?", "b")


@pytest.fixture(scope="module")
def pdfs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pdfs")
    report(folder / "a.pdf", titles=["Apples", "Pears"])
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A user's own dataset of images."""
    folder, rows = tmp_path_factory.mktemp("short"), []
    for k in range(NUM_SHORT):
        buffer = BytesIO()
        tiny.page(k, 84, 112).save(buffer, "PNG")
        rows.append({"image": {"bytes": buffer.getvalue()}, "question": f"Number {k}?", "answer": "b"})
    features = Features({"image": Image(), "question": Value("string"), "answer": Value("string")})
    Dataset.from_list(rows, features=features).to_parquet(folder / "train.parquet")
    return folder


def build(pdfs, output, pictures, **mixture):
    mixture = {"short_datasets": {str(pictures): []}, **mixture}
    return build_dataset(folder_plan(pdfs, {"output": str(output), "pages.dpi": 36, "mixture": mixture}))


def test_short_samples_alone_make_a_set(pdfs, pictures, tmp_path):
    built = build(pdfs, tmp_path / "set", pictures, short_share=1.0, token_budget=4 * EACH + 3)
    rows = list(read_rows(tmp_path / "set", "train"))
    assert built.questions == built.short == {SHORT_TASK: 4}
    assert (built.rows, built.accepted, len(rows)) == ({"train": 4}, [], 4)
    assert {question["task"] for row in rows for question in row["questions"]} == {SHORT_TASK}
    assert built.mixture["shortfall"] == {}
    assert "not reached" not in str(built)


def test_short_samples_that_run_out_are_reported(pdfs, pictures, tmp_path):
    built = build(pdfs, tmp_path / "set", pictures, short_share=1.0, token_budget=8 * EACH)
    assert built.mixture["shortfall"] == {"short_share": 2 * EACH}
    assert f"not reached: short_share, {2 * EACH}" in str(built)
    beside = build(pdfs, tmp_path / "beside", pictures, short_share=0.5)
    assert beside.short == {SHORT_TASK: NUM_SHORT}
    assert beside.mixture["shortfall"]["short_share"] == beside.mixture["tokens"] - NUM_SHORT * EACH


def test_a_set_of_nothing_is_refused(pdfs, pictures, tmp_path):
    with pytest.raises(ValueError, match="the short datasets have no sample that can be taken"):
        build(pdfs, tmp_path / "set", pictures, short_share=1.0, token_budget=EACH - 1)
    with pytest.raises(ValueError, match=r"the mixture takes none of \d+ questions"):
        build(pdfs, tmp_path / "other", pictures, short_share=0.5, min_tokens=10**9)


def told(folder, output, **licenses):
    """A set of a list of PDFs, built on in the same work folder; returns (source, url, licence) of its rows."""
    rows = [
        {"path": f"{name}.pdf", "url": f"https://example.org/{name}", "license": text}
        for name, text in licenses.items()
    ]
    (folder / "list.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    changes = {"output": str(output), "work": str(folder / "work"), "pages.dpi": 36, "pool.near_duplicates": None}
    built = build_dataset(folder_plan(folder / "list.jsonl", changes))
    return built, [(row["source"], row["url"], row["license"]) for row in read_rows(output, "train")]


def test_what_a_list_tells_reaches_the_rows_and_builds_nothing_anew(tmp_path):
    report(tmp_path / "a.pdf", titles=["Apples", "Pears"])
    report(tmp_path / "b.pdf", chapters=5)
    built, rows = told(tmp_path, tmp_path / "set", a="CC BY 4.0", b=None)
    assert rows == [("a.pdf", "https://example.org/a", "CC BY 4.0"), ("b.pdf", "https://example.org/b", "")]
    assert built.licenses == {"": 1, "CC BY 4.0": 1}
    assert built.languages == {"en": 2}
    stages = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.parquet")}
    built, rows = told(tmp_path, tmp_path / "set", a="MIT", b="MIT")
    assert [license_ for _, _, license_ in rows] == ["MIT", "MIT"]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.parquet")} == stages
    assert "\nlicense: mit\n" in (tmp_path / "set" / "README.md").read_text()


def test_documents_of_a_folder_and_short_samples_tell_nothing(pdfs, pictures, tmp_path):
    build(pdfs, tmp_path / "set", pictures, short_share=0.5)
    assert (
        str(pictures.parent) not in (tmp_path / "set" / "README.md").read_text()
    )  # nor where they are on this machine
    assert f"{pictures.name}: []" in (tmp_path / "set" / "README.md").read_text()
    rows = list(read_rows(tmp_path / "set", "train"))
    assert {(row["url"], row["license"]) for row in rows} == {("", "")}
    assert len(rows) == 1 + NUM_SHORT
    assert {row["source"].split("#")[0] for row in rows[1:]} == {f"{pictures.name}/default"}


def test_a_document_that_the_viewer_cannot_show_is_named(pdfs, tmp_path, monkeypatch):
    plan = folder_plan(pdfs, {"output": str(tmp_path / "set"), "pages.dpi": 36})
    assert build_dataset(plan).beyond_viewer == []
    (shard,) = Path(plan.output, "data").iterdir()
    monkeypatch.setattr(publish_module, "VIEWER_BYTES", shard.stat().st_size // 2)
    built = build_dataset(plan)
    assert built.beyond_viewer == ["a.pdf"]
    assert "too large for the Hub's viewer to show: a.pdf" in str(built)
    assert "never shown there: 1 document (`a.pdf`)." in (tmp_path / "set" / "README.md").read_text()
