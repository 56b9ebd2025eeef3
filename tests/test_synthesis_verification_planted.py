"""The planted set: every kind is made, what is wrong is found, what is right is not."""

from collections import Counter
from dataclasses import replace

import pytest
from synthetic_pdf import report

from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.schema import VERDICTS
from mmprolong_hf.synthesis.structure import build_structure
from mmprolong_hf.synthesis.teacher.extractive import ask
from mmprolong_hf.synthesis.verification import DocumentText, check, failed, read_second
from mmprolong_hf.synthesis.verification.changes import CHANGES
from mmprolong_hf.synthesis.verification.planted import plant

# what no text shows: only a reader sees that the answer is wrong, or that fewer pages would do
NEEDS_A_MODEL = {
    "said to have no answer",
    "one page is enough",
    "guessable without the document",
    "answer on another page too",
    "answer of another question",
    "answer off by one",
}


@pytest.fixture(scope="module")
def plants(tmp_path_factory):
    north = "Rain and snow in the valleys of the north"
    path = report(tmp_path_factory.mktemp("planted") / "a.pdf", titles=[north, "Wind", north, "Hail"])
    source = read_pdf(path, dpi=36)
    again = replace(source.pages[0].lines[1], text="A line that stands on every page alike")
    source = replace(source, pages=tuple(replace(page, lines=(*page.lines, again)) for page in source.pages))
    text = DocumentText(source.pages, read_second(path), build_structure(source))
    asked = ask(text.structure, seed="0", lines=[page.lines for page in text.pages])
    right = [c for c in asked if not failed(check(c, text), VERDICTS)]
    return text, right, plant(right, text, seed="0", per_kind=3)


def test_the_same_seed_plants_the_same(plants):
    text, right, planted = plants
    assert plant(right, text, seed="0", per_kind=3) == planted
    assert plant(right, text, seed="1", per_kind=3) != planted


def test_every_kind_is_planted_as_often_as_asked(plants):
    counts = Counter(p.kind for p in plants[2])
    assert set(counts) == {*CHANGES, "title that stands twice", *NEEDS_A_MODEL}
    assert max(counts.values()) == 3
    assert sum(counts.values()) > 2.5 * len(counts)


def test_every_fault_that_a_text_can_show_is_found(plants):
    text, _, planted = plants
    missed = [p.kind for p in planted if p.is_wrong and not failed(check(p.candidate, text), VERDICTS)]
    assert set(missed) <= NEEDS_A_MODEL
    assert missed  # a judge has something to do


def test_what_is_right_is_not_flagged(plants):
    text, _, planted = plants
    right = [p for p in planted if not p.is_wrong]
    assert len(right) >= 12
    found = [(p.kind, name) for p in right if (name := failed(check(p.candidate, text), VERDICTS))]
    assert found == []
