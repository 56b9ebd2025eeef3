"""Sentences of running text, and the numbers and names in them that may be asked for."""

import re
from dataclasses import dataclass

from ..elements import Box, Paragraph, union
from ..questions import Evidence
from ..text import fold, join_lines

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LENGTH = range(50, 220)
NUMBER = re.compile(r"(?<=\s)\d+(?:[.,]\d+)*(?=\s|[,;.](?:\s|$)|%)")  # a word of its own
# CamelCase, snake_case or capitals, as a word of its own
_NAME = re.compile(
    r"(?<![^\s(])(?:[A-Za-z][a-z0-9]+(?:[A-Z][a-z0-9]*)+|[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+|[A-Z]{3,}[0-9]*)"
    r"(?=[,;:.)]*(?:\s|$))"
)
_CAPTION = re.compile(r"(?:figure|fig\.|table|tab\.|listing|example|algorithm)\s*\S*\d\S*[:.]", re.IGNORECASE)
# capitals side by side are shouted, or one name whose underscore is drawn and not written
_SHOUTED = re.compile(r"\b[A-Z]{2,} [A-Z]{2,}\b")
_SENTENCE = re.compile(r"""(?:(?<=[.!?])|(?<=[.!?]["”’)])) +(?=["“”‘’«(]*[A-Z])""")
# a sign or a number that begins an item of a list, at the start or after the end of another item
_ITEM = re.compile(r"[•‣⁃▪▫■□●○◦◆◇►▶➢✓✔·]|(?:^|(?<=[.:;!?)]) )(?:[-–—*∗]|\(?(?:\d{1,2}|[A-Za-z]|[ivx]+)[.)])(?= |$)")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|cf|vs|etc|Fig|Figs|Sec|Eq|No|al|pp|p|Dr|St|Ref)\.$")
# accents that stand beside their letter, signs of mathematics, and addresses that go on in the next line ("lists." + "org"):
# the text says less than the page shows, or something else
_UNSURE = re.compile(r"[\u0300-\u036f\u2200-\u22ff\\^{}|<>=]|(?:^| )[¨¸´˜`]|[¨¸´˜`](?: |$)|\w{2}[./@] (?=[a-z])")
# a number after one of these names a place, not a fact
_REFERENCE = re.compile(
    r"(?:sections?|chapters?|figures?|tables?|pages?|appendix|equations?|eq\.|step|part|version|listing|example|line|no\.)\s*\(?$",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"\b(?:is|are|was|were|has|have|had|can|could|may|must|should|will|would|contains?|uses?|takes?|needs?|gives?|holds?"
    r"|means?|requires?|allows?|returns?|shows?|became|began|made)\b"
)
# in a sentence that gives a name these do as well, and so does an order at its start
_ANY_VERB = re.compile(
    _VERB.pattern
    + r"|\b(?:do|does|did|cannot|might|makes?|sets?|calls?|comes?|goes|gets?|puts?|reads?|writes?|runs?|works?|looks?|finds?"
    r"|keeps?|lets?|tells?|says|stands?|starts?|creates?|defines?|describes?|includes?|provides?|supports?|depends?|appears?"
    r"|expects?|specif(?:y|ies)|appl(?:y|ies)|n't)\b|^(?:See|Note|Use|Click|Choose|Select|Press|Enter|Add|Open|Type"
    r"|Consider|Remember|Please|Check|Try)\b"
)


_VERSIONED = re.compile(r"\b(?:versions?|formats?|releases?|revisions?|standards?|protocols?)\b", re.IGNORECASE)
_SINCE = re.compile(r"\b(?:since|until|before|after|in|from|with)\s$", re.IGNORECASE)  # "Since 9.0 it can"
_CLOSE = 3  # words between such a word and its number


@dataclass(frozen=True)
class Sentence:
    """One whole sentence of prose that stands nowhere else in the document, and the names in it."""

    text: str
    paragraph: Paragraph
    names: tuple[str, ...]

    @property
    def page(self) -> int:
        """1-based."""
        return self.paragraph.page

    @property
    def evidence(self) -> Evidence:
        """The sentence as evidence; its box is around the lines that hold a part of it."""
        lines = self.paragraph.lines
        start = fold(join_lines([line.text for line in lines])).find(fold(self.text))
        return Evidence(self.page, _box(lines, start, start + len(fold(self.text))), self.text, "Text")


def sentences(paragraph: Paragraph) -> list[str]:
    """
    The whole sentences of a paragraph that read as prose.

    Args:
        paragraph (`Paragraph`): Lines of one block.
    """
    text = join_lines([line.text for line in paragraph.lines])
    if _CAPTION.match(text):
        return []  # a float, which may stand anywhere in its chapter
    pieces = _SENTENCE.split(text)
    found = []
    for before, piece in zip(["", *pieces], pieces):
        whole = piece[:1].isupper() and piece.endswith((".", "!", "?")) and not _ABBREVIATION.search(piece)
        if not whole or len(piece) not in LENGTH or _ABBREVIATION.search(before):
            continue
        if _UNSURE.search(piece) or _SHOUTED.search(piece) or _ITEM.search(piece) or not _is_balanced(piece):
            continue
        if sum(map(str.isalpha, piece)) + piece.count(" ") >= 0.85 * len(piece):
            found.append(piece)
    return found


def find_names(sentence: str) -> tuple[str, ...]:
    """
    The names of a sentence: words in CamelCase, snake_case or capitals.

    Args:
        sentence (`str`): One sentence.

    Example:

    ```python
    >>> find_names("Both drawString and set_font (see PDF) take a text.")
    ('drawString', 'set_font', 'PDF')

    ```
    """
    return tuple(_NAME.findall(sentence))


def only_number(sentence: str) -> str | None:
    """
    The number of a sentence that has exactly one, of two digits or more, which states something.

    Args:
        sentence (`str`): One sentence.

    Example:

    ```python
    >>> only_number("The oldest of the 127 stations was built by hand."), only_number("See Section 12 for details.")
    ('127', None)
    >>> only_number("Files are saved in format version 3.0 of the program.") is None
    True
    >>> only_number("For process 1230 it would contain the characters one, two, three, zero and a newline.") is None
    True

    ```
    """
    numbers = list(NUMBER.finditer(sentence))
    if len(numbers) != 1 or sum(c.isdigit() for c in numbers[0].group()) < 2:
        return None
    if len(re.findall(r"\d+", sentence)) != len(re.findall(r"\d+", numbers[0].group())):
        return None
    if not _VERB.search(sentence):
        return None  # an address or a reference, which reads as no statement
    if re.search(r"[.:;]\s*$", sentence[: numbers[0].start()]):
        return None  # the number of the next item of a list
    spelled = " ".join(_DIGITS[int(c)] for c in numbers[0].group() if c.isdigit())
    if spelled in " ".join(re.findall(r"[a-z]+", sentence.lower())):
        return None  # "contains 1230 as one, two, three, zero": the rest gives it away
    if _is_version(sentence, numbers[0]):
        return None
    return None if _REFERENCE.search(sentence[: numbers[0].start()]) else numbers[0].group()


def is_told(name: str, sentence: str) -> bool:
    """
    Whether the rest of a sentence tells one of its names: a part of it, the words it abbreviates, or all of it again.

    Args:
        name (`str`): A word of the sentence.
        sentence (`str`): All of it.

    Example:

    ```python
    >>> is_told("AWS", "The stations of the Alpine Weather Service (AWS) are open.")
    True
    >>> is_told("drawString", "All labels are drawn with drawString, which takes a text.")
    False

    ```
    """
    rest = sentence.replace(name, " ", 1)
    words = [word.lower() for word in re.findall(r"[A-Za-z0-9]+", rest)]
    initials = "".join(word[0] for word in words)
    parts = any(len(word) > 3 and word in fold(name) for word in words)
    return parts or name.lower() in initials or fold(name) in fold(rest)


def is_statement(sentence: str) -> bool:
    """
    Whether a sentence has a verb, as far as a list of the commonest tells; an item of a list has none.

    Args:
        sentence (`str`): One sentence.

    Example:

    ```python
    >>> is_statement("Labels are drawn with drawString."), is_statement("Donald Byrd, author of MusicXML and others.")
    (True, False)

    ```
    """
    return bool(_ANY_VERB.search(sentence))


def _is_balanced(piece: str) -> bool:
    """Whether every quotation mark has its partner: else the sentence began before, or goes on."""
    return piece.count('"') % 2 == 0 and all(piece.count(a) == piece.count(b) for a, b in ("“”", "«»"))


def _is_version(sentence: str, number: re.Match) -> bool:
    """Whether a number is a name: of a version or format, of a product ("Fedora 3.0"), of week "01", or between quotes."""
    before, after = sentence[: number.start()], sentence[number.end() :].split()[:1]
    if _VERSIONED.search(" ".join(before.split()[-_CLOSE:] + after)) or re.match(r"0\d|\d+\.\d+\.", number.group()):
        return True
    if before.count('"') % 2 or before.count("“") > before.count("”"):
        return True
    if "." not in number.group():
        return False
    words = before.split()
    named = len(words) > 1 and words[-1][:1].isupper()
    return named or bool(_VERSIONED.search(before) or _SINCE.search(before))


def _box(lines, start: int, end: int) -> Box:
    at, boxes = 0, []
    for line in lines:
        length = len(fold(line.text))
        if at < end and at + length > start:
            boxes.append(line.box)
        at += length
    return union(boxes)
