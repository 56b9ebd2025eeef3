"""scoring.py by hand."""

import pytest

from mmprolong_hf.evaluation.scoring import exact_match


@pytest.mark.parametrize(
    ("prediction", "answer", "answer_format", "expected"),
    [
        ("the River.", "River", "String", 1),
        ("  “Net   income” ", "net income", "String", 1),
        ("well-known", "well known", "String", 1),
        ("4.2.1", "421", "String", 0),
        ("3.10", "3.1", "String", 0),
        ("1,234", "1234", "String", 1),
        ("1,23", "123", "String", 0),
        ("-5", "5", "String", 0),
        ("−5", "-5", "String", 1),
        ("2-3", "23", "String", 0),
        ("5%", "5", "String", 0),
        ("$1,200.50", "1200.50", "Float", 1),
        ("12.50", "12.5", "Float", 1),
        ("12.5.", "12.5", "Float", 1),
        ("7.0", "7", "Integer", 1),
        ("0.30000000000000001", "0.3", "Float", 0),
        ("7 pages", "7", "Integer", 0),
        ("page 7", "7", "Integer", 0),
        ("12:30", "1230", "String", 0),
        ("snake_case", "snake case", "String", 1),
        ("", "x", "String", 0),
        ("3; 1; 2", "1; 2; 3", "List", 1),
        ("1; 2", "1; 2; 3", "List", 0),
        ("1; 1; 2", "1; 2; 2", "List", 0),
        ("The Sea; the Land", "land; sea", "List", 1),
        ("3; 1; 2", "1; 2; 3", "String", 0),
        ("", "A", "String", 0),
        (" ", "...", "String", 0),
        ("", "", "List", 0),
        ("a", "A", "String", 1),
        ("The", "A", "String", 0),
        ("B", "A", "String", 0),
        ("-", "+", "String", 0),
        ("?", "!", "String", 0),
        ("B; A", "A; B", "List", 1),
        ("B; The", "A; B", "List", 0),
        ("A+", "A", "String", 0),
        ("C++", "C#", "String", 0),
        ("C", "C++", "String", 0),
        ("the c++.", "C++", "String", 1),
        ("> 5", "< 5", "String", 0),
        (">5", "> 5", "String", 1),
        ("$5", "£5", "String", 0),
        ("$5", "£5", "Integer", 0),
        ("€ 5", "5", "Integer", 1),
        ("-$5", "5", "Integer", 0),
        ("-$5.00", "$-5", "Float", 1),
    ],
)
def test_exact_match(prediction, answer, answer_format, expected):
    assert exact_match(prediction, answer, answer_format) == expected
