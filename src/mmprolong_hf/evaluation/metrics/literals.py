"""Python literals in text, read without running anything."""

import ast
import warnings

LITERAL_ERRORS = (SyntaxError, NameError, ValueError, TypeError, MemoryError, RecursionError)


def parse_literal(text: str) -> object:
    """
    The value of a Python literal: numbers, strings, `None`, booleans, and lists, tuples, sets and dicts of them.

    Some benchmarks read lists from a model's answer with `eval()`. This reads the same literals, and raises what `eval()` does
    for text that is no Python or holds unknown names. Sums, calls and loops are not run: they are errors.

    Args:
        text (`str`): The literal; leading blanks do not count.

    Raises:
        LITERAL_ERRORS: `SyntaxError` when the text is no Python, `NameError` when it holds a name, `ValueError` for anything else
            that is not a literal, `TypeError` for a list in a set or as a key, `MemoryError` or `RecursionError` when it is
            nested too deeply.

    Example:

    ```python
    >>> parse_literal("['black', 2, 0.5]")
    ['black', 2, 0.5]
    >>> parse_literal("[black]")
    Traceback (most recent call last):
    NameError: expected a Python literal, found the name 'black': quote it if it is text

    ```
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the parser warns of "\d" in a string, which nobody here has written
        tree = ast.parse(text.lstrip(" \t"), mode="eval")
        name = next((node.id for node in ast.walk(tree) if isinstance(node, ast.Name)), None)
        if name is not None:
            raise NameError(f"expected a Python literal, found the name {name!r}: quote it if it is text")
        return ast.literal_eval(tree)


def as_list(answer: object) -> list:
    """
    An answer as a list: a list as it is, a text that begins with "[" as the literal it holds, anything else as its one item.

    Args:
        answer: A list, a text, or another single value. A literal that is no list is one item, too.

    Raises:
        LITERAL_ERRORS: as in [`parse_literal`], for a text that begins with "[".

    Example:

    ```python
    >>> as_list("['a', 'b']"), as_list("a, b"), as_list(["a"]), as_list(7)
    (['a', 'b'], ['a, b'], ['a'], [7])

    ```
    """
    if isinstance(answer, str) and answer.startswith("["):
        answer = parse_literal(answer)
    return answer if isinstance(answer, list) else [answer]
