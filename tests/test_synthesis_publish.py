"""The set is published with short samples beside the long ones, or alone."""

from io import BytesIO

import pytest
import tiny
from datasets import Dataset, Features, Image, Value
from synthetic_pdf import report

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
