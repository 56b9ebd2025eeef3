"""A folder in, a dataset out: whatever is in the folder."""

import hashlib
import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pyarrow.parquet as pq
import pymupdf
import pytest
from synthetic_pdf import cards, report

from mmprolong_hf.synthesis import output as output_module
from mmprolong_hf.synthesis.output import read_rows
from mmprolong_hf.synthesis.pipeline import build_dataset
from mmprolong_hf.synthesis.plan import folder_plan
from mmprolong_hf.synthesis.sources import find_pdfs

DOCUMENTS = Path(__file__).resolve().parents[2] / "shared" / "documents"


def build(pdfs, output, **changes):
    """At low resolution; the reports of the tests are near duplicates of each other."""
    changes = {name.replace("__", "."): value for name, value in changes.items()}
    return build_dataset(
        folder_plan(pdfs, {"output": str(output), "pages.dpi": 36, "pool.near_duplicates": None, **changes})
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six good documents of different lengths, two of them in a sub-folder."""
    folder = tmp_path_factory.mktemp("pdfs")
    (folder / "more").mkdir()
    for k in range(1, 5):
        report(folder / f"report{k}.pdf", chapters=5 - k + 1)
    report(folder / "more" / "titled.PDF", titles=["Apples", "Pears"])
    report(folder / "more" / "plain.pdf", titles=["Oaks", "Elms", "Ashes"], outline=False)
    return folder


@pytest.fixture(scope="module")
def built(folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "set"
    return output, build(folder, output, test_fraction=0.34)


def digests(output):
    return {
        p.relative_to(output).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in output.rglob("*.parquet")
    }


def test_the_report_adds_up(built):
    output, report_ = built
    assert report_.rows == {"train": 4, "test": 2}
    assert report_.pages == sum(row["num_pages"] for split in ("train", "test") for row in read_rows(output, split))
    assert sum(report_.questions.values()) == sum(
        len(row["questions"]) for split in ("train", "test") for row in read_rows(output, split)
    )
    assert report_.pages_per_second > 0
    assert json.loads((output / "build_report.json").read_text())["accepted"] == report_.accepted
    assert "6 documents (train 4, test 2)" in str(report_)
    assert not list(output.parent.glob(".*"))


def test_rows_go_from_short_to_long(built):
    for split in ("train", "test"):
        keys = [(row["num_pages"], row["source"]) for row in read_rows(built[0], split)]
        assert keys == sorted(keys)


def test_no_document_is_in_both_splits(built):
    train, test = ({row["doc_id"] for row in read_rows(built[0], split)} for split in ("train", "test"))
    assert not train & test


def test_the_number_of_processes_changes_no_byte(folder, built, tmp_path):
    build(folder, tmp_path / "set", test_fraction=0.34, engine__workers=1)
    assert digests(tmp_path / "set") == digests(built[0])
    build(folder, tmp_path / "other", test_fraction=0.34, seed=1)
    assert digests(tmp_path / "other") != digests(built[0])


ON_RAY = """
import json, sys
if __name__ == "__main__":
    import ray
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    from mmprolong_hf.synthesis.pipeline import build_dataset
    from mmprolong_hf.synthesis.plan import folder_plan
    print(build_dataset(folder_plan(sys.argv[1], json.loads(sys.argv[2]))))
"""


def test_ray_changes_no_byte(folder, built, tmp_path, environment):
    (tmp_path / "program.py").write_text(ON_RAY)
    changes = {"output": str(tmp_path / "set"), "pages.dpi": 36, "pool.near_duplicates": None, "test_fraction": 0.34}
    changes |= {"engine.kind": "ray", "engine.documents_per_shard": 2, "engine.options": {"mem_per_cpu_gb": 0.1}}
    command = [sys.executable, str(tmp_path / "program.py"), str(folder), json.dumps(changes)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert digests(tmp_path / "set") == digests(built[0])


def test_a_build_that_is_killed_goes_on_and_is_the_same(folder, built, tmp_path, environment):
    """At a moment within each stage; benchmarks/faults.py kills at random ones."""
    changes = [
        "test_fraction=0.34",
        "pages.dpi=36",
        "pool.near_duplicates=null",
        f"work={tmp_path / 'work'}",
        "engine.workers=1",
    ]
    command = [sys.executable, "-m", "mmprolong_hf.cli", "build", str(folder), str(tmp_path / "set")]
    command += [word for change in changes for word in ("--set", change)]
    for stage, least in (("scan", 2), ("build", 1), ("build", 4)):
        run = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while len(list((tmp_path / "work").glob(f"{stage}-*/parts/*/*.json"))) < least:
            assert run.poll() is None
            time.sleep(0.01)
        run.kill()
        run.wait()
        assert not (tmp_path / "set").exists()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert digests(tmp_path / "set") == digests(built[0])


def test_two_builds_do_not_share_a_work_folder(folder, tmp_path):
    (tmp_path / "work").mkdir()
    code = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(tmp_path / "work" / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(ValueError, match=r"another build is at work in .*work"):
            build(folder, tmp_path / "set", work=str(tmp_path / "work"))
        other.stdin.close()
    assert build(folder, tmp_path / "set", work=str(tmp_path / "work")).accepted


def test_plans_share_the_stages_in_which_they_do_not_differ(folder, tmp_path):
    work = str(tmp_path / "work")
    build(folder, tmp_path / "all", work=work)
    scanned = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.parquet")}
    one = build(folder, tmp_path / "one", work=work, mixture__shares={"reasoning": 1.0})
    assert set(one.questions) == {"reasoning"}
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.parquet")} == scanned
    build(folder, tmp_path / "seed", work=work, seed=1)  # another seed asks anew, of the same scan
    assert len(list((tmp_path / "work").glob("scan-*"))) == 1
    assert len(list((tmp_path / "work").glob("build-*"))) == 2


def test_what_changed_in_the_folder_is_seen(tmp_path):
    pdfs, work = tmp_path / "pdfs", str(tmp_path / "work")
    pdfs.mkdir()
    report(pdfs / "a.pdf", titles=["Apples", "Pears"])
    build(pdfs, tmp_path / "set", work=work)
    report(pdfs / "a.pdf", titles=["Oaks", "Elms"])  # another file of the same name
    build(pdfs, tmp_path / "set", work=work)
    text = json.dumps([row["questions"] for row in read_rows(tmp_path / "set", "train")])
    assert "Oaks" in text
    assert "Apples" not in text
    report(pdfs / "b.pdf", chapters=3)
    assert build(pdfs, tmp_path / "set", work=work).accepted == ["a.pdf", "b.pdf"]
    (pdfs / "a.pdf").unlink()
    assert build(pdfs, tmp_path / "set", work=work).accepted == ["b.pdf"]


def test_a_name_that_is_no_text(tmp_path):
    (tmp_path / "pdfs").mkdir()
    report(tmp_path / "a.pdf").rename(os.fsdecode(os.fsencode(tmp_path / "pdfs") + b"/caf\xe9.pdf"))
    assert build(tmp_path / "pdfs", tmp_path / "set").accepted == ["caf\\udce9.pdf"]


def test_an_earlier_build_comes_back_after_a_kill_between_two_names(folder, tmp_path):
    build(folder, tmp_path / "set")
    before = digests(tmp_path / "set")
    (tmp_path / "set").rename(tmp_path / ".set.earlier")
    (tmp_path / ".set.99999999.partial").mkdir()
    with pytest.raises(ValueError, match="the mixture takes none of"):
        build(folder, tmp_path / "set", mixture__token_budget=1)
    assert digests(tmp_path / "set") == before
    build(folder, tmp_path / "set")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_datasets_alone_loads_and_streams_it(built):
    code = (
        "import sys, datasets\n"
        "d = datasets.load_dataset(sys.argv[1])\n"
        "assert d['train'][0]['images'][0].size == (306, 396), d['train'][0]['images'][0]\n"
        "q = datasets.load_dataset(sys.argv[1], 'questions')\n"
        "s = next(iter(datasets.load_dataset(sys.argv[1], split='train', streaming=True)))\n"
        "assert s['questions'] == d['train'][0]['questions'] and s['images'][1].size == (306, 396)\n"
        "assert 'mmprolong_hf' not in sys.modules\n"
        "print(d['train'].num_rows, d['test'].num_rows, q['train'].num_rows + q['test'].num_rows)\n"
    )
    out = subprocess.run([sys.executable, "-c", code, str(built[0])], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    assert out.stdout.split() == ["4", "2", str(sum(built[1].questions.values()))]


def test_a_rebuilt_folder_is_not_shown_as_it_was(tmp_path):
    report(tmp_path / "a.pdf")
    code = "import sys, datasets; print(datasets.load_dataset(sys.argv[1], 'questions', split='train').to_pandas().to_csv())"
    seen = set()
    for seed in (0, 1):
        build(tmp_path, tmp_path / "set", seed=seed)
        command = [sys.executable, "-c", code, str(tmp_path / "set")]
        seen.add(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert len(seen) == 2


def test_the_card_tells_how_it_was_built(built):
    card = (built[0] / "README.md").read_text()
    for words in (
        "teacher is extractive",
        "| not told | 6 |",
        "**Nothing was compared.**",
        "Nobody has graded a sample",
        "| templates/extractive.yaml |",
        "extract-multi",
        "seed: 0",
        "rendered and read by pymupdf",
        f"datatrove {version('datatrove')}",
    ):
        assert words in card
    assert "$" not in card


def test_row_groups_stay_below_their_limit(monkeypatch, tmp_path, folder, built):
    def sizes(output):
        files = [pq.ParquetFile(f).metadata for f in sorted((output / "data").iterdir())]
        return [[m.row_group(k).total_byte_size for k in range(m.num_row_groups)] for m in files]

    (together,) = sizes(build(folder, tmp_path / "one") and tmp_path / "one")
    assert len(together) == 1
    monkeypatch.setattr(output_module, "ROW_GROUP_BYTES", 250_000)
    monkeypatch.setattr(output_module, "SHARD_BYTES", 450_000)
    build(folder, tmp_path / "many")
    split = sizes(tmp_path / "many")
    assert len(split) > 1
    assert sum(map(len, split)) > len(split)
    assert max(max(groups) for groups in split) <= 250_000
    names = sorted(p.name for p in (tmp_path / "many" / "data").iterdir())
    assert names[0] == f"train-00000-of-{len(split):05d}.parquet"
    assert len(list(read_rows(tmp_path / "many", "train"))) == 6


def test_bad_documents_are_named_and_stop_nothing(tmp_path):
    pdfs = tmp_path / "pdfs"
    pdfs.mkdir()
    good = [report(pdfs / f"good{k}.pdf", chapters=k + 1) for k in range(1, 4)]
    (pdfs / "twin.pdf").write_bytes(good[0].read_bytes())
    (pdfs / "cut.pdf").write_bytes(good[1].read_bytes()[:900])
    (pdfs / "web.pdf").write_text("<html>404</html>")
    document = pymupdf.open(good[0])
    document.save(pdfs / "locked.pdf", encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="x", owner_pw="y")
    cards(pdfs / "card.pdf", "123")
    report_ = build(pdfs, tmp_path / "set", pool__max_pages=11)
    assert {name: reason for name, (reason, _) in report_.rejected.items()} == {
        "card.pdf": "nearly_empty",
        "cut.pdf": "unreadable",
        "good3.pdf": "too_many_pages",
        "locked.pdf": "encrypted",
        "twin.pdf": "duplicate",
        "web.pdf": "not_a_pdf",
    }
    assert report_.accepted == ["good1.pdf", "good2.pdf"]
    assert "web.pdf: not_a_pdf: its first 1024 bytes hold no %PDF- header" in str(report_)


def test_a_document_that_takes_too_long_is_named(tmp_path, folder):
    with pytest.raises(ValueError, match=r"report1\.pdf: timed_out: it was not done after 0.001 s"):
        build(folder, tmp_path / "set", pages__time_limit=0.001)
    assert list(tmp_path.iterdir()) == []


def test_cards_are_asked_page_by_page(tmp_path):
    pdfs = tmp_path / "pdfs"
    pdfs.mkdir()
    for k, letters in enumerate(["7", "A7", "31415926"]):
        cards(pdfs / f"{k}.pdf", letters)
    build(
        pdfs,
        tmp_path / "set",
        pages__dpi=72,
        pool__min_characters=0,
        pool__max_repeated_pages=None,
        questions__kinds=["section-title-on-page"],
        mixture__shares={"extract-single": 1.0},
    )
    rows = list(read_rows(tmp_path / "set", "train"))
    assert ["".join(q["answer"] for q in row["questions"]) for row in rows] == ["7", "A7", "31415926"]
    assert rows[0]["page_sizes"] == [[28, 28]]


def test_nothing_to_build_from(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        ValueError, match=r"no PDF found in .*empty, expected at least one file whose name ends in .pdf"
    ):
        build(tmp_path / "empty", tmp_path / "set")
    with pytest.raises(ValueError, match="is not a folder"):
        find_pdfs(tmp_path / "nowhere")


def test_all_rejected_lists_the_reasons(tmp_path):
    (tmp_path / "a.pdf").write_text("<html>")
    with pytest.raises(ValueError, match=r"all 1 PDFs of .* were rejected:\n  a\.pdf: not_a_pdf"):
        build(tmp_path, tmp_path.parent / f"{tmp_path.name}-set")


def test_a_folder_of_something_else_is_not_touched(tmp_path, folder):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="holds something that this command has not written"):
        build(folder, tmp_path)
    assert (tmp_path / "thesis.txt").exists()
    output = tmp_path.parent / f"{tmp_path.name}-set"
    build(folder, output)
    (output / "data" / "thesis.txt").write_text("more years of work")
    with pytest.raises(ValueError, match=r"this command has not written \(data/thesis.txt\)"):
        build(folder, output)
    assert (output / "data" / "thesis.txt").exists()


def test_the_pdfs_themselves_and_notes_beside_a_build_survive_a_rebuild(tmp_path, folder):
    output = tmp_path / "set"
    build(folder, output)
    (output / "pdfs").mkdir()
    (output / "pdfs" / "mine.pdf").write_bytes((folder / "report1.pdf").read_bytes())
    with pytest.raises(ValueError, match="holds the PDFs themselves"):
        build(output / "pdfs", output)
    with pytest.raises(ValueError, match=r"this command has not written \(pdfs/mine\.pdf\)"):
        build(folder, output)
    assert (output / "pdfs" / "mine.pdf").exists()


def test_an_output_that_is_a_file_or_a_link(tmp_path, folder):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file, expected a folder to write"):
        build(folder, tmp_path / "file")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    build(folder, tmp_path / "link")
    assert (tmp_path / "real" / "README.md").exists()


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_bad_test_fraction(tmp_path, folder, fraction):
    with pytest.raises(ValueError, match="expected at least 0 and less than 1"):
        build(folder, tmp_path / "set", test_fraction=fraction)


@pytest.mark.skipif(not DOCUMENTS.is_dir(), reason="the real PDFs of shared/documents are not here")
def test_the_broken_manual_is_rejected_by_name(tmp_path):
    name = "live-manual.landscape.en.letter.pdf"
    for n in (name, "zoo.pdf"):
        (tmp_path / n).write_bytes((DOCUMENTS / n).read_bytes())
    report_ = build(tmp_path, tmp_path / "set")
    assert report_.accepted == ["zoo.pdf"]
    assert report_.rejected[name][0] == "nearly_empty"
