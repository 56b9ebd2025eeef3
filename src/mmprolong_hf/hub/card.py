"""A README.md on the Hub as metadata and sections, and what becomes of one that a person has edited there."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch

import yaml

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_RECORD, _END = "<!-- mmprolong_hf wrote {", "} -->"
TOP = "(top)"  # how the section before the first heading is called
# Lists of configs: what is wrong in them makes the data unreadable, so the entries of what is pushed are always the pushed ones
_BY_CONFIG = ("configs", "dataset_info")


@dataclass
class Card:
    """
    A README.md.

    Args:
        metadata (`dict`): The YAML at its top.
        sections (`dict[str, str]`): In their order: the heading of level 2 without its "## ", and what stands below it as it is. The
            first key is "", for what stands before the first heading. A heading that is there twice does not begin a section.
        record (`dict[str, str]`): What was generated and how, as the last push noted it in a comment: a name (as in [`digests`]) and a
            digest. Empty for a card that no push of this project wrote.

    Example:

    ```python
    >>> card = Card.parse("---\\nlicense: mit\\n---\\n# Title\\n\\n## Limits\\n\\nNone.\\n")
    >>> card.metadata, card.sections
    ({'license': 'mit'}, {'': '# Title\\n\\n', 'Limits': '\\nNone.\\n'})
    >>> str(card)
    '---\\nlicense: mit\\n---\\n# Title\\n\\n## Limits\\n\\nNone.\\n'

    ```
    """

    metadata: dict
    sections: dict[str, str]
    record: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Card":
        """
        Args:
            text (`str`): Of the file. Ends of line become "\\n".

        Raises:
            ValueError: when what stands between the first two "---" is no YAML of names and values.
        """
        text, record = _split_record(text.removeprefix("\ufeff").replace("\r\n", "\n"))
        found = _FRONT_MATTER.match(text)
        try:
            metadata = (yaml.safe_load(found[1]) if found else None) or {}
        except yaml.YAMLError as error:
            where = " ".join(str(error).split())
            raise ValueError(f"the metadata of the card is no YAML ({where}); mend what stands between ---") from error
        if not isinstance(metadata, dict):
            raise ValueError(f"the metadata of the card is {metadata!r}, expected names with values between ---")
        return cls(metadata, _split(text[found.end() :] if found else text), record)

    def __str__(self) -> str:
        top = ""
        if self.metadata:
            top = f"---\n{yaml.safe_dump(self.metadata, sort_keys=False, allow_unicode=True, width=10**6)}---\n"
        body = ""
        for name, text in self.sections.items():
            body += "\n" if name and body and not body.endswith("\n") else ""  # a person's text may end without one
            body += f"## {name}\n{text}" if name else text
        if not self.record:
            return top + body
        record = json.dumps(self.record).replace(">", "\\u003e")  # a heading with --> does not end the comment
        return f"{top}{body.rstrip()}\n\n<!-- mmprolong_hf wrote {record} -->\n"


def digests(card: Card) -> dict[str, str]:
    """
    Of every part of a card, under a name of its own: "metadata NAME" or "section HEADING".

    Example:

    ```python
    >>> list(digests(Card({"license": "mit"}, {"": "# T", "Limits": "None."})))
    ['metadata license', 'section (top)', 'section Limits']

    ```
    """
    parts = {
        f"metadata {name}": json.dumps(value, sort_keys=True, default=str) for name, value in card.metadata.items()
    }
    parts |= {f"section {name or TOP}": text.strip() for name, text in card.sections.items()}
    return {name: hashlib.sha256(text.encode()).hexdigest()[:12] for name, text in parts.items()}


def merge(generated: Card, published: Card, owned: Sequence[str] = ()) -> tuple[Card, tuple[str, ...]]:
    """
    What to publish where a card is on the Hub already: every part that is still as an earlier push wrote it is replaced, and every part
    that a person has edited, added or removed stays so. Comments in the YAML do not: it is written anew where a value of it changes.

    Args:
        generated (`Card`): As it is now made.
        published (`Card`): As it is on the Hub, with its record.
        owned (`Sequence[str]`, *optional*): Patterns of the files that a push replaces. Of `configs` and `dataset_info`, a
            person's entries stay whose files are others.

    Returns:
        `tuple[Card, tuple[str, ...]]`: The card, its record that of `generated`; and which parts of `generated` it does not hold.

    Raises:
        ValueError: when `configs` or `dataset_info` as published is no list of entries.

    Example:

    ```python
    >>> first = Card({}, {"": "# Set", "Size": "3 rows", "Limits": "None known."})
    >>> on_hub = Card({}, first.sections | {"Limits": "Rows 1 and 2 are alike."}, digests(first))
    >>> card, kept = merge(Card({}, {"": "# Set", "Size": "4 rows", "Limits": "None known."}), on_hub)
    >>> card.sections["Size"], card.sections["Limits"], kept
    ('4 rows', 'Rows 1 and 2 are alike.', ('section Limits',))

    ```
    """
    now = digests(generated)
    # what stands before the first heading is there only if it says something
    sections = {name: text for name, text in published.sections.items() if name or text.strip()}
    card = Card(
        _merge_parts("metadata", generated.metadata, published.metadata, published),
        _merge_parts("section", generated.sections, sections, published),
        now,
    )
    configs = _merge_configs(generated.metadata, published.metadata, owned)
    card.metadata |= {name: entries for name, entries in configs.items() if entries}
    after = digests(card)
    kept = [
        name
        for name in now
        if after.get(name) != now[name] and name not in {f"metadata {each}" for each in _BY_CONFIG}
    ]
    return card, tuple(kept)


def _merge_parts(kind: str, ours: Mapping, theirs: Mapping, published: Card) -> dict:
    """The metadata, or the sections: in the order that they have on the Hub."""
    there, result = digests(published), {}
    for name, value in theirs.items():
        key = f"{kind} {name or TOP}"
        untouched = there[key] == published.record.get(key)
        if name in ours:
            result[name] = ours[name] if untouched else value
        elif not untouched:
            result[name] = value
    return _add_new(result, ours, {name for name in ours if f"{kind} {name or TOP}" in published.record})


def _add_new(result: dict, ours: Mapping, known: set[str]) -> dict:
    """With the parts that are new, each behind the one that it follows; what was there once and is not was taken out."""
    names = list(result)
    for before, name in zip([None, *ours], ours):
        if name not in result and name not in known:
            place = 0 if before is None else names.index(before) + 1 if before in names else len(names)
            names.insert(place, name)
    return {name: result.get(name, ours.get(name)) for name in names}


def _merge_configs(generated: Mapping, published: Mapping, owned: Sequence[str]) -> dict[str, list]:
    entries = {}
    own = {entry["config_name"] for name in _BY_CONFIG for entry in generated.get(name, ())}
    theirs = {name: _entries(published, name) for name in _BY_CONFIG}
    others = {
        entry.get("config_name")
        for entry in theirs["configs"]
        if entry.get("config_name") not in own and not any(fnmatch(path, p) for path in _paths(entry) for p in owned)
    }
    for name in _BY_CONFIG:
        kept = [entry for entry in theirs[name] if entry.get("config_name") in others]
        entries[name] = [*generated.get(name, ()), *kept]
    return entries


def _entries(published: Mapping, name: str) -> list[Mapping]:
    value = published.get(name) or []
    entries = [value] if isinstance(value, Mapping) else value  # a single dataset_info may stand without a list
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ValueError(
            f"the card has {name}: {value!r}, expected a list of entries with a config_name each; mend it on the Hub"
        )
    return entries


def _paths(entry: Mapping) -> list[str]:
    files = entry.get("data_files") or ()
    files = [files] if isinstance(files, str) else files
    paths = [file.get("path", ()) if isinstance(file, Mapping) else file for file in files]
    return [path for each in paths for path in ([each] if isinstance(each, str) else each)]


def _split_record(text: str) -> tuple[str, dict[str, str]]:
    """The text without the record, and the record; what a person has written behind it is part of the text."""
    start = text.rfind(_RECORD)
    end = text.find(_END, start)
    if start < 0 or end < 0:
        return text, {}
    try:
        record = json.loads("{" + text[start + len(_RECORD) : end] + "}")
    except json.JSONDecodeError:  # a person has written in it: then everything counts as edited
        record = {}
    before, after = text[:start].rstrip("\n"), text[end + len(_END) :].lstrip("\n")
    return f"{before}\n\n{after}" if after else f"{before}\n", record


def _split(body: str) -> dict[str, str]:
    sections, heading, fence = {"": ""}, "", None
    for line in body.splitlines(keepends=True):
        mark = _FENCE.match(line)
        if mark and fence is None:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and not line.strip(" \n\r`~"):
            fence = None
        name = line[3:].strip() if line.startswith("## ") and fence is None else ""
        if name and name not in sections:
            heading = name
            sections[heading] = ""
        else:
            sections[heading] += line
    return sections
