"""Puts requests to a model together: page images first, then the words of the prompt files."""

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from string import Template

from ..elements import Page
from ..endpoint import Request
from ..schema import ANSWER_FORMATS, EVIDENCE_SOURCES
from .calls import Call
from .exemplars import Exemplars
from .raw_question import RawQuestion

PROMPTS = Path(__file__).parents[1] / "prompts"
_TEXT = {"type": "string"}
_FIELDS = {
    "evidence": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "page": {"type": "integer"},
                "source": {"type": "string", "enum": list(EVIDENCE_SOURCES)},
                "quote": _TEXT,
            },
            "required": ["page", "source", "quote"],
            "additionalProperties": False,
        },
    },
    "question": _TEXT,
    "anchor": _TEXT,
    "answer": _TEXT,
    "answer_format": {"type": "string", "enum": list(ANSWER_FORMATS)},
    "expression": _TEXT,
}
# Evidence comes first: a model that writes from left to right then words its question after what it has found.
REPLY_SCHEMA = {
    "type": "object",
    "properties": {
        "questions": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": _FIELDS,
                "required": list(_FIELDS),
                "additionalProperties": False,
            },
        }
    },
    "required": ["questions"],
    "additionalProperties": False,
}


@cache
def load_prompt(name: str) -> str:
    """
    The words of a prompt file.

    Args:
        name (`str`): Of a file in `prompts/`, without its suffix.
    """
    return (PROMPTS / f"{name}.md").read_text(encoding="utf-8")


def prompt_id(name: str, *texts: str) -> str:
    """
    Name of a prompt, and of its words: an edited file is another prompt, and its replies are other replies.

    Args:
        name (`str`): What it is for.
        *texts (`str`): Contents of the files that it is made of.

    Example:

    ```python
    >>> prompt_id("reasoning", "How many?"), prompt_id("reasoning", "How much?")
    ('reasoning@ba352e24c64c', 'reasoning@06a1ee61a3f2')

    ```
    """
    return f"{name}@{hashlib.sha256(chr(0).join(texts).encode()).hexdigest()[:12]}"


def page_content(pages: Iterable[Page]) -> tuple[str | bytes, ...]:
    """
    Page images, each after its number.

    Args:
        pages (`Iterable[Page]`): In the order in which they are shown.

    Example:

    ```python
    >>> page_content([Page(7, 10, 10, (5.0, 5.0), b"JPEG", ())])
    ('Page 7:', b'JPEG')

    ```
    """
    return tuple(part for page in pages for part in (f"Page {page.number}:", page.image))


def question_request(call: Call, pages: tuple[Page, ...], exemplars: Exemplars, *, style: str, seed: str) -> Request:
    """
    The request that asks a teacher for questions.

    The pages of a segment come first and alike in all its requests, so that a server's prefix cache reads them once.

    Args:
        call (`Call`): What is asked.
        pages (`tuple[Page]`): All pages of the document.
        exemplars (`Exemplars`): Two of them are shown.
        style (`str`): `"json"` or `"tagged"`.
        seed (`str`): Of the choice of exemplars.
    """
    first, last = call.segment
    core, task, reply = load_prompt("ask"), load_prompt(call.task), load_prompt(f"reply-{style}")
    examples = [
        f"Example {k}, about pages {e.first} to {e.last} of a document of {e.num_pages} pages:\n\n"
        + write_reply([e.question], style)
        for k, e in enumerate(exemplars.draw(call.task, seed), 1)
    ]
    words = Template(core).substitute(
        first=first,
        last=last,
        num_pages=len(pages),
        num_questions=call.num_questions,
        task=task.strip(),
        reply=reply.strip(),
        exemplars="\n\n".join(examples),
    )
    return Request(
        prompt=prompt_id(call.task, core, task, reply, exemplars.text),
        content=(*page_content(pages[first - 1 : last]), words),
        schema=REPLY_SCHEMA if style == "json" else None,
    )


def write_reply(questions: Iterable[RawQuestion], style: str) -> str:
    """
    Questions as a teacher should reply with them; `parsing.parse_reply` reads them back.

    Args:
        questions (`Iterable[RawQuestion]`): In their order.
        style (`str`): `"json"` or `"tagged"`.

    Example:

    ```python
    >>> print(write_reply([], "tagged"))
    <questions>
    </questions>
    >>> print(write_reply([], "json"))
    {"questions": []}

    ```
    """
    records = [question.to_record() for question in questions]
    if style == "json":
        return json.dumps({"questions": records}, ensure_ascii=False)
    lines = ["<questions>"]
    for record in records:
        lines.append("<item>")
        for piece in record.pop("evidence"):
            lines.append(f"<evidence>{''.join(f'<{tag}>{value}</{tag}>' for tag, value in piece.items())}</evidence>")
        lines += [f"<{tag}>{value}</{tag}>" for tag, value in record.items()]
        lines.append("</item>")
    return "\n".join([*lines, "</questions>"])
