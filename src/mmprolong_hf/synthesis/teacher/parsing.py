"""Reads what a model answered: a JSON object, or tagged text, each perhaps after a thinking trace."""

import json

from ..endpoint.options import STYLES
from .fields import ParseError, excerpt
from .raw_question import RawQuestion, read_question

MAX_REPLY = 200_000  # characters; more is no answer to a few questions
_LEAVES = ("question", "anchor", "answer", "answer_format", "expression")


def parse_reply(text: str, style: str) -> list[RawQuestion | ParseError]:
    """
    The questions of one reply in its order; in place of an unusable one, why it cannot be used.

    Args:
        text (`str`): As the model answered: a thinking trace, Markdown fences and words around the answer do no harm.
        style (`str`): One of `STYLES`, as it was asked for.

    Raises:
        ValueError: for an unknown style.
        ParseError: too_long, not_json, no_questions, truncated, or the first problem if no question of it can be used.

    Example:

    ```python
    >>> reply = '''<questions><item>
    ... <evidence><page>12</page><source>Table</source><quote>North 1,250</quote></evidence>
    ... <question>In Table 4, how many visitors did the North have?</question><anchor>Table 4</anchor>
    ... <answer>1,250</answer><answer_format>Integer</answer_format></item></questions>'''
    >>> (found,) = parse_reply("<think>Which page?</think>" + reply, "tagged")
    >>> found.answer, found.anchor, found.pages
    ('1250', 'Table 4', (12,))
    >>> parse_reply('{"questions": []}', "json")
    []

    ```
    """
    if style not in STYLES:
        raise ValueError(f"style is {style!r}, expected one of {', '.join(STYLES)}")
    records = _tagged(_answer_part(text)) if style == "tagged" else _listed(read_json(text))
    found = [_attempt(record) for record in records]
    if found and all(isinstance(item, ParseError) for item in found):
        raise found[0]
    return found


def read_json(text: str) -> dict:
    """
    The JSON object of a reply. Numbers stay as they are written, so that 12.50 keeps its zero.

    Args:
        text (`str`): As the model answered.

    Raises:
        ParseError: too_long, truncated, not_json.

    Example:

    ```python
    >>> read_json('Here it is:\\n```json\\n{"answer": 12.50}\\n```')
    {'answer': '12.50'}

    ```
    """
    answer = _answer_part(text)
    decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
    try:
        value, _ = decoder.raw_decode(answer, max(0, answer.find("{")))
    except (json.JSONDecodeError, RecursionError) as error:  # the second for brackets in brackets in brackets
        raise ParseError("not_json", f"found {excerpt(answer)} ({error}), expected one JSON object") from None
    if not isinstance(value, dict):
        raise ParseError("not_json", f"found {excerpt(answer)}, expected one JSON object")
    return value


def _answer_part(text: str) -> str:
    """What follows the thinking trace; a chat template may have opened it before the reply began."""
    if len(text) > MAX_REPLY:
        raise ParseError("too_long", f"the reply has {len(text)} characters, expected at most {MAX_REPLY}")
    _, ended, answer = text.rpartition("</think>")
    if not ended and answer.lstrip().startswith("<think>"):
        raise ParseError("truncated", f"the thinking trace {excerpt(answer)} has no end, expected an answer after it")
    return answer


def _listed(value: dict) -> list:
    questions = value.get("questions")
    if not isinstance(questions, list):
        raise ParseError("no_questions", f"found {excerpt(value)}, expected a list named 'questions'")
    return questions


def _tagged(text: str) -> list[dict | ParseError]:
    """Reads by cutting at tags, in time that grows with the text alone; thinking may hold drafts, the last list counts."""
    _, opened, body = text.rpartition("<questions>")
    if not opened:
        raise ParseError("no_questions", f"found {excerpt(text)}, expected <questions>...</questions>")
    body, ended, _ = body.partition("</questions>")
    records = [_tagged_item(chunk) for chunk in body.split("<item>")[1:]]
    if not ended and not any(isinstance(record, ParseError) for record in records):
        records.append(ParseError("truncated", f"the reply ends in {excerpt(body[-80:])}, expected </questions>"))
    return records


def _tagged_item(chunk: str) -> dict | ParseError:
    item, ended, _ = chunk.partition("</item>")
    if not ended:
        return ParseError("truncated", f"{excerpt(chunk)} has no end, expected </item>")
    outside, *pieces = item.split("<evidence>")
    evidence = []
    for piece in pieces:
        inside, _, after = piece.partition("</evidence>")
        evidence.append({tag: _between(inside, tag) for tag in ("page", "source", "quote")})
        outside += after
    return {tag: _between(outside, tag) for tag in _LEAVES} | {"evidence": evidence}


def _between(text: str, tag: str) -> str | None:
    _, _, rest = text.partition(f"<{tag}>")
    inside, ended, _ = rest.partition(f"</{tag}>")
    return inside if ended else None


def _attempt(record: object) -> RawQuestion | ParseError:
    if isinstance(record, ParseError):
        return record
    try:
        return read_question(record)
    except ParseError as error:
        return error
