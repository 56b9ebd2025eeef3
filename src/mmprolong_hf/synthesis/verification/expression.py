"""Exact arithmetic of a reasoning question: its expression is computed with fractions and compared with the answer."""

import ast
import operator
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

MAX_LENGTH = 2000  # characters; without powers, this alone keeps every number small
MAX_DEPTH = 250  # a sum of 250 terms is nested so deep
MAX_DECIMALS = 30
PERCENT = 100
# a number as it is printed; a minus belongs to it where no word or number stands before it
NUMBER = re.compile(r"(?:(?<![\w.)-])[-−])?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<![\w.])\.\d+")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?!\d|,\d)")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*%")
# numbers, functions, quoted names, signs: of hostile text Python's parser sees nothing
_TOKEN = re.compile(r"\s+|(?:\d+(?:\.\d*)?|\.\d+)(?![\w.])|[a-z]+(?=\s*\()|\"[^\"\\]*\"|'[^'\\]*'|[-+*/(),]", re.ASCII)
_CALL_WITHOUT_SPACES = re.compile(r"[a-z]\s*\([^()]*\d,\d", re.IGNORECASE)
_FUNCTION_NAME = re.compile(r"[A-Za-z]+(?=\s*\()")
_SIGNS = str.maketrans({"−": "-", "–": "-", "×": "*", "·": "*", "÷": "/", "“": '"', "”": '"'})


def _round(value: Fraction, digits: Fraction = Fraction(0)) -> Fraction:
    """Half away from zero, as at school; Python's own would round 2.5 to 2."""
    if digits.denominator != 1 or abs(digits) > MAX_DECIMALS:
        raise ValueError(f"round has the digits {digits}; expected a whole number up to {MAX_DECIMALS}")
    scale = Fraction(10) ** int(digits)
    whole = (abs(value) * scale + Fraction(1, 2)).__floor__() / scale
    return whole if value >= 0 else -whole


def _mean(*values: Fraction) -> Fraction:
    return sum(values, Fraction(0)) / len(values)


_OPERATORS: dict[type, Callable] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip
# name -> function and how many arguments it may have
_FUNCTIONS: dict[str, tuple[Callable, int]] = {
    "sum": (lambda *values: sum(values, Fraction(0)), MAX_LENGTH),
    "max": (lambda *values: max(values), MAX_LENGTH),
    "min": (lambda *values: min(values), MAX_LENGTH),
    "mean": (_mean, MAX_LENGTH),
    "average": (_mean, MAX_LENGTH),
    "abs": (abs, 1),
    "round": (_round, 2),
}
_EXPECTED = f"expected numbers, + - * / and {', '.join(_FUNCTIONS)}, count"


def evaluate(expression: str) -> Fraction:
    """
    The exact value of an expression.

    It may have numbers (with thousands separators and percent signs), `+ - * /`, parentheses, and the functions sum, max,
    min, mean (or average), abs, round(x, digits) and count, which also counts quoted names. Nothing else is evaluated.
    Where no comma has a space behind it, as in `max(100,200)`, commas separate; else they also group digits.

    Args:
        expression (`str`): As the teacher wrote it.

    Raises:
        ValueError: if it is too long, holds anything else, or divides by zero.

    Example:

    ```python
    >>> evaluate("(12.5 - 7) / 2"), evaluate("1,204 + 6"), evaluate("50% * 3"), evaluate('count("North", "South")')
    (Fraction(11, 4), Fraction(1210, 1), Fraction(3, 2), Fraction(2, 1))
    >>> evaluate("9**9**9")
    Traceback (most recent call last):
    ...
    ValueError: the expression has 'Pow'; expected numbers, + - * / and sum, max, min, mean, average, abs, round, count

    ```
    """
    text, tree = _parse(expression)
    try:
        return _value(tree, text, 0)
    except ZeroDivisionError:
        raise ValueError("the expression divides by zero; expected a number") from None


def operands(expression: str) -> tuple[list[str], list[str]]:
    """
    The numbers and the quoted names that an expression uses. The digits of a `round` are no number of the document.

    Args:
        expression (`str`): As the teacher wrote it.

    Raises:
        ValueError: if it is too long or cannot be read.

    Example:

    ```python
    >>> operands("round(1,204.50 / 3, 1) + count('May', 'June')")
    (['1204.50', '3'], ['May', 'June'])

    ```
    """
    text, tree = _parse(expression)
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    digits = [call.args[1] for call in calls if call.func.id == "round" and len(call.args) == 2]
    constants = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and n not in digits]
    constants.sort(key=lambda n: n.col_offset)
    numbers = [ast.get_source_segment(text, n) for n in constants if not isinstance(n.value, str)]
    return numbers, [n.value for n in constants if isinstance(n.value, str)]


def equals_printed(value: Fraction, answer: str, *, percent: bool = False) -> bool | None:
    """
    Whether a value is the answer's number to the precision in which that is printed; None if it has not one number.

    Args:
        value (`Fraction`): Exact.
        answer (`str`): As trained. One in percent may be a share of the value too.
        percent (`bool`, *optional*, defaults to `False`): Whether the value was computed from percents, so that an answer
            without the sign may be points of percent.

    Example:

    ```python
    >>> third = Fraction(1, 3)
    >>> equals_printed(third, "0.33"), equals_printed(third, "0.34"), equals_printed(third, "33.3 %")
    (True, False, True)
    >>> equals_printed(third, "between 1 and 2") is None
    True

    ```
    """
    numbers = NUMBER.findall(answer)
    if len(numbers) != 1:
        return None
    number = to_decimal(numbers[0])
    half = Fraction(10) ** number.as_tuple().exponent / 2
    scales = (1, PERCENT) if "%" in answer or percent else (1,)
    return any(abs(value * scale - Fraction(number)) <= half for scale in scales)


def to_decimal(number: str) -> Decimal:
    """
    A printed number, with the decimals that it is printed with.

    Args:
        number (`str`): As [`NUMBER`] finds it.

    Example:

    ```python
    >>> to_decimal("−1,204.50")
    Decimal('-1204.50')

    ```
    """
    return Decimal(number.replace(",", "").replace("−", "-"))


def _parse(expression: str) -> tuple[str, ast.expr]:
    if len(expression) > MAX_LENGTH:
        raise ValueError(f"the expression has {len(expression)} characters; expected at most {MAX_LENGTH}")
    text = " ".join(expression.translate(_SIGNS).split())
    if ", " in text or not _CALL_WITHOUT_SPACES.search(text):
        text = _THOUSANDS.sub(lambda number: number[0].replace(",", ""), text)
    text = _PERCENT.sub(r"(\1/100)", text)
    text = _FUNCTION_NAME.sub(lambda name: name[0].lower(), text)
    if other := _TOKEN.sub("", text):
        raise ValueError(f"the expression has {other[:40]!r}; {_EXPECTED}")
    try:
        return text, ast.parse(text, mode="eval").body
    except (SyntaxError, RecursionError) as error:  # the second for a thousand signs in a row
        raise ValueError(f"the expression cannot be read ({error}); {_EXPECTED}") from None


def _value(node: ast.expr, text: str, depth: int) -> Fraction:
    if depth > MAX_DEPTH:
        raise ValueError(f"the expression is nested more than {MAX_DEPTH} deep; expected fewer terms")
    found = node
    match node:
        case ast.Constant() if not isinstance(node.value, str):
            return Fraction(ast.get_source_segment(text, node))
        case ast.BinOp(op=op) | ast.UnaryOp(op=op):
            found = op
            if type(op) in _OPERATORS:
                parts = [node.operand] if isinstance(node, ast.UnaryOp) else [node.left, node.right]
                return _OPERATORS[type(op)](*(_value(part, text, depth + 1) for part in parts))
        case ast.Call(func=ast.Name(id="count"), args=[_, *_], keywords=[]):
            names = [a for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            for other in node.args:
                if other not in names:
                    _value(other, text, depth + 1)
            return Fraction(len(node.args))
        case ast.Call(func=ast.Name(id=name), args=[_, *_], keywords=[]) if name in _FUNCTIONS:
            function, most = _FUNCTIONS[name]
            if len(node.args) <= most:
                return function(*(_value(argument, text, depth + 1) for argument in node.args))
    raise ValueError(f"the expression has {_name(found, text)!r}; {_EXPECTED}")


def _name(node: ast.AST, text: str) -> str:
    return ast.get_source_segment(text, node) if isinstance(node, ast.expr) else type(node).__name__
