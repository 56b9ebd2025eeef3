import pytest
import synthetic_pdf

from mmprolong_hf.synthesis.elements import Caption, Figure, Line, Page, Source, Structure
from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.teacher.grounding import WHOLE_PAGE, locate, to_candidate
from mmprolong_hf.synthesis.teacher.raw_question import Quote, RawQuestion


def page(*texts):
    lines = [Line(text, (0.1, k / 10, 0.9, k / 10 + 0.05), 10.0, False, "Serif", k) for k, text in enumerate(texts)]
    return Page(1, 100, 100, (50.0, 50.0), b"", tuple(lines))


def rows(box):
    return None if box is None else (round(box[1] * 10), round(box[3] * 10 - 0.5))


PRINTED = page(
    "The computa-", "tion of 2012 took 1,450 hours on the old", "machine, state-of-the-art in its day.",
    "North 45 12.5", "Total 145 14.0", "水权由县政府授予", "45",
)  # fmt: skip


@pytest.mark.parametrize(
    ("quote", "where"),
    [
        ("tion of 2012 took", (1, 1)),
        ("The computation of 2012", (0, 1)),
        ("the COMPUTATION of 2012 took 1450 hours", (0, 1)),
        ("45", (3, 3)),  # not within 145 or 1,450, and the first of two
        ("145", (4, 4)),
        ("12", None),  # only within 2012 and 12.5
        ("1,450", (1, 1)),
        ("art in its day", (2, 2)),
        ("machine, state-of-the-art", (2, 2)),
        ("县政府", (5, 5)),
        ("The computation ... in its day", (0, 2)),
        ("North 45 [...] 14.0", (3, 4)),
        ("The computation of 2012 took 1,45O hours on the o1d machine", (0, 2)),  # two letters misread
        ("Total 146 14.0", None),  # too short to differ
        ("The computation of 2013 did not take as many hours", None),
        ("The computation ... nowhere", None),
        ("...", None),
        ("-- !", None),
        ("The computation of 2012 took 1,450 hours " * 20, None),  # longer than the page, which is inside of it
    ],
)
def test_quotes_are_found_on_their_lines(quote, where):
    assert rows(locate(quote, PRINTED)) == where


def test_nothing_is_found_on_an_empty_page():
    assert locate("anything that is long enough to be compared", page()) is None


RAW = RawQuestion(
    "What is under Figure 1?", ("Sketch",), "String",
    (Quote(1, "Figure", "Figure 1: Sketch"), Quote(1, "Text", "never printed"), Quote(1, "Layout", "Figure 1: Sketch")),
    "Figure 1",
)  # fmt: skip


def test_evidence_of_a_figure_has_its_box_and_a_lost_quote_the_whole_page():
    only = page("Some text", "Figure 1: Sketch")
    caption = Caption("Figure", "Figure 1", "1", "Sketch", 1, only.lines[1].box)
    picture = (0.2, 0.2, 0.8, 0.9)
    structure = Structure(1, (), (), (caption,), frozenset(), (Figure(caption, 1, picture),), (), ())
    candidate = to_candidate(
        RAW, task="extract-single", segment=(1, 1), source=Source("", "", (), (only,)), structure=structure,
        teacher="a-model", template="extract-single@0",
    )  # fmt: skip
    figure, lost, layout = candidate.evidence
    assert figure.box == (0.1, 0.1, 0.9, 0.9)
    assert (lost.box, lost.text) == (WHOLE_PAGE, "never printed")
    assert layout.box == only.lines[1].box
    question = candidate.question
    assert question.evidence_boxes == tuple((1.0, *e.box) for e in candidate.evidence)
    assert question.evidence_quotes == ("Figure 1: Sketch", "never printed", "Figure 1: Sketch")
    assert question.evidence_sources == ("Figure", "Layout", "Text")
    assert (question.teacher, question.template, question.anchor) == ("a-model", "extract-single@0", "Figure 1")
    assert candidate.parts == ("Sketch",)


def test_every_line_of_a_real_page_is_found_where_it_stands(tmp_path):
    source = read_pdf(synthetic_pdf.report(tmp_path / "r.pdf"), dpi=36)
    found = 0
    for p in source.pages:
        texts = [line.text for line in p.lines]
        for line in p.lines:
            box = locate(line.text, p)
            first = p.lines[texts.index(line.text)].box
            assert box == first
            found += 1
    assert found > 100
