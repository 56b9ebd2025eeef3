"""Gaps that one word alone fills."""

from mmprolong_hf.synthesis.elements import Line, Paragraph, Structure
from mmprolong_hf.synthesis.teacher.fulltext import FullText
from mmprolong_hf.synthesis.teacher.gaps import NAMES_PER_PAGE, ask_about_gaps, read_prose

NUMBER = "The oldest of the 127 stations was built by hand long ago."
NAME = "Every label of the chart is set by drawString in one go."


def prose(*pages):
    lines = [tuple(Line(t, (0.1, 0.1, 0.9, 0.2), 10, False, "T", k) for k, t in enumerate(page)) for page in pages]
    paragraphs = tuple(Paragraph(number, (line,)) for number, page in enumerate(lines, 1) for line in page)
    structure = Structure(len(pages), (), (), (), frozenset(), (), (), paragraphs)
    return read_prose(structure, FullText(tuple(lines)), "0")


def asked(*pages):
    found = [c.question for c in ask_about_gaps(prose(*pages), (1, len(pages)))]
    return {(q.template, q.answer, q.evidence_pages) for q in found}


def test_one_number_and_one_name():
    assert asked([NUMBER], [NAME]) == {("sentence-number", "127", (1,)), ("sentence-name", "drawString", (2,))}


def test_the_question_does_not_tell_and_quotes_its_evidence():
    for candidate in ask_about_gaps(prose([NUMBER, NAME]), (1, 1)):
        question = candidate.question
        assert question.answer not in question.question
        assert question.evidence_quotes in ((NUMBER,), (NAME,))
        assert question.anchor == "page 1"


def test_a_sentence_that_stands_twice_is_not_asked():
    assert asked([NUMBER], [NUMBER]) == set()


def test_a_gap_with_two_fillings_on_its_page_is_not_asked():
    other = NUMBER.replace("127", "128")
    assert asked([NUMBER, other]) == set()
    assert len(asked([NUMBER], [other])) == 2  # the page tells them apart


def test_a_name_that_stands_near_is_not_asked():
    near, far = ["We use drawString a lot."], ["Nothing to be seen."]
    assert asked(near, [NAME]) == set()
    assert asked(near, far, [NAME]) == {("sentence-name", "drawString", (3,))}


def test_stressed_words_and_forms_are_not_asked():
    stressed = "You must NOT under any circumstances touch the old lamp."
    assert asked([stressed], ["It is not lit."]) == set()
    assert asked(["I agree that __ of the 127 stations are my own."]) == set()


def test_a_page_full_of_names_keeps_some():
    many = [f"Label {chr(97 + k) * 3} of the chart is set by draw{chr(65 + k)}thing in one go." for k in range(9)]
    assert len(asked(many)) == NAMES_PER_PAGE


def test_without_lines_nothing_is_known_to_be_unique():
    structure = Structure(1, (), (), (), frozenset(), (), (), (Paragraph(1, prose([NUMBER]).text.lines[0]),))
    assert not list(ask_about_gaps(read_prose(structure, FullText(()), "0"), (1, 1)))


def test_a_name_is_asked_for_only_in_a_statement():
    assert asked(["Donald Byrd, author of the old MapStore and of many other programs."]) == set()
    assert asked(["A well ordered list of all the maps of the valley by the old MapStore."]) == set()
