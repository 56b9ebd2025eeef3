"""From examples to contexts: the words around the pages. Pages are never left out or made smaller."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template

from mmprolong_hf.evaluation.examples import Example
from mmprolong_hf.evaluation.requests import Ask, Context, PageImage

PROMPTS = Path(__file__).parent / "prompts"
PROMPT_VERSIONS = ("v1.0", "v1.1", "plain", "question-first")
MAX_NEW_TOKENS = 128  # of document questions (EdinburghNLP/MMLongBench at 22b9f27, configs)
SHORT_NAME = 15  # characters of a document's id that MMLongBench's prompts name
# The number in a page's file name, which version 1.0 names: of these sets from 0, of SlideVQA from 1 (MMLongBench's README).
FIRST_FILE_NUMBER = {"mmlongdoc": 0, "longdocurl": 0}


@dataclass(frozen=True)
class Prompt:
    """
    The words around the pages, with names to be filled in by [`fill`] and [`page_text`].

    Args:
        version (`str`): One of `PROMPT_VERSIONS`.
        head (`str`): Up to the first page's line.
        page (`str`): Before each page's image.
        tail (`str`): After the last page's image.
        question (`str`): What is asked, as a judge is told it.
        answer_start (`str`): What the answer begins with.
    """

    version: str
    head: str
    page: str
    tail: str
    question: str
    answer_start: str


@cache
def load_prompt(version: str) -> Prompt:
    """
    A prompt of `prompts/`: a note, the user's turn with one line for a page, a rule, and the beginning of the answer.

    Raises:
        ValueError: for an unknown version.

    Example:

    ```python
    >>> load_prompt("v1.1").page, load_prompt("v1.1").answer_start
    ('Document $short_label: ', 'Answer:')
    >>> load_prompt("v2")
    Traceback (most recent call last):
    ...
    ValueError: prompt_version is 'v2', expected one of v1.0, v1.1, plain, question-first

    ```
    """
    if version not in PROMPT_VERSIONS:
        raise ValueError(f"prompt_version is {version!r}, expected one of {', '.join(PROMPT_VERSIONS)}")
    text = (PROMPTS / f"{version}.md").read_text(encoding="utf-8")
    turn, _, answer_start = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL).partition("\n---\n")
    before, _, tail = turn.strip().partition("<image>")
    head, _, page = before.rpartition("\n\n")
    question = re.search(r"^Question: (.*)$", turn, re.MULTILINE).group(1)
    return Prompt(version, head, page, tail, question, answer_start.strip())


def fill(template: str, doc_name: str, question: str) -> str:
    """
    `head`, `tail` or `question` of a prompt for one question.

    Args:
        template (`str`): Names `$name`, `$short_name` and `$question`, or some of them.
        doc_name (`str`): The document that is asked about.
        question (`str`): As the dataset has it.

    Example:

    ```python
    >>> fill("About $short_name ($name): $question", "report_of_the_year_2020", "What costs $5?")
    'About report_of_the_y (report_of_the_year_2020): What costs $5?'

    ```
    """
    return Template(template).substitute(name=doc_name, short_name=doc_name[:SHORT_NAME], question=question)


def page_text(prompt: Prompt, dataset: str, label: str, number: int) -> str:
    """
    The words before a page, without what separates it from the page before.

    Args:
        prompt (`Prompt`): From [`load_prompt`].
        dataset (`str`): Decides how version 1.0 counts pages.
        label (`str`): The page's document.
        number (`int`): Of the page in its document, from 1.

    Example:

    ```python
    >>> [page_text(load_prompt("v1.0"), dataset, "4190345", 6) for dataset in ("longdocurl", "slidevqa")]
    ['Document 4190345 (page 5): ', 'Document 4190345 (page 6): ']
    >>> page_text(load_prompt("plain"), "mine", "report of the year 2020", 6)
    'Document report of the year 2020, page 6: '

    ```
    """
    file_number = number - 1 + FIRST_FILE_NUMBER.get(dataset, 1)
    return Template(prompt.page).substitute(
        label=label, short_label=label[:SHORT_NAME], page=number, file_number=file_number
    )


def asked_question(prompt: Prompt, example: Example) -> str:
    """
    The question as the model is asked it, for a judge: MMLongBench's is told the document too, e.g. `"Based on Document 4190345,
    answer the following question. What is the budget of 2019?"`.
    """
    return fill(prompt.question, example.doc_name, example.question)


def context_parts(prompt: Prompt, example: Example) -> tuple[str | PageImage, ...]:
    """The user's turn up to the last page, as a [`~mmprolong_hf.evaluation.requests.Context`] has it."""
    parts = []
    head = fill(prompt.head, example.doc_name, example.question)
    for page, label, number in zip(example.pages, example.labels, example.page_numbers, strict=True):
        before = "" if parts else head
        parts += [f"{before}\n\n{page_text(prompt, example.dataset, label, number)}", page]
    return tuple(parts)


def make_contexts(
    examples: Iterable[Example], prompt_version: str, *, max_new_tokens: int = MAX_NEW_TOKENS
) -> list[Context]:
    """
    The contexts of a run. Examples whose pages and words before the last page are equal share one, in the order in which
    their contexts first occur.

    Args:
        examples (`Iterable[Example]`): With at least one page each.
        prompt_version (`str`): `"v1.0"` or `"v1.1"` of MMLongBench; `"plain"`, this project's own, which names all pages by
            number; or `"question-first"`, the same in the order of the original MMLongBench-Doc and LongDocURL, where nothing
            can be shared.
        max_new_tokens (`int`): Longest answer.

    Raises:
        ValueError: for an unknown version, or an example without pages.
    """
    prompt = load_prompt(prompt_version)
    asks: dict[tuple[str | PageImage, ...], list[Ask]] = {}
    for example in examples:
        if not example.pages:
            raise ValueError(f"{example.id} has no page, expected at least one")
        text = fill(prompt.tail, example.doc_name, example.question)
        ask = Ask(example.id, text, prompt.answer_start, max_new_tokens)
        asks.setdefault(context_parts(prompt, example), []).append(ask)
    return [Context(parts, tuple(questions)) for parts, questions in asks.items()]


def label_collisions(examples: Iterable[Example], prompt_version: str) -> list[str]:
    """
    Documents that an example's prompt calls by the same words, so that its question may mean either, one note for each group:
    MMLongBench's prompts cut the id of a document after 15 characters.
    """
    prompt = load_prompt(prompt_version)
    found: dict[tuple[str, ...], list[str]] = {}
    for example in examples:
        called: dict[str, list[str]] = {}
        for label in dict.fromkeys(example.labels):
            called.setdefault(page_text(prompt, example.dataset, label, 1), []).append(label)
        for labels in called.values():
            if len(labels) > 1:
                found.setdefault(tuple(sorted(labels)), []).append(example.id)
    return [_collision(labels, ids) for labels, ids in found.items()]


def _collision(labels: Sequence[str], ids: Sequence[str]) -> str:
    return (
        f"the documents {', '.join(labels)} have the same name in the prompt of {len(ids)} questions, the first of them "
        f"{ids[0]}: which one is meant cannot be told"
    )
