"""Quotes: exact from a program, a little freer from a model, never in a number."""

from dataclasses import replace

import pytest
from synthetic_pdf import report

from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.structure import build_structure
from mmprolong_hf.synthesis.verification import DocumentText, read_second
from mmprolong_hf.synthesis.verification.quotes import answer_in, is_printed

SENTENCE = "In 2012 the oldest of the 127 stations was moved to the northern valley, which took 3 months."


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = report(tmp_path_factory.mktemp("quotes") / "a.pdf")
    source = read_pdf(path, dpi=36)
    lines = (replace(source.pages[0].lines[0], text=SENTENCE), replace(source.pages[0].lines[0], text="15 * 20"))
    second = list(read_second(path))
    second[0] = SENTENCE.replace("northern", "north-\r\nern") + "\r\n15 * 20"
    pages = (replace(source.pages[0], lines=lines), *source.pages[1:])
    return DocumentText(pages, tuple(second), build_structure(source))


@pytest.mark.parametrize(
    ("quote", "by_program", "by_model"),
    [
        (SENTENCE, True, True),
        (SENTENCE.upper().replace(" ", "  "), True, True),
        ("moved to the nor-\nthern valley", True, True),
        ("*", True, True),
        ("§", False, False),
        ("", False, False),
        ("In 2012 the oldest ... took 3 months.", False, True),
        ("In 2012 the oldest […] took 3 months.", False, True),
        ("In 2012 the oldest of the 127 stations moved to the northern valley", False, True),
        ("the oldest of the 127 stations was moved to the nothern valley", False, True),
        ("the oldest of the 128 stations was moved to the northern valley", False, False),
        ("In 2012 the newest of the 127 stations was closed for many years, which took 3 months", False, False),
        ("The station was taken from the hill to a valley in the north", False, False),
        ("127 station", True, True),
        ("127 statoin", False, False),  # short
    ],
)
def test_quotes(text, quote, by_program, by_model):
    assert is_printed(quote, 1, text, exact=True) == by_program
    assert is_printed(quote, 1, text, exact=False) == by_model


@pytest.mark.parametrize("exact", [True, False])
def test_both_engines_have_to_read_it(text, exact):
    blind = replace(text, second=("", *text.second[1:]))
    assert is_printed(SENTENCE, 1, text, exact=exact)
    assert not is_printed(SENTENCE, 1, blind, exact=exact)
    assert not is_printed(SENTENCE, 2, text, exact=exact)


@pytest.mark.parametrize(
    ("parts", "missing"),
    [
        (["North"], None),
        (["1250", "north"], None),
        (["1,250 visitors in North"], None),
        (["three"], None),
        (["3"], None),  # spelled out
        (["7"], None),  # an evidence page
        (["yes"], None),
        (["1251"], "1251"),
        (["25"], "25"),  # a part of another number
        (["North", "South"], "South"),
        (["visitors of the southern valley station"], "visitors of the southern valley station"),
    ],
)
def test_the_answer_is_in_the_quotes(parts, missing):
    assert answer_in(parts, "Visitors of North: 1,250, counted at three gates", [7]) == missing
