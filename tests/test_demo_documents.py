import pymupdf
import pytest
from synthetic_pdf import built

from mmprolong_hf.demo.documents import CARD_TITLES, write_cards, write_reports
from mmprolong_hf.lengths import QWEN2_5_VL_LIMITS, page_tokens


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return write_reports(tmp_path_factory.mktemp("reports"), count=1, seed=5)[0]


@pytest.fixture(scope="module")
def cards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cards")
    write_cards(folder, num_documents={1: 4, 4: 4, 8: 2}, seed=5)
    return sorted(folder.glob("*.pdf"))


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


@pytest.mark.parametrize("write", [lambda folder, seed: write_reports(folder, count=1, seed=seed),
                                   lambda folder, seed: write_cards(folder, num_documents={2: 1}, seed=seed)], ids=["reports", "cards"])  # fmt: skip
def test_same_seed_same_bytes(write, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write(tmp_path / name, seed)
    first, same, other = (next((tmp_path / name).glob("*.pdf")).read_bytes() for name in "abc")
    assert first == same
    assert first != other


def test_every_page_of_a_card_document_has_its_question(cards):
    for path in cards:
        row, _, _, dropped = built(path, questions__kinds=["section-title-on-page"], pages__dpi=144)
        with pymupdf.open(path) as document:
            titles = [document[page].get_text().strip() for page in range(len(document))]
        assert not dropped
        assert [question["answer"] for question in row["questions"]] == titles
        assert [question["evidence_pages"] for question in row["questions"]] == [[k + 1] for k in range(len(titles))]
        assert len(set(titles)) == len(titles)
        assert set(titles) <= set(CARD_TITLES)
        assert {page_tokens(*size, QWEN2_5_VL_LIMITS) for size in row["page_sizes"]} == {4}


def test_no_title_is_cut_off(cards):
    for path in cards:
        with pymupdf.open(path) as document:
            for page in document:
                pixels = page.get_pixmap(dpi=144, colorspace=pymupdf.csGRAY)
                rows = [pixels.samples[k * pixels.stride : k * pixels.stride + 56] for k in range(56)]
                edges = rows[0] + rows[-1] + bytes(row[0] for row in rows) + bytes(row[-1] for row in rows)
                assert min(edges) == 255, (path.name, page.number)
                assert min(min(row) for row in rows) < 64


def test_more_pages_than_titles(tmp_path):
    with pytest.raises(ValueError, match=r"11 pages asked for, expected 1 to 10"):
        write_cards(tmp_path, num_documents={11: 1})
