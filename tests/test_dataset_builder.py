"""The builder over the pipeline."""

from pathlib import Path

import pytest
from synthetic_pdf import report

BUILDER = Path(__file__).resolve().parents[1] / "dataset_builders" / "longdoc_qa"


@pytest.fixture
def builder_class(monkeypatch):
    monkeypatch.syspath_prepend(str(BUILDER))
    import longdoc_qa

    return longdoc_qa.LongDocQA


@pytest.mark.parametrize("config", ["default", "questions", "elements"])
def test_download_and_prepare(builder_class, tmp_path, config):
    (tmp_path / "pdfs").mkdir()
    for k in (1, 2):
        report(tmp_path / "pdfs" / f"{k}.pdf", chapters=k + 1)
    builder = builder_class(
        cache_dir=str(tmp_path / "cache"),
        config_name=config,
        source=str(tmp_path / "pdfs"),
        changes={"mixture.questions_per_document": 5, "pool.near_duplicates": None},
    )
    builder.download_and_prepare()
    rows = builder.as_dataset(split="train")
    if config == "questions":
        assert rows.num_rows == 10
        assert "images" not in rows.column_names
    elif config == "elements":
        assert "1 Topic one" in [row["text"] for row in rows if row["kind"] == "section"]
    else:
        assert rows["num_pages"][:] == [6, 9]
        assert rows[0]["images"][0].size == (1224, 1584)
