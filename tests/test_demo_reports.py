import pymupdf
import pytest
from synthetic_pdf import built

from mmprolong_hf.demo.reports import write_reports


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return write_reports(tmp_path_factory.mktemp("reports"), count=1, seed=5)[0]


def test_report_is_long_and_its_bookmarks_are_its_headings(report):
    with pymupdf.open(report.path) as document:
        assert 20 <= len(document) <= 30
        assert document.metadata["title"] == report.title
        bookmarks = [tuple(entry) for entry in document.get_toc(simple=True)]
    assert bookmarks == [(level, f"{number} {title}", page) for level, number, title, page in report.sections]
    assert len(bookmarks) >= 30


def test_headings_and_captions_stand_on_the_pages_that_are_noted(report):
    with pymupdf.open(report.path) as document:
        texts = [" ".join(page.get_text().split()) for page in document]
    for _, number, title, page in report.sections:
        assert f"{number} {title}" in texts[page - 1]
    for label, text, page in report.captions:
        assert f"{label}: {text}" in texts[page - 1]
    labels = [label for label, _, _ in report.captions]
    assert len(set(labels)) == len(labels) >= 30


def test_the_teacher_answers_as_the_report_was_written(report):
    """What was written and what is read back are two ways to the same facts."""
    kinds = ("section-page", "title-of-number", "label-page", "caption-of-label")
    row = built(report.path, questions__kinds=kinds, questions__per_task={"extract-single": 500}).row
    titles = {number: title for _, number, title, _ in report.sections}
    pages = {page for _, _, _, page in report.sections}
    captions = {text for _, text, _ in report.captions}
    labels = {label: page for label, _, page in report.captions}
    asked = dict.fromkeys(kinds, 0)
    for question in row["questions"]:
        kind, answer = question["template"], question["answer"]
        asked[kind] += 1
        if kind == "title-of-number":
            assert answer in titles.values()
        elif kind == "section-page":
            assert int(answer) in pages
        elif kind == "caption-of-label":
            assert answer in captions
        else:
            label = next(name for name in sorted(labels, key=len, reverse=True) if name in question["question"])
            assert int(answer) == labels[label]
    assert min(asked.values()) >= 10, asked


def test_same_seed_same_bytes(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_reports(tmp_path / name, count=1, seed=seed)
    first, same, other = (next((tmp_path / name).glob("*.pdf")).read_bytes() for name in "abc")
    assert first == same
    assert first != other
