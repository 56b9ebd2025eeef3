"""Questions through captions."""

from mmprolong_hf.synthesis.elements import Caption, Structure
from mmprolong_hf.synthesis.teacher.captions import ask_about_captions
from mmprolong_hf.synthesis.teacher.naming import Names


def caption(number, text, page, kind="Figure"):
    return Caption(kind, f"{kind} {number}", number, text, page, (0.1, 0.8, 0.5, 0.82))


def asked(*captions):
    structure = Structure(9, (), (), captions, frozenset(), (), (), ())
    found = [c.question for c in ask_about_captions(Names(structure, "0"), (1, 9))]
    return {q.template: q for q in found}


def test_the_earlier_of_two_captions_is_found_by_their_words():
    question = asked(caption("1", "Map of the valley", 2), caption("2", "Plan of the station", 5))["earlier-label"]
    assert (question.answer, question.evidence_pages) == ("Figure 1", (2, 5))
    assert "Map of the valley" in question.question
    assert "Plan of the station" in question.question


def test_captions_that_begin_alike_or_differ_in_kind_have_no_earlier_one():
    assert "earlier-label" not in asked(caption("1", "Map of the valley", 2), caption("2", "Map of the valley", 5))
    assert "earlier-label" not in asked(
        caption("1", "Map of the valley", 2), caption("1", "Plan of it all", 5, "Table")
    )


def test_a_distance_tells_its_arithmetic():
    question = asked(caption("1", "Map of the valley", 2), caption("2", "Plan of the station", 5))["label-distance"]
    assert (question.answer, question.expression) == ("3", "5 - 2")
