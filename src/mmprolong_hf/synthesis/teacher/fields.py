"""Single fields as a model writes them, brought into one form or refused by name."""

import re

from ..questions import LIST_SEPARATOR, MAX_ANSWER
from ..schema import ANSWER_FORMATS
from ..text import is_clean

MAX_FIELD = 1_000  # characters
MAX_RANGE = 50  # pages
_EXCERPT = 160
_FORMATS = {
    "string": "String", "str": "String", "text": "String", "integer": "Integer", "int": "Integer", "count": "Integer",
    "float": "Float", "decimal": "Float", "percentage": "Float", "list": "List", "array": "List",
}  # fmt: skip
# Words of a model's own language (turns, images, thinking): in a training text they would be taken for the real ones.
_CONTROL = re.compile(r"<\|[^<>|\s]{1,40}\|>|</?think>|<image>|</?s>|\[/?INST\]", re.IGNORECASE)
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_GROUPED = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?", re.ASCII)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)
_PAGE_LIST = re.compile(
    r"(?:pages?|pp?\.?)?\s*(\d{1,6}(?:\s*(?:[-–—,&]|and|to)\s*\d{1,6})*)", re.ASCII | re.IGNORECASE
)
_PAGE_RANGE = re.compile(r"(\d+)(?:\s*(?:[-–—]|to)\s*(\d+))?", re.ASCII | re.IGNORECASE)


class ParseError(Exception):
    """
    A reply, or one question of it, that cannot be used.

    Args:
        reason (`str`): A short code that can be counted, e.g. `"not_json"`.
        detail (`str`): What was found and what was expected, with the start of the text in question.

    Example:

    ```python
    >>> str(ParseError("not_json", "found 'Sure!', expected one JSON object"))
    "not_json: found 'Sure!', expected one JSON object"

    ```
    """

    def __init__(self, reason: str, detail: str):
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


def read_text(record: dict, name: str, *, required: bool = False, longest: int = MAX_FIELD) -> str:
    """
    One field as text on one line.

    Args:
        record (`dict`): All fields.
        name (`str`): Of the field.
        required (`bool`, *optional*, defaults to `False`): Else it may be missing, null or empty.
        longest (`int`, *optional*, defaults to `1_000`): Characters.

    Raises:
        ParseError: no_NAME, wrong_type, too_long, control_tokens, unreadable_characters.

    Example:

    ```python
    >>> read_text({"anchor": " Table\\n 4 "}, "anchor"), read_text({}, "anchor")
    ('Table 4', '')

    ```
    """
    value = record.get(name) or ""
    if not isinstance(value, str):
        raise ParseError("wrong_type", f"{name} is {excerpt(value)}, expected text")
    text = " ".join(value.split())
    if required and not text:
        raise ParseError(f"no_{name}", f"{name} is empty or missing, expected text")
    if len(text) > longest:
        raise ParseError("too_long", f"{name} is {excerpt(text)}, {len(text)} characters; expected at most {longest}")
    if found := _CONTROL.search(text):
        raise ParseError("control_tokens", f"{name} holds {found.group()!r}, expected no control word of a model")
    if not is_clean(text) or _SURROGATE.search(text):
        raise ParseError("unreadable_characters", f"{name} is {excerpt(text)}, expected printable characters")
    return text


def read_pages(value: object) -> tuple[int, ...]:
    """
    Pages as models write them.

    Args:
        value: Text, or a list of texts.

    Raises:
        ParseError: bad_page.

    Example:

    ```python
    >>> read_pages("12"), read_pages(["12", "14"]), read_pages("pp. 12-14"), read_pages("Pages 3 and 5")
    ((12,), (12, 14), (12, 13, 14), (3, 5))

    ```
    """
    text = ", ".join(value) if isinstance(value, list) and all(isinstance(v, str) for v in value) else value
    found = isinstance(text, str) and len(text) <= MAX_FIELD and _PAGE_LIST.fullmatch(text.strip())
    ranges = [(int(a), int(b or a)) for a, b in _PAGE_RANGE.findall(found[1])] if found else []
    if not ranges or any(not 1 <= first <= last < first + MAX_RANGE for first, last in ranges):
        raise ParseError("bad_page", f"page is {excerpt(value)}, expected the number of a page, counted from 1")
    return tuple(sorted({page for first, last in ranges for page in range(first, last + 1)}))


def excerpt(value: object) -> str:
    """
    The start of what was found, for a message; any characters become printable.

    Example:

    ```python
    >>> excerpt("a\\x00  b" + 200 * "c")[:12]
    "'a\\\\x00 bcccc"

    ```
    """
    return ascii(" ".join(str(value)[: 2 * _EXCERPT].split())[:_EXCERPT])


def read_answer(record: dict) -> tuple[str, tuple[str, ...]]:
    """
    The format of an answer and its parts: one, unless it is a List.

    Args:
        record (`dict`): answer (text, or a list of texts) and answer_format ("int" is understood as Integer, and so on).

    Raises:
        ParseError: no_answer, wrong_type, too_long, bad_answer_format, not_a_number, not_a_list, separator_in_answer, and as
            [`read_text`].

    Example:

    ```python
    >>> read_answer({"answer": "1,250", "answer_format": "int"}), read_answer({"answer": "May; July", "answer_format": "List"})
    (('Integer', ('1250',)), ('List', ('May', 'July')))

    ```
    """
    value = record.get("answer")
    texts = [
        read_text({"answer": v}, "answer", required=True) for v in (value if isinstance(value, list) else [value])
    ]
    named = read_text(record, "answer_format").lower()
    if named == "number":
        named = "float" if "." in "".join(texts) else "integer"
    if named not in _FORMATS:
        raise ParseError("bad_answer_format", f"found {excerpt(named)}, expected one of {', '.join(ANSWER_FORMATS)}")
    answer_format = _FORMATS[named]
    if answer_format == "List":
        parts = _parts(texts)
    elif len(texts) != 1:
        raise ParseError("wrong_type", f"answer is {excerpt(texts)}, expected one text for the format {answer_format}")
    else:
        parts = (texts[0] if answer_format == "String" else _number(texts[0], answer_format),)
    if len(LIST_SEPARATOR.join(parts)) > MAX_ANSWER:
        raise ParseError("too_long", f"answer is {excerpt(value)}, expected at most {MAX_ANSWER} characters")
    return answer_format, parts


def _parts(texts: list[str]) -> tuple[str, ...]:
    separator = LIST_SEPARATOR.strip()
    if len(texts) > 1 and any(separator in text for text in texts):
        raise ParseError("separator_in_answer", f"answer is {excerpt(texts)}, expected parts without {separator!r}")
    # in Chinese text a list is parted by a full-width semicolon
    parts = tuple(part.strip() for text in texts for part in text.replace("；", separator).split(separator))
    if len(parts) < 2 or not all(parts):
        raise ParseError(
            "not_a_list", f"answer is {excerpt(texts)}, expected two parts or more with {separator!r} between"
        )
    return parts


def _number(text: str, answer_format: str) -> str:
    """In digits and a decimal point: "1,250" becomes "1250", and the Integer "3.0" becomes "3"."""
    number = text.replace("−", "-").removeprefix("+")
    if _GROUPED.fullmatch(number):
        number = number.replace(",", "")
    if answer_format == "Integer":
        whole, _, decimals = number.partition(".")
        number = number if decimals.strip("0") else whole
    if not _NUMBER.fullmatch(number) or (answer_format == "Integer" and "." in number):
        expected = "a whole number" if answer_format == "Integer" else "a number"
        raise ParseError(
            "not_a_number", f"answer is {excerpt(text)}, expected {expected} without unit for {answer_format}"
        )
    return number
