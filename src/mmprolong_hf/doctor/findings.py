"""What was found, and how it is shown."""

import json
import textwrap
from dataclasses import asdict, dataclass

OK, NOTE, WRONG = "ok", "note", "wrong"


@dataclass(frozen=True)
class Finding:
    """
    One thing that was looked at.

    Args:
        what (`str`): Its name.
        text (`str`): What was found, and where it is wrong, what to do.
        state (`str`): `"ok"`, `"note"` (works, but should be known) or `"wrong"`.
    """

    what: str
    text: str
    state: str = OK


@dataclass(frozen=True)
class Part:
    """
    A part of the report.

    Args:
        title (`str`): Its heading.
        findings (`list[Finding]`): In the order they are shown.
    """

    title: str
    findings: list[Finding]

    @property
    def is_wrong(self) -> bool:
        return any(finding.state == WRONG for finding in self.findings)


def show(part: Part, width: int = 130) -> str:
    """
    A part as text: a line for each finding, wrapped, what is wrong in capitals.

    Example:

    ```python
    >>> print(show(Part("Versions", [Finding("torch", "2.13.0, as tested"), Finding("trl", "1.10.0, too old", WRONG)])))
    == Versions ==
           torch  2.13.0, as tested
    WRONG  trl    1.10.0, too old

    ```
    """
    marks = {OK: "", NOTE: "note", WRONG: "WRONG"}
    names = max(len(finding.what) for finding in part.findings)
    lines = [f"== {part.title} =="]
    for finding in part.findings:
        head = f"{marks[finding.state]:<5}  {finding.what:<{names}}  "
        for row, text in enumerate(finding.text.splitlines()):
            first = head if row == 0 else " " * len(head)
            lines += textwrap.wrap(
                text,
                width,
                initial_indent=first,
                subsequent_indent=" " * len(head),
                drop_whitespace=True,
                break_on_hyphens=False,
            ) or [first]
    return "\n".join(lines)


def show_json(part: Part) -> str:
    """
    A part as a line of JSON.

    Example:

    ```python
    >>> show_json(Part("Versions", [Finding("torch", "2.13.0")]))
    '{"title": "Versions", "findings": [{"what": "torch", "text": "2.13.0", "state": "ok"}]}'

    ```
    """
    return json.dumps(asdict(part))


def summarize(parts: list[Part]) -> str:
    """
    The last lines: what is wrong, once more.

    Example:

    ```python
    >>> summarize([Part("Versions", [Finding("torch", "2.13.0, as tested")])])
    'nothing is wrong'

    ```
    """
    wrong = [f"{part.title}, {f.what}: {f.text}" for part in parts for f in part.findings if f.state == WRONG]
    return "\n".join([f"{len(wrong)} wrong", *wrong]) if wrong else "nothing is wrong"
