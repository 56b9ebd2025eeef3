"""Every printed word of a document: where it stands, and whether it stands anywhere else."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise

from ..elements import Line
from ..text import clean, fold

_WORD = re.compile(r"\w+")
_MARKS = ".,;:!?()"
_CUT = re.compile(r"(\w+)-\n(\w+)")  # a word that goes on in the next line
# words that are a part of what is written together: "map-store", "MapStore's"
_COMPOUND = re.compile(r"\w+(?:-\w+|['’]\w{1,2}\b)+")
_PARTS = re.compile(r"[A-Z]*[a-z0-9]+|[A-Z]+")  # of a name in CamelCase or snake_case


@dataclass(frozen=True)
class FullText:
    """
    The lines of all pages, with an index of their words, so that a look-up costs the same in long documents.

    Args:
        lines (`tuple[tuple[Line]]`): Every printed line of each page, running heads and contents too.

    Example:

    ```python
    >>> def line(text):
    ...     return Line(text, (0, 0, 1, 1), 10, False, "Serif", 1)
    >>> text = FullText(((line("Use XmlWriter."),), (line("An XmlWriter and YamlWriters,"), line("or YamlWriter."))))
    >>> text.pages_of("XmlWriter"), text.pages_of("YamlWriter"), text.count("YamlWriter", 2)
    ((1, 2), (), 2)

    ```
    """

    lines: tuple[tuple[Line, ...], ...]
    _places: dict[str, tuple[int, ...]] = field(init=False, repr=False, compare=False)
    _mixed: frozenset[str] = field(init=False, repr=False, compare=False)
    _small: frozenset[str] = field(init=False, repr=False, compare=False)
    _vocabulary: str = field(init=False, repr=False, compare=False)
    _folded: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        places, spelled, small, mixed, joined = defaultdict(list), {}, set(), set(), set()
        keys = {}  # of every word as it is spelled, of which there are far fewer than words
        for number, lines in enumerate(self.lines, 1):
            text = "\n".join(line.text for line in lines)
            cut = "\n\n".join(f"{a.text}\n{b.text}" for a, b in pairwise(lines) if a.text.endswith("-"))
            for word in _WORD.findall(text) + [start + end for start, end in _CUT.findall(cut)]:
                key = keys.get(word)
                if key is None:
                    key = keys[word] = _key(word)
                    if spelled.setdefault(key, word) != word:
                        mixed.add(key)
                places[key].append(number)
            tokens = text.split()
            joined.update(t for t in tokens if "-" in t or "'" in t or "’" in t)
            small.update(token.strip(_MARKS) for token in tokens)  # "x.pdf" is no word "pdf"
        for compound in _COMPOUND.findall(" ".join(joined)):
            words = _WORD.findall(compound)
            mixed.update(map(_key, [*words, "".join(words)]))
        object.__setattr__(self, "_places", {key: tuple(pages) for key, pages in places.items()})
        object.__setattr__(self, "_small", frozenset(small))
        object.__setattr__(self, "_mixed", frozenset(mixed))
        object.__setattr__(self, "_vocabulary", "\n".join(places))
        object.__setattr__(self, "_folded", tuple("".join(fold(line.text) for line in page) for page in self.lines))

    def pages_of(self, name: str) -> tuple[int, ...]:
        """
        Each page as often as the word stands on it.

        Empty if it is also spelled otherwise (with a hyphen or in two words, with an apostrophe, in the singular) or part of
        another word, since readers would not agree on which of them count.
        """
        key = _key(name)
        stem = _key(name.removesuffix("s"))
        if key in self._mixed or self._vocabulary.count(stem) != 1 or self._stands_apart(name):
            return ()
        return self._places[key]

    def _stands_apart(self, name: str) -> bool:
        """Whether the parts of a name stand somewhere as words of their own: "Map Store" for "MapStore"."""
        parts = _PARTS.findall(name)
        pages = set.intersection(*(set(self._places.get(_key(part), ())) for part in parts)) if len(parts) > 1 else ()
        key = fold(name)
        return any(self.count(key, page) > self._places[_key(name)].count(page) for page in pages)

    def is_common(self, name: str) -> bool:
        """Whether the document writes this name in small letters too: "NOT" is then only a stressed "not"."""
        return name.lower() in self._small

    def count(self, text: str, page: int) -> int:
        """How often letters and digits stand on a page in this order, in longer words too; pages outside hold nothing."""
        return self._folded[page - 1].count(fold(text)) if 0 < page <= len(self._folded) else 0

    def count_gap(self, before: str, after: str, page: int) -> int:
        """How often a page holds one text and soon after it another."""
        pattern = f"{re.escape(fold(before))}.{{1,40}}?{re.escape(fold(after))}"
        return len(re.findall(pattern, self._folded[page - 1]))

    def holds(self, words: str, pages: tuple[int, ...] = ()) -> bool:
        """Whether words stand on one of these pages, or on any page if none is named."""
        key = fold(words)
        near = [p for p in pages or range(1, len(self.lines) + 1) if key in self._folded[p - 1]]
        return any(stands_in(words, "\n".join(line.text for line in self.lines[p - 1])) for p in near)


def stands_in(words: str, text: str) -> bool:
    """
    Whether words stand in a text as whole words, however its lines are broken; a number is not found in a longer one.

    Args:
        words (`str`): What is looked for, in any case.
        text (`str`): Text of a page by any engine.

    Example:

    ```python
    >>> stands_in("Table 4.2", "see table\\n4.2."), stands_in("4.2", "4.2.1"), stands_in("function", "a func-\\ntion")
    (True, False, True)

    ```
    """
    letters = r"[\s-]*".join(re.escape(c) for c in clean(words) if not c.isspace())
    return bool(re.search(rf"(?<![\w.]){letters}(?!\w|[.-]\d)", clean(text), re.IGNORECASE))


def _key(word: str) -> str:
    return word.replace("_", "").casefold()
