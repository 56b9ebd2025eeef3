"""The folder that a person opens."""

import json
import re
import resource
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from review_set import asked, document, write_set
from synthetic_pdf import built, report

from mmprolong_hf.review.page import MAX_PIXELS, write_review
from mmprolong_hf.review.sample import draw_sample


@pytest.fixture
def folder(tmp_path):
    questions = [asked(f"Question {k}?", page=page) for k, page in enumerate((1, 3, 3, 9))]
    return write_set(tmp_path / "set", [document(1, questions, num_pages=9), document(2, [asked("Other?", page=2)])])


def content(page: Path) -> dict:
    html = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="content">(.*?)</script>', html, re.S)[1])


def test_each_page_that_is_shown_is_there_once(folder, tmp_path):
    written = write_review(folder, tmp_path / "out")
    assert written.path == tmp_path / "out" / "index.html"
    files = sorted(path.name for path in (tmp_path / "out" / "pages").iterdir())
    # evidence 1, 3 and 9 of nine pages, and 2 of four, with what lies beside
    assert files == [
        *(f"0000-{page:04d}.jpg" for page in (1, 2, 3, 4, 8, 9)),
        *(f"0001-{page:04d}.jpg" for page in (1, 2, 3)),
    ]
    assert written.num_pages == len(files)
    assert written.num_bytes == sum(path.stat().st_size for path in (tmp_path / "out").rglob("*.*"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "set"]
    for page in (1, 4, 8):
        with Image.open(tmp_path / "out" / "pages" / f"0000-{page:04d}.jpg") as image:
            assert abs(image.getpixel((2, 2))[0] - (10 * page + 1)) <= 2


def test_the_page_holds_the_sample_in_the_order_of_the_draw(folder, tmp_path):
    written = write_review(folder, tmp_path / "out", num_samples=3, seed=5)
    sample, shown = draw_sample(folder, num_samples=3, seed=5), content(written.path)
    assert [question["question"] for question in shown["samples"]] == [q["question"] for q in sample.questions]
    assert shown["fingerprint"] == sample.fingerprint
    assert (shown["seed"], shown["split"], shown["num_questions"]) == (5, "train", 5)
    assert "3 of the 5 questions of train" in str(written)
    assert written.path.resolve().as_uri() in str(written)


def test_a_large_page_is_made_smaller_and_a_small_one_is_not(tmp_path):
    sizes = {1: (300, 400), 2: (2400, 6800), 3: (700, 14000)}
    documents = [document(d, [asked("Q?", page=1)], num_pages=1, size=size) for d, size in sizes.items()]
    write_review(write_set(tmp_path / "set", documents), tmp_path / "out")
    shown = []
    for path in sorted((tmp_path / "out" / "pages").iterdir()):
        with Image.open(path) as image:
            shown.append(image.size)
    assert shown == [(300, 400), (1200, 3400), (452, 9033)]  # a page of 1:20 is 452 wide, and can be read
    assert all(0.999 < width * height / MAX_PIXELS < 1.001 for width, height in shown[1:])


def test_hostile_text_is_in_the_file_as_json_alone(tmp_path):
    evil = "</script><script>alert(1)</script><!-- \u2028 \u202e"
    folder = write_set(tmp_path / "<b>set", [document(1, [asked(evil, answer=evil, quote=evil)])])
    html = write_review(folder, tmp_path / "out").path.read_text(encoding="utf-8")
    assert html.count("<script") == html.count("</script>") == 2
    assert "<!--" not in html
    assert "<b>set" not in html
    assert content(tmp_path / "out" / "index.html")["samples"][0]["answer"] == evil


def test_nothing_of_the_page_comes_from_elsewhere(folder, tmp_path):
    html = write_review(folder, tmp_path / "out").path.read_text(encoding="utf-8")
    assert "content=\"default-src 'none'; img-src 'self' file: data:; script-src 'sha256-" in html
    assert "unsafe" not in html
    assert "http:" not in html
    assert "https:" not in html
    assert not re.search(r"(src|href)=\"(?!data:,)", html)


def test_a_small_set_is_taken_whole_and_that_is_said(folder, tmp_path):
    written = write_review(folder, tmp_path / "out", num_samples=100)
    assert str(written).startswith("train has 5 questions, fewer than 100: all are taken\n5 of the 5 questions")


def test_an_output_that_exists_is_not_touched(folder, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match="out exists, expected a new folder: name another one"):
        write_review(folder, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_after_a_failure_nothing_is_left(folder, tmp_path):
    for path in (folder / "data").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r"has no data/\*\.parquet"):
        write_review(folder, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_disk_that_takes_no_more_is_one_line_and_no_page_is_cut_off(tmp_path):
    row = document(1, [asked("Where?", page=1)], num_pages=1)
    Image.effect_noise((600, 800), 90).save(buffer := BytesIO(), "png")
    row["images"][0]["bytes"] = buffer.getvalue()
    folder = write_set(tmp_path / "set", [row])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # bytes: the page has more, index.html has not
    try:
        with pytest.raises(
            ValueError, match=r"out cannot be written \(.*File too large.*; make room, or name a folder"
        ):
            write_review(folder, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"cannot be written \(.*Not a directory"):
        write_review(folder, tmp_path / "file" / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "set"]


def test_what_a_killed_process_left_is_removed_by_the_next(folder, tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    (tmp_path / f".out.{child.pid}.partial" / "pages").mkdir(parents=True)
    write_review(folder, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "set"]


def test_a_page_that_cannot_be_opened_is_named(tmp_path, monkeypatch):
    row = document(1, [asked("Where?", page=2)])
    row["images"][2]["bytes"] = row["images"][2]["bytes"][:60]
    with pytest.raises(ValueError, match=r"page 3 of document-1\.pdf cannot be opened"):
        write_review(write_set(tmp_path / "broken", [row]), tmp_path / "out")
    compact = write_set(tmp_path / "compact", [built(report(tmp_path / "a.pdf"), pages__store="pdf").row])
    monkeypatch.delattr("mmprolong_hf.synthesis.pages")
    monkeypatch.setitem(sys.modules, "mmprolong_hf.synthesis.pages", None)
    with pytest.raises(ValueError, match=r"page \d+ of a.pdf cannot be opened: .*install mmprolong_hf\[pdf\]"):
        write_review(compact, tmp_path / "out")
    assert not (tmp_path / "out").exists()
