"""The files of a document, and what is told of it."""

from collections import Counter

import pyarrow.parquet as pq
import pytest
from synthetic_pdf import built, report

from mmprolong_hf.synthesis.outcomes import rejected_outcome, write_outcome
from mmprolong_hf.synthesis.workers import Lost


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return built(report(tmp_path_factory.mktemp("pdf") / "a.pdf"))


def test_an_outcome_stands_for_the_files(written, tmp_path):
    kept = written._replace(dropped=Counter(b=2, a=1))
    failures = [{"reason": "http_400", "detail": "too many pages"}]
    outcome = write_outcome(kept, tmp_path / "00007", failures)
    row = pq.read_table(tmp_path / "00007.row.parquet").to_pylist()
    assert [q["question"] for q in row[0]["questions"]] == [q["question"] for q in written.row["questions"]]
    assert (outcome["status"], outcome["num_pages"], outcome["failures"]) == ("built", row[0]["num_pages"], failures)
    assert outcome["num_tokens"] == sum(row[0]["page_tokens"])
    assert list(outcome["dropped"].items()) == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("name", ["rejected", "elements"])
def test_there_is_no_file_of_nothing(written, tmp_path, name):
    rows = getattr(written, name)
    write_outcome(written._replace(**{name: []}), tmp_path / "0", [])
    assert not (tmp_path / f"0.{name}.parquet").exists()
    if rows:
        write_outcome(written, tmp_path / "1", [])
        assert pq.read_table(tmp_path / f"1.{name}.parquet").num_rows == len(rows)


def test_a_rejected_document_leaves_its_reason():
    assert rejected_outcome(Lost("timed_out", "it was not done after 1 s")) == {
        "status": "rejected", "reason": "timed_out", "detail": "it was not done after 1 s",
    }  # fmt: skip
