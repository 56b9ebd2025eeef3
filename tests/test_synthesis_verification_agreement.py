"""When two answers are the same, different, or for a reader to compare."""

import pytest

from mmprolong_hf.synthesis.schema import NOT_ANSWERABLE
from mmprolong_hf.synthesis.verification.agreement import agree, says_not_answerable


@pytest.mark.parametrize(
    ("given", "expected", "answer_format", "same"),
    [
        ("The Northern Station.", "northern station", "String", True),
        ("re-fined search", "Refined Search", "String", True),
        ("“Results”", "Results", "String", True),
        ("C", "C++", "String", None),
        ("Section 3", "Section 4", "String", False),
        ("3 May 2020", "May 3, 2020", "String", None),
        ("version 3.1", "3.10", "String", None),
        ("3.1", "31.0", "String", False),
        ("1,250", "1250", "Integer", True),
        ("about 1250 visitors", "1250", "Integer", True),
        ("1251", "1250", "Integer", False),
        ("12.4", "12", "Integer", False),
        ("-42", "42", "Integer", False),
        ("twelve", "12", "Integer", None),
        ("between 3 and 5", "4", "Integer", None),
        ("12.3456", "12.35", "Float", True),
        ("12.3", "12.35", "Float", False),
        ("25", "25 %", "Float", True),
        ("0.25", "25%", "Float", True),
        ("0.26", "25%", "Float", False),
        ("June; May", "May; June", "List", True),
        ("May, June", "May; June", "List", True),
        ("May; May", "May; June", "List", None),
        ("3; 5", "5; 4", "List", False),
        ("May; June; July", "May; June", "List", None),
        ("1,000; 2", "2; 1000", "List", True),
    ],
)
def test_agreement(given, expected, answer_format, same):
    assert agree(given, expected, answer_format) is same


def test_a_tolerance_is_relative():
    assert agree("101", "100", "Integer", tolerance=0.01)
    assert not agree("102", "100", "Integer", tolerance=0.01)


def test_not_answerable_agrees_with_itself_alone():
    assert agree("Cannot be determined.", NOT_ANSWERABLE)
    assert agree("Not answerable", "12", "Integer") is False
    assert agree("12", NOT_ANSWERABLE) is False
    assert agree("None", "none") is True  # an answer like any other, if the document says so


@pytest.mark.parametrize("answer", ["not answerable", "Unanswerable.", "N/A", "Not mentioned", "cannot be answered"])
def test_ways_to_say_so(answer):
    assert says_not_answerable(answer)


@pytest.mark.parametrize("answer", ["Not answerable from this page, but 5", "0", "no", "Unknown Pleasures", ""])
def test_ways_that_do_not_say_so(answer):
    assert not says_not_answerable(answer)
