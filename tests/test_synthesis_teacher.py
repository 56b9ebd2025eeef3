"""The extractive teacher: exact answers, unique anchors."""

import re
from decimal import Decimal

import pymupdf
import pytest
from synthetic_pdf import cards, report, rows

from mmprolong_hf.synthesis.elements import Line, Paragraph
from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.schema import VERDICTS
from mmprolong_hf.synthesis.structure import build_structure
from mmprolong_hf.synthesis.teacher.extractive import ask
from mmprolong_hf.synthesis.teacher.sentences import only_number, sentences
from mmprolong_hf.synthesis.verification import DocumentText, check, read_second
from mmprolong_hf.synthesis.verification.verdict import failed


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    path = report(tmp_path_factory.mktemp("pdf") / "a.pdf")
    source = read_pdf(path)
    text = DocumentText(source.pages, read_second(path), build_structure(source))
    found = ask(text.structure, seed="0", lines=[page.lines for page in source.pages])
    return [c.question for c in found if not failed(check(c, text), VERDICTS)]


def of(questions, kind):
    found = [q for q in questions if q.template == kind]
    assert found, f"no question of kind {kind}"
    return found


def quoted(question):
    return re.findall(r'"([^"]*)"', question.question)


NUMBERS = ("one", "two", "three", "four")


def page_of(title):
    topic = NUMBERS.index(title.rsplit(" ", 1)[1])
    detail = NUMBERS.index(title.split()[1]) + 1 if title.startswith("Detail") else 0
    return 1 + 3 * topic + detail


def test_pages_of_sections(asked):
    for q in of(asked, "section-page"):
        assert int(q.answer) == page_of(quoted(q)[0]) == q.evidence_pages[0]
    for q in of(asked, "section-pages"):
        assert q.answer == "; ".join(str(page_of(t)) for t in quoted(q))
    for q in of(asked, "section-distance"):
        assert int(q.answer) == abs(page_of(quoted(q)[0]) - page_of(quoted(q)[1]))
    for kind, best in (("earliest-page", min), ("latest-page", max)):
        for q in [q for q in asked if q.template == kind]:
            assert int(q.answer) == best(page_of(t) for t in quoted(q))


def test_titles(asked):
    for q in of(asked, "section-title-on-page"):
        assert page_of(q.answer) == int(q.anchor.removeprefix("page "))
    for q in of(asked, "subsection-titles"):
        assert q.answer == "; ".join(f"Detail {n} of {quoted(q)[0]}" for n in ("one", "two"))
    for q in of(asked, "count-subsections"):
        assert q.answer == "2"
    for q in of(asked, "next-section"):
        assert page_of(q.answer) > page_of(quoted(q)[0])


def test_captions(asked):
    for q in of(asked, "caption-of-label"):
        label = re.search(r"(Figure|Table) (\d)", q.question)
        kind = "Sketch" if label.group(1) == "Figure" else "Stations"
        assert q.answer.startswith(f"{kind} of Topic {NUMBERS[int(label.group(2)) - 1]}")
    for q in of(asked, "label-page"):
        kind, number = re.search(r"(Figure|Table) (\d)", q.question).groups()
        assert int(q.answer) == 3 * int(number) - (kind == "Table")
    for q in of(asked, "count-labels"):
        first, last = map(int, re.search(r"(\d+) to (?:page )?(\d+)", q.question).groups())
        assert int(q.answer) == sum(first <= 3 * c - ("table" in q.question) <= last for c in range(1, 5))


def test_tables(asked):
    def column(q):
        head, *body = rows(int(re.search(r"Table (\d)", q.question).group(1)))
        at = next(k for k, name in enumerate(head) if f'"{name}"' in q.question)
        return {row[0]: row[at] for row in body}

    for q in of(asked, "table-cell"):
        assert q.answer == next(v for k, v in column(q).items() if f'"{k}"' in q.question)
    for q in of(asked, "table-sum"):
        assert Decimal(q.answer) == sum(map(Decimal, column(q).values()))
    for q in of(asked, "table-maximum"):
        assert Decimal(column(q)[q.answer]) == max(map(Decimal, column(q).values()))
    for q in of(asked, "table-minimum"):
        assert Decimal(column(q)[q.answer]) == min(map(Decimal, column(q).values()))
    for q in of(asked, "table-difference"):
        a, b = (Decimal(v) for k, v in column(q).items() if f'"{k}"' in q.question)
        assert Decimal(q.answer) == abs(a - b)
    for q in of(asked, "table-rows"):
        assert q.answer == "4"


def test_evidence_lies_inside_the_segment_and_its_boxes_on_its_pages(asked):
    for q in asked:
        assert q.segment[0] <= q.evidence_pages[0]
        assert q.evidence_pages[-1] <= q.segment[1]
        assert {int(b[0]) for b in q.evidence_boxes} == set(q.evidence_pages)
        assert all(0 <= b[1] < b[3] <= 1 and 0 <= b[2] < b[4] <= 1 for b in q.evidence_boxes)


def test_multi_needs_more_than_one_page(asked):
    assert all(len(q.evidence_pages) > 1 for q in asked if q.task == "extract-multi")


def test_a_title_that_stands_twice_is_named_with_its_parent_or_not_at_all(tmp_path):
    titles = ["Topic one", "Overview", "Topic three", "Overview"]
    questions = [
        c.question for c in ask(build_structure(read_pdf(report(tmp_path / "a.pdf", titles=titles))), seed="0")
    ]
    assert not [q for q in questions if q.template == "section-page" and quoted(q) == ["Overview"]]
    assert not [q for q in questions if q.template == "number-of-title" and quoted(q) == ["Overview"]]
    assert [q.answer for q in questions if q.template == "section-page" and quoted(q)[0] == "Topic three"] == ["7"]
    assert not [q for q in questions if quoted(q) == ["Detail one of Overview"] and q.template == "section-page"]


def test_unlisted_headings_stop_what_counts(tmp_path):
    path = report(tmp_path / "a.pdf")
    with pymupdf.open(path) as document:
        document[1].insert_text((72, 700), "An unlisted heading", fontsize=16, fontname="hebo")
        document.saveIncr()
    questions = [c.question for c in ask(build_structure(read_pdf(path)), seed="0")]
    assert not [q for q in questions if q.template == "section-title-on-page" and q.anchor == "page 2"]
    assert not [q for q in questions if q.template == "count-subsections" and "Topic one" in q.question]
    assert [q for q in questions if q.template == "count-subsections" and "Topic two" in q.question]


@pytest.mark.parametrize("letters", ["7", "7A7", "31415926"])
def test_every_card_is_asked_for(tmp_path, letters):
    path = cards(tmp_path / "a.pdf", letters)
    source = read_pdf(path, min_characters=0)
    text = DocumentText(source.pages, read_second(path), build_structure(source))
    found = ask(text.structure, seed="0", kinds=("section-title-on-page",))
    assert not any(failed(check(c, text), VERDICTS) for c in found)
    answers = {c.question.evidence_pages[0]: c.question.answer for c in found}
    assert "".join(answers[k] for k in sorted(answers)) == letters
    assert len(found) == len(letters)


def paragraph(*lines):
    return Paragraph(1, tuple(Line(t, (0.1, 0.1, 0.9, 0.2), 10, False, "T", 1) for t in lines))


def test_sentences_are_whole_and_prose():
    text = (
        "The station was built in 1987 by hand and has not been moved since. See e.g.",
        "Fig. 3 for the plan of its 24 rooms.",
    )
    assert sentences(paragraph(*text)) == ["The station was built in 1987 by hand and has not been moved since."]


@pytest.mark.parametrize(
    ("sentence", "number"),
    [
        ("The oldest of the 127 stations was built by hand.", "127"),
        ("It is 12.5 metres long.", "12.5"),
        ("There are 3 of them.", None),
        ("Between 1987 and 1990 it was closed.", None),
        ("It is described in Section 12 of this report.", None),
        ("Send it to 123@example.org, which is read daily.", None),
        ("University of Wisconsin 1300 University Ave.", None),
        ("The value is [61] here.", None),
        ("It does not give you the right to use it. 10.", None),
    ],
)
def test_only_number(sentence, number):
    assert only_number(sentence) == number
