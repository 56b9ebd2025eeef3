"""A question of a benchmark with the pages it is asked about, and the rows that did not become one."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

from mmprolong_hf.evaluation.requests import PageImage


@dataclass(frozen=True)
class Example:
    """
    One question about one list of pages, of one document or several.

    Args:
        id (`str`): Unique in a run: the dataset, the length and the question's own id.
        dataset (`str`): E.g. `"mmlongdoc"`.
        context_length (`int`, *optional*): Tokens that the pages were chosen for.
        question (`str`): As the dataset has it, without a prompt's words.
        answer (`str`): The right one. A list is written as the dataset writes it.
        answer_format (`str`): As in MMLongBench-Doc.
        pages (`tuple[PageImage, ...]`): In the order in which they are read.
        labels (`tuple[str, ...]`): The document of each page.
        doc_name (`str`): The document that the question is about.
        evidence (`tuple[int, ...]`): Positions in `pages`, from 0, of those that are needed to answer.
        page_numbers (`tuple[int, ...]`): Of each page in its document, from 1.
        evidence_depths (`tuple[float, ...]`): Share of the pages' tokens that stands before each page of `evidence`; empty where
            sizes are not known.

    Raises:
        ValueError: when a page lacks its label or number, or an evidence page is none of the pages.

    Example:

    ```python
    >>> page = PageImage(b"...")
    >>> about = {"dataset": "mine", "context_length": 8192, "question": "?", "answer": "7", "answer_format": "Integer"}
    >>> where = {"labels": ("report", "report"), "doc_name": "report", "page_numbers": (4, 5)}
    >>> Example("mine/8K/1", **about, pages=(page, page), evidence=(1,), **where).page_numbers[1]
    5
    >>> Example("mine/8K/1", **about, pages=(page,), evidence=(0,), **where)
    Traceback (most recent call last):
    ...
    ValueError: mine/8K/1 has 1 pages, 2 labels and 2 page numbers, expected one of each for every page

    ```
    """

    id: str
    dataset: str
    context_length: int | None
    question: str
    answer: str
    answer_format: str
    pages: tuple[PageImage, ...]
    labels: tuple[str, ...]
    doc_name: str
    evidence: tuple[int, ...]
    page_numbers: tuple[int, ...]
    evidence_depths: tuple[float, ...] = ()

    def __post_init__(self):
        if not len(self.pages) == len(self.labels) == len(self.page_numbers):
            raise ValueError(
                f"{self.id} has {len(self.pages)} pages, {len(self.labels)} labels and {len(self.page_numbers)} page numbers, "
                "expected one of each for every page"
            )
        if beyond := [position for position in self.evidence if not 0 <= position < len(self.pages)]:
            raise ValueError(
                f"{self.id} has evidence at position {beyond[0]}, expected 0 to {len(self.pages) - 1}: one of its pages"
            )


@dataclass(frozen=True)
class Skipped:
    """
    A question, row or document that is left out.

    Args:
        id (`str`): Of what is left out.
        reason (`str`): A few words, the same for all of a kind, to be counted.
        detail (`str`): What was found, and what would help.
    """

    id: str
    reason: str
    detail: str


@dataclass(frozen=True)
class ExampleSet:
    """
    The examples of one or more files, what was left out of them, and what a reader of the scores has to know.

    Args:
        examples (`tuple[Example, ...]`): In the order of the run.
        skipped (`tuple[Skipped, ...]`): Each with its reason.
        notes (`tuple[str, ...]`): What looks odd, in sentences.

    Example:

    ```python
    >>> done = ExampleSet((), (Skipped("a", "too long", "..."), Skipped("b", "too long", "...")))
    >>> done.num_skipped
    {'too long': 2}

    ```
    """

    examples: tuple[Example, ...]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def num_skipped(self) -> dict[str, int]:
        """How many were left out for each reason."""
        return dict(Counter(skipped.reason for skipped in self.skipped))


def join_sets(sets: Iterable[ExampleSet]) -> ExampleSet:
    """
    Several sets as one, in their order.

    Raises:
        ValueError: when two examples have one id.

    Example:

    ```python
    >>> join_sets([ExampleSet((), (), ("one",)), ExampleSet((), (), ("two",))]).notes
    ('one', 'two')

    ```
    """
    sets = list(sets)
    examples = tuple(example for part in sets for example in part.examples)
    id, count = Counter(example.id for example in examples).most_common(1)[0] if examples else ("", 0)
    if count > 1:
        raise ValueError(f"{count} examples have the id {id!r}, expected one: give every file and length only once")
    skipped = tuple(skipped for part in sets for skipped in part.skipped)
    return ExampleSet(examples, skipped, tuple(note for part in sets for note in part.notes))


def control_tokens(tokenizer: PreTrainedTokenizerBase) -> re.Pattern:
    """
    Finds what a tokenizer reads as one of its own marks, e.g. "<|im_end|>": a text with one in it would end a turn or stand for an
    image.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): The model's. Marks that are white space, as some models have, are none.
    """
    marks = sorted(filter(str.strip, tokenizer.get_added_vocab()), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, marks)) or "(?!)")


def without_control_tokens(part: ExampleSet, tokenizer: PreTrainedTokenizerBase) -> ExampleSet:
    """
    The set without the examples whose question, document or labels hold one of [`control_tokens`]; those are in `skipped`.

    Args:
        part (`ExampleSet`): Of any benchmark.
        tokenizer (`PreTrainedTokenizerBase`): The model's.
    """
    marks, examples, skipped = control_tokens(tokenizer), [], list(part.skipped)
    for example in part.examples:
        words = dict.fromkeys([example.question, example.doc_name, *example.labels])
        if found := next(filter(None, map(marks.search, words)), None):
            skipped.append(control_token_skip(example.id, found))
        else:
            examples.append(example)
    return replace(part, examples=tuple(examples), skipped=tuple(skipped))


def control_token_skip(id: str, found: re.Match) -> Skipped:
    """What is left out because of a match of [`control_tokens`]."""
    return Skipped(
        id, "control_token", f"{found.string[:80]!r} holds {found[0]}, which the model reads as a mark: take it out"
    )


def length_name(length: int | None) -> str:
    """
    A context length as ids and tables write it.

    Args:
        length (`int`, *optional*): In tokens; `None` where documents keep their own.

    Example:

    ```python
    >>> length_name(131072), length_name(5000), length_name(None)
    ('128K', '5000', 'own')

    ```
    """
    if length is None:
        return "own"
    return str(length) if length % 1024 else f"{length // 1024}K"
