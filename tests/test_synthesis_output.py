"""The files of a dataset folder."""

import pytest
import yaml
from synthetic_pdf import report

from mmprolong_hf.synthesis.document import BuildOptions, build_document
from mmprolong_hf.synthesis.output import read_rows, write_card, write_row, write_split

FACTS = ("documents", "questions", "rejected", "dropped", "pages", "page_tokens", "engines", "options")


@pytest.fixture(scope="module")
def row(tmp_path_factory):
    return build_document(report(tmp_path_factory.mktemp("pdf") / "a.pdf"), "a.pdf", BuildOptions(dpi=36))[0]


def test_rows_come_back_as_they_went(row, tmp_path):
    write_row(row, tmp_path / "row.parquet")
    write_split([tmp_path / "row.parquet"], tmp_path, "train")
    (back,) = read_rows(tmp_path, "train")
    assert back["images"] == row["images"]
    assert [q["question"] for q in back["questions"]] == [q["question"] for q in row["questions"]]
    flat = list(read_rows(tmp_path, "train", part="questions"))
    assert [q["answer"] for q in flat] == [q["answer"] for q in row["questions"]]
    assert "images" not in flat[0]


def test_the_card_names_its_files_and_changes_with_them(row, tmp_path):
    def fingerprint():
        write_card(tmp_path, ["train", "test"], dict.fromkeys(FACTS, "x"))
        front = yaml.safe_load((tmp_path / "README.md").read_text().split("---")[1])
        assert [c["config_name"] for c in front["configs"]] == ["default", "questions"]
        assert front["configs"][0]["data_files"][1] == {"split": "test", "path": "data/test-*.parquet"}
        return front["configs"][0]["description"]

    write_row(row, tmp_path / "row.parquet")
    write_split([tmp_path / "row.parquet"], tmp_path, "train")
    first = fingerprint()
    assert fingerprint() == first
    write_row({**row, "title": "another"}, tmp_path / "row.parquet")
    write_split([tmp_path / "row.parquet"], tmp_path, "train")
    assert fingerprint() != first
