"""The text of pages as an answer."""

from pathlib import Path

import pymupdf
import pytest
from synthetic_pdf import BODY, report

from mmprolong_hf.synthesis.elements import Line, Page
from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.structure import build_structure
from mmprolong_hf.synthesis.teacher.transcription import agreement, ask_to_transcribe, refused_pages
from mmprolong_hf.synthesis.verification import read_second

DOCUMENTS = Path(__file__).resolve().parents[2] / "shared" / "documents"


def asked(path, *, second=None, **options):
    source = read_pdf(path, images=False, min_characters=0)
    candidates = ask_to_transcribe(
        source, build_structure(source), second or read_second(path), **{"seed": "0", **options}
    )
    return [c.question for c in candidates]


def test_the_whole_document(tmp_path):
    document = pymupdf.open(report(tmp_path / "a.pdf", chapters=2))
    for page in document:
        page.insert_text((72, 40), "A running head")
    document.save(tmp_path / "b.pdf")
    (question,) = [q for q in asked(tmp_path / "b.pdf") if q.task == "ocr-full"]
    assert question.evidence_pages == (1, 2, 3, 4, 5, 6)
    assert "A running head" not in question.answer
    parts = question.answer.split("\n\n")
    assert [p for p in parts if p.startswith("Page ")] == [f"Page {k}:" for k in range(1, 7)]
    assert parts[:3] == ["Page 1:", "# 1 Topic one", " ".join([BODY] * 12)]
    assert "| Station | Height | Visitors |\n|---|---|---|\n| One peak | 107.5 | 1001 |" in question.answer
    assert set(question.evidence_sources) == {"Layout", "Table", "Text"}
    assert question.segment == (1, 6)


def test_needles_are_one_to_three_pages_and_none_twice(tmp_path):
    path = report(tmp_path / "a.pdf", chapters=4)
    (full, *needles) = asked(path)
    assert full.task == "ocr-full"
    assert {q.task for q in needles} == {"ocr-needle"}
    pages = [p for q in needles for p in q.evidence_pages]
    assert len(pages) == len(set(pages))
    assert all(1 <= len(q.evidence_pages) <= 3 for q in needles)
    whole = full.answer.split("Page ")
    for q in needles:
        assert q.answer == "Page ".join(["", *(whole[p] for p in q.evidence_pages)]).strip()
        assert q.anchor in q.question
        assert all(str(p) in q.anchor for p in q.evidence_pages)
    assert asked(path) == [full, *needles]
    assert asked(path, seed="1") != [full, *needles]
    assert [q.task for q in asked(path, num_needles=0)] == ["ocr-full"]


def test_a_page_that_engines_read_differently_is_not_asked_for(tmp_path):
    path = report(tmp_path / "a.pdf", chapters=1)
    second = list(read_second(path))
    second[1] = "something else entirely"
    questions = asked(path, second=second, num_needles=9)
    assert questions
    assert {q.task for q in questions} == {"ocr-needle"}
    assert {p for q in questions for p in q.evidence_pages} == {1, 3}


def page(number, *texts, figures=()):
    lines = tuple(Line(text, (0, 0, 1, 1), 10, False, "Serif", 0) for text in texts)
    return Page(number, 10, 10, (10, 10), b"", lines, figures=figures)


def test_reasons():
    box = (0.0, 0.0, 1.0, 1.0)
    pages = [page(1, "same words"), page(2, "other words"), page(3, "same \ue012"), page(4), page(5, figures=(box,))]
    assert refused_pages(pages, ["same words", "not these", "same \ue012", "", ""]) == {
        2: "engines_disagree", 3: "unreadable_characters", 5: "no_text",
    }  # fmt: skip
    with pytest.raises(ValueError, match="zip"):
        refused_pages(pages, [""])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("the ofﬁce", "the office", 1.0),
        ("a compu-\ntation", "a compu\ufffe\ntation", 1.0),
        ("one two two", "one two", 2 / 3),
        ("", "", 1.0),
        ("", "words", 0.0),
    ],
)
def test_agreement(first, second, expected):
    assert agreement(first, second) == expected


def test_a_real_document():
    path = DOCUMENTS / "zoo.pdf"
    if not path.exists():
        pytest.skip("zoo.pdf is not among the shared documents here")
    questions = asked(path)
    assert questions[0].task == "ocr-full"
    assert questions[0].answer.count("\n\nPage ") == 29
    assert all(40 < len(q.question) < 400 for q in questions)
