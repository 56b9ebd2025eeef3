"""needle_report.py: the files say what the records say."""

import csv
import json

import pytest

from mmprolong_hf.evaluation.metrics.statistics import wilson_interval
from mmprolong_hf.evaluation.needle_report import per_length_table, summarize_needles, write_needle_report

LENGTHS, DEPTHS = [8192, 16384, 32768], [0.0, 0.5, 1.0]


def record(length, depth, trial, score, error=None):
    place = {"page": 2, "page_depth": 0.4, "source": {"doc_id": "a.pdf", "page": 7}}
    return {
        "id": f"multi {length} {trial} {depth}", "length": length, "depth": depth, "trial": trial, "num_tokens": length - 100,
        "mrope_span": 300 + trial, "num_pages": 3, "question": 'Which, "exactly"?', "answer": ["1", "2"], "hidden": [place, place],
        "output": "1\n2", "error": error, "score": score,
    }  # fmt: skip


@pytest.fixture
def report():
    """Two trials of two lengths: all found in the shorter, the middle lost in the longer, where one answer failed."""
    records = [record(8192, depth, trial, 1) for trial in range(2) for depth in DEPTHS]
    records += [record(16384, depth, trial, int(depth != 0.5)) for trial in range(2) for depth in DEPTHS]
    records[-1] = record(16384, 1.0, 1, 0, "out of memory")
    return {
        "lengths": LENGTHS,
        "depths": DEPTHS,
        "isolated": False,
        "threshold": 0.85,
        "needle": {"kind": "multi"},
        "summary": summarize_needles(records, LENGTHS, DEPTHS, 2),
        "records": records,
        "skipped": [{"source": "b.pdf", "reason": "unreadable", "detail": "it cannot be read"}],
        "missing": [
            {
                "length": 32768,
                "depth": depth,
                "trial": trial,
                "reason": "the pages cannot fill the context",
                "detail": "...",
            }
            for trial in range(2)
            for depth in DEPTHS
        ],
    }


def test_summary(report):
    summary = report["summary"]
    assert summary["grid"] == [[1, 1, None], [1, 0, None], [1, 0.5, None]]
    assert summary["per_length_interval"] == {
        8192: list(wilson_interval(6, 6)),
        16384: list(wilson_interval(3, 6)),
        32768: [0, 1],
    }
    assert summary["per_length_failed"] == {8192: 0, 16384: 1, 32768: 0}
    assert summary["num_missing"] == 6
    assert (summary["effective_length_prefix"], summary["effective_length_max"]) == (8192, 8192)
    assert summary["lost_in_the_middle"] == pytest.approx((1 + 0.75) / 2 - 0.5)
    assert (summary["wavg_inc"], summary["wavg_dec"]) == (pytest.approx(2 / 3), pytest.approx(2.5 / 3))


def test_threshold_decides_the_effective_length(report):
    assert summarize_needles(report["records"], LENGTHS, DEPTHS, 2, 0.5)["effective_length_prefix"] == 16384


def test_table(report):
    lines = per_length_table(report).splitlines()
    assert lines[2] == "| 8,192 | 6 | 1.00 | 0.61 to 1.00 | 0 | 8,092 | 300 |"
    assert lines[3] == "| 16,384 | 6 | 0.50 | 0.19 to 0.81 | 1 | 16,284 | 300 |"
    assert lines[4] == "| 32,768 | 0 | – | – | – | – | – |"
    rest = "\n".join(lines[5:])
    assert "multi, all depths in one context" in rest
    assert "85% found: 8,192 tokens if every shorter length must reach that too, 8,192 tokens if not" in rest
    assert "Lost in the middle (edges less middle): 0.38" in rest
    assert "the pages cannot fill the context: 6 needles" in rest
    assert "PDFs left out: 1: b.pdf (unreadable)" in rest


def test_files(report, tmp_path):
    write_needle_report(report, tmp_path / "new" / "folder", title="checkpoint-7")
    folder = tmp_path / "new" / "folder"
    assert sorted(path.name for path in folder.iterdir()) == [
        "heatmap.png",
        "needle.csv",
        "needle.json",
        "per_length.md",
    ]
    assert json.loads((folder / "needle.json").read_text())["records"] == report["records"]
    assert (folder / "per_length.md").read_text() == per_length_table(report)
    with (folder / "needle.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert (rows[0]["question"], rows[0]["answer"], rows[0]["output"]) == ('Which, "exactly"?', "1; 2", "1\n2")
    assert (rows[0]["doc_id"], rows[0]["document_page"], rows[0]["page"]) == ("a.pdf", "7", "2")
    assert [row["error"] for row in rows if row["error"]] == ["out of memory"]


def test_names_that_are_no_utf8_are_escaped(report, tmp_path):
    name = b"caf\xe9.pdf".decode("utf-8", "surrogateescape")
    report["skipped"][0]["source"] = report["records"][0]["hidden"][0]["source"]["doc_id"] = name
    write_needle_report(report, tmp_path, title=name)
    assert json.loads((tmp_path / "needle.json").read_text(encoding="ascii"))["skipped"][0]["source"] == name
    assert "caf\\udce9.pdf (unreadable)" in (tmp_path / "per_length.md").read_text(encoding="utf-8")
    assert "caf\\udce9.pdf" in (tmp_path / "needle.csv").read_text(encoding="utf-8")


def test_a_figure_that_cannot_be_drawn_leaves_the_old_files(report, tmp_path):
    write_needle_report(report, tmp_path, title="old")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    report["summary"]["lengths"] = None
    with pytest.raises(TypeError, match="NoneType"):
        write_needle_report(report, tmp_path, title="new")
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


@pytest.mark.parametrize("name", ["needle.csv", "per_length.md", "heatmap.png"])
def test_needle_json_is_there_only_with_the_other_files_of_its_run(report, tmp_path, name):
    write_needle_report(report, tmp_path, title="old")
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()  # it cannot be written: a stop at this moment
    with pytest.raises(IsADirectoryError):
        write_needle_report(report, tmp_path, title="new")
    assert not (tmp_path / "needle.json").exists()
