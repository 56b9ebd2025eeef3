"""Documents that overlap a benchmark."""

import random
from dataclasses import replace

import pytest
from test_synthesis_pool_scan import OPTIONS, TEXT, as_images, prose, scan

from mmprolong_hf.synthesis.pool.contamination import Benchmark
from mmprolong_hf.synthesis.pool.options import PoolOptions

QUESTION = "According to the survey of 1987, how many of the bridges over the upper river had been repaired twice?"
SHORT = "How many of the stone bridges had been repaired twice by the year 1987?"  # 14 words; from 13 on it is certain


@pytest.fixture
def bench(tmp_path):
    return prose(tmp_path / "bench.pdf", 100)


@pytest.fixture
def benchmark(bench):
    return Benchmark([scan(bench, OPTIONS.for_benchmarks())], [QUESTION, SHORT, "Too short?"])


def words_on(path, page: int) -> str:
    import pypdfium2

    with pypdfium2.PdfDocument(path) as document:
        return " ".join(document[page].get_textpage().get_text_range().split())


def check(benchmark, path, reason, match, switch):
    """It is found, by name, and passes with that one check switched off."""
    options = replace(OPTIONS, scanned="keep")
    row = scan(path, options)
    found = benchmark.find(row, options)
    assert (found.reason, found.match) == (reason, match)
    assert benchmark.find(row, replace(options, **{switch: None})) is None
    return found.detail


def test_the_same_file_under_another_name(tmp_path, bench, benchmark):
    (tmp_path / "other.pdf").write_bytes(bench.read_bytes())
    found = benchmark.find(scan(tmp_path / "other.pdf"), OPTIONS)
    assert found == ("benchmark_file", "it is the benchmark file bench.pdf", "bench.pdf")


def test_an_unrelated_document_passes(tmp_path, benchmark):
    assert benchmark.find(scan(prose(tmp_path / "a.pdf", 1)), OPTIONS) is None
    scanned = as_images(prose(tmp_path / "b.pdf", 2), tmp_path / "c.pdf")
    assert benchmark.find(scan(scanned, OPTIONS.for_benchmarks()), OPTIONS) is None


def test_a_page_of_text_in_another_setting(tmp_path, bench, benchmark):
    path = prose(tmp_path / "a.pdf", 1, first="A title.", last=words_on(bench, 1).upper())
    detail = check(benchmark, path, "benchmark_text", "bench.pdf page 2", "text_overlap")
    assert detail == (
        "it holds 100% of the word runs of bench.pdf page 2, most on its page 5; expected less than text_overlap=0.7"
    )


@pytest.mark.parametrize(("share", "found"), [(0.6, False), (0.8, True)])
def test_part_of_a_page(tmp_path, bench, benchmark, share, found):
    words = words_on(bench, 1).split()
    path = prose(tmp_path / "a.pdf", 1, last=" ".join(words[: round(share * len(words))]))
    assert bool(benchmark.find(scan(path), OPTIONS)) == found


def test_the_picture_of_a_page_that_no_text_gives_away(tmp_path, bench, benchmark):
    path = as_images(bench, tmp_path / "a.pdf", pages=[2], after=prose(tmp_path / "b.pdf", 1))
    detail = check(benchmark, path, "benchmark_image", "bench.pdf page 3", "image_distance")
    assert detail.startswith("its page 4 looks like bench.pdf page 3 (")


def test_the_text_of_a_page_of_which_the_benchmark_has_the_picture(tmp_path, bench):
    scanned = as_images(bench, tmp_path / "scanned.pdf")
    benchmark = Benchmark([scan(scanned, OPTIONS.for_benchmarks())])
    check(benchmark, bench, "benchmark_image", "scanned.pdf page 1", "image_distance")


@pytest.mark.parametrize("question", [QUESTION, SHORT])
def test_a_question_on_a_page(tmp_path, benchmark, question):
    rng = random.Random(1)
    around = " ".join(rng.choices(TEXT.split(), k=60))
    path = prose(tmp_path / "a.pdf", 1, last=f"{around} {question} {around}")
    check(benchmark, path, "benchmark_question", question, "question_overlap")


def test_half_a_question_is_none(tmp_path, benchmark):
    path = prose(tmp_path / "a.pdf", 1, last=" ".join(QUESTION.split()[:10]) + f" {TEXT}")
    assert benchmark.find(scan(path), OPTIONS) is None


def test_the_overlap_of_generated_questions(benchmark):
    assert benchmark.question_overlap(QUESTION.lower()) == (1.0, QUESTION)
    assert benchmark.question_overlap(f"On page 7 of the document: {QUESTION} Answer in one word.") == (1.0, QUESTION)
    share, nearest = benchmark.question_overlap(QUESTION.replace("repaired twice", "closed"))
    assert 0.5 < share < 1.0
    assert nearest == QUESTION
    assert benchmark.question_overlap("According to the survey of 1987, where is the longest bridge?") == (0.0, "")
    assert benchmark.question_overlap("") == (0.0, "")


def test_a_benchmark_of_questions_alone_and_an_empty_one(tmp_path):
    row = scan(prose(tmp_path / "a.pdf", 1))
    assert Benchmark([], [QUESTION]).find(row, PoolOptions()) is None
    assert Benchmark([]).find(row, PoolOptions()) is None
    assert Benchmark([]).question_overlap(QUESTION) == (0.0, "")


def test_facts_name_what_could_not_be_compared(tmp_path, bench):
    row = scan(prose(tmp_path / "a.pdf", 1, first="7"), OPTIONS.for_benchmarks())
    benchmark = Benchmark([row], [QUESTION, "Too short?"], {"b.pdf": ("encrypted", "it needs a password")})
    assert benchmark.facts() == {
        "files": 1,
        "pages": 4,
        "pages_with_too_little_to_compare": 1,
        "questions": 2,
        "questions_too_short": 1,
        "unread": {"b.pdf": ("encrypted", "it needs a password")},
    }
