"""literals.py: what eval() would give, without running anything."""

import warnings

import pytest

from mmprolong_hf.evaluation.metrics.literals import as_list, parse_literal


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("['a', 1, 2.5, None, True]", ["a", 1, 2.5, None, True]),
        ("[('a', 1), {'b': -2}, {3}]", [("a", 1), {"b": -2}, {3}]),
        (" \t[1]", [1]),
        ("[1], [2]", ([1], [2])),
        ("['a' 'b']", ["ab"]),
    ],
)
def test_literals_are_read_as_eval_reads_them(text, value):
    assert parse_literal(text) == value == eval(text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[x]", NameError),
        ("['x'", SyntaxError),
        ("[10%, 5%]", SyntaxError),
        ("[Table 1]", SyntaxError),
        ("", SyntaxError),
        ("\0", (SyntaxError, ValueError)),
        ("[{[1]: 2}]", TypeError),
        ("['\ud800']", ValueError),
        ("[" * 300, (SyntaxError, MemoryError, RecursionError)),
        ("[" + "-" * 100_000 + "1]", (SyntaxError, MemoryError, RecursionError)),
    ],
)
def test_what_is_no_literal_raises_what_eval_raises(text, error):
    with pytest.raises(error):
        parse_literal(text)
    with pytest.raises(error):
        eval(text)


@pytest.mark.parametrize("text", ["[().__class__]", "[2 * 3]", "[[1][0]]", "[1 if 1 else 2]"])
def test_nothing_is_run(text):
    with pytest.raises(ValueError, match="malformed node"):
        parse_literal(text)
    for call in ("__import__('os').getcwd()", "print('ran')", "[x for x in (1, 2)]"):
        with pytest.raises(NameError, match="quote it if it is text"):
            parse_literal(call)


def test_the_parser_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse_literal(r"['\d']") == [r"\d"]


def test_as_list():
    assert as_list("[1, 2]") == [1, 2]
    assert as_list(" [1, 2]") == [" [1, 2]"]
    assert as_list("[1], [2]") == [([1], [2])]
    assert as_list(None) == [None]
