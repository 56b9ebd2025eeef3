"""Our own contexts of any length: a document cut to it, or filled up with others, and asked its questions."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import ProcessorMixin

from mmprolong_hf.evaluation.examples import (
    Example,
    ExampleSet,
    Skipped,
    control_token_skip,
    control_tokens,
    length_name,
)
from mmprolong_hf.evaluation.length_builder import MIN_FILL, TARGET, LengthError, build
from mmprolong_hf.evaluation.prompt_length import PromptCosts
from mmprolong_hf.evaluation.prompting import MAX_NEW_TOKENS
from mmprolong_hf.evaluation.requests import PageImage
from mmprolong_hf.evaluation.source_documents import SourceDocument, SourceQuestion


def question_examples(
    documents: Sequence[SourceDocument],
    processor: ProcessorMixin,
    folder: str | Path,
    *,
    dataset: str,
    lengths: Sequence[int],
    prompt_version: str = "plain",
    share_context: bool = True,
    seed: int = 0,
    max_new_tokens: int = MAX_NEW_TOKENS,
) -> ExampleSet:
    """
    Every question at every length, with pages chosen by [`~mmprolong_hf.evaluation.length_builder.build`]. The prompt and the
    longest answer together take at most the length, in tokens of this processor.

    Args:
        documents (`Sequence[SourceDocument]`): Those that are asked about, and all that contexts may be filled up with.
        processor (`ProcessorMixin`): From [`~mmprolong_hf.encoding.load_processor`]; its limits decide what a page costs.
        folder (`str` or `Path`): Where page images are kept.
        dataset (`str`): The set's name.
        lengths (`Sequence[int]`): Tokens of a context, e.g. 8192 to 524288.
        prompt_version (`str`), max_new_tokens (`int`): As in [`~mmprolong_hf.evaluation.prompting.make_contexts`].
        share_context (`bool`): All questions of a document have one context at a length, which keeps the evidence of all: read
            once, it answers them all. Where that does not fit, the questions about the document's beginning have one, and those
            about its end, and so on. Off, each question has its own, as in MMLongBench.
        seed (`int`): Of the order in which documents fill contexts up, with the dataset, the document and the length.

    Returns:
        `ExampleSet`: A question that has no context of a length is in `skipped`, with the reason.

    Raises:
        ValueError: when two documents or questions have one name, or a length is not positive.
    """
    _check(documents, lengths)
    prompt_costs = PromptCosts(processor, prompt_version, dataset)
    page_costs, refused = _page_costs(documents, prompt_costs)
    usable = [document for document in documents if document.name in page_costs]
    builder = _Builder(dataset, usable, prompt_costs, page_costs, Path(folder), seed, max_new_tokens)
    examples, skipped, marks = [], list(refused), control_tokens(processor.tokenizer)
    for length in lengths:
        for document in usable:
            marked = {question: marks.search(question.question) for question in document.questions}
            skipped += [
                control_token_skip(builder.id(question, length), found) for question, found in marked.items() if found
            ]
            asked = [question for question, found in marked.items() if not found]
            inside = [question for question in asked if _is_inside(question, document)]
            skipped += [
                builder.skip(question, length, "evidence outside", _outside(question, document))
                for question in asked
                if question not in inside
            ]
            groups = [inside] if share_context else [[question] for question in inside]
            for group in filter(None, groups):
                made, left_out = builder.examples(document, group, length, share_context)
                examples += made
                skipped += left_out
    return ExampleSet(tuple(examples), tuple(skipped))


def _check(documents: Sequence[SourceDocument], lengths: Sequence[int]) -> None:
    ids = Counter(question.id for document in documents for question in document.questions)
    for kind, counts in (("documents", Counter(document.name for document in documents)), ("questions", ids)):
        if twice := [name for name, count in counts.items() if count > 1]:
            raise ValueError(f"two {kind} are called {twice[0]!r}, expected another name for each")
    if not lengths or min(lengths) < 1:
        raise ValueError(f"lengths is {list(lengths)}, expected numbers of tokens")


def _is_inside(question: SourceQuestion, document: SourceDocument) -> bool:
    return all(1 <= page <= len(document.sizes) for page in question.evidence_pages)


def _outside(question: SourceQuestion, document: SourceDocument) -> str:
    return (
        f"its evidence is on the pages {list(question.evidence_pages)}, expected pages from 1 to {len(document.sizes)} of "
        f"{document.name}"
    )


def _page_costs(documents: Sequence[SourceDocument], costs: PromptCosts) -> tuple[dict[str, list[int]], list[Skipped]]:
    """Tokens of every page by the document's name, and the documents with a page or a name that cannot be used."""
    pages, skipped = {}, []
    marks = control_tokens(costs.processor.tokenizer)
    for document in documents:
        ids = [f"the document {document.name}", *(question.id for question in document.questions)]
        if found := marks.search(document.name):
            skipped += [control_token_skip(id, found) for id in ids]
            continue
        try:
            pages[document.name] = [
                costs.page(document.name, number, size) for number, size in enumerate(document.sizes, 1)
            ]
        except ValueError as error:
            skipped += [Skipped(id, "page refused", str(error)) for id in ids]
    return pages, skipped


@dataclass(frozen=True)
class _Builder:
    """Makes the examples of one run of [`question_examples`]."""

    dataset: str
    documents: list[SourceDocument]
    prompt_costs: PromptCosts
    page_costs: dict[str, list[int]]
    folder: Path
    seed: int
    max_new_tokens: int

    def examples(
        self, document: SourceDocument, group: list[SourceQuestion], length: int, shared: bool
    ) -> tuple[list[Example], list[Skipped]]:
        """The questions of a group, which have one context."""
        around = max(self.prompt_costs.around(document.name, question.question) for question in group)
        budget = length - around - self.max_new_tokens
        needed = sorted({page - 1 for question in group for page in question.evidence_pages})
        pool = self._pool(document, [length, self.seed] if shared else [length, self.seed, group[0].id])
        pool_costs = [self.page_costs[other.name] for other in pool]
        try:
            built = build(self.page_costs[document.name], needed, pool_costs, budget)
        except LengthError as error:
            if len(group) == 1:
                return [], [self.skip(group[0], length, "does not fit", str(error))]
            return self._halves(document, group, length)
        num_pages = len(document.sizes) + sum(map(len, pool_costs))
        if len(built["pages"]) == num_pages and built["total"] < MIN_FILL * budget:
            detail = f"all {num_pages} pages together take {built['total']} of {budget} tokens; give more documents"
            return [], [self.skip(question, length, "too few pages", detail) for question in group]
        chosen = [(document if index == TARGET else pool[index], page + 1) for index, page in built["pages"]]
        images = self._store(chosen)
        depths = dict(zip(needed, built["answer_depths"], strict=True))
        return [self._example(document, question, length, chosen, images, depths) for question in group], []

    def _halves(
        self, document: SourceDocument, group: list[SourceQuestion], length: int
    ) -> tuple[list[Example], list[Skipped]]:
        """Of a document that is cut, so that no others are drawn: the questions about its beginning, and about its end."""
        group = sorted(group, key=lambda question: question.evidence_pages)
        middle = len(group) // 2
        halves = [self.examples(document, half, length, True) for half in (group[:middle], group[middle:])]
        return [example for made, _ in halves for example in made], [left for _, out in halves for left in out]

    def _pool(self, document: SourceDocument, about: list) -> list[SourceDocument]:
        """All other documents, in an order that depends on nothing but `about`, the document, the dataset and their names."""
        others = [other for other in self.documents if other.key != document.key]
        pool = sorted(others, key=lambda other: other.name)
        seed = hashlib.sha256(json.dumps([self.dataset, document.name, *about]).encode()).hexdigest()
        random.Random(seed).shuffle(pool)
        return pool

    def _store(self, chosen: list[tuple[SourceDocument, int]]) -> dict[tuple[str, int], PageImage]:
        documents = {document.name: document for document, _ in chosen}
        images = {}
        for name, document in documents.items():
            stored = document.store_pages([number for other, number in chosen if other is document], self.folder)
            images |= {(name, number): image for number, image in stored.items()}
        return images

    def _example(
        self,
        document: SourceDocument,
        question: SourceQuestion,
        length: int,
        chosen: list[tuple[SourceDocument, int]],
        images: dict[tuple[str, int], PageImage],
        depths: dict[int, float],
    ) -> Example:
        pages = [(source.name, number) for source, number in chosen]
        evidence = sorted({pages.index((document.name, page)) for page in question.evidence_pages})
        return Example(
            id=self.id(question, length),
            dataset=self.dataset,
            context_length=length,
            question=question.question,
            answer=question.answer,
            answer_format=question.answer_format,
            pages=tuple(images[page] for page in pages),
            labels=tuple(name for name, _ in pages),
            doc_name=document.name,
            evidence=tuple(evidence),
            page_numbers=tuple(number for _, number in pages),
            evidence_depths=tuple(depths[pages[position][1] - 1] for position in evidence),
        )

    def id(self, question: SourceQuestion, length: int) -> str:
        return f"{self.dataset}/{length_name(length)}/{question.id}"

    def skip(self, question: SourceQuestion, length: int, reason: str, detail: str) -> Skipped:
        return Skipped(self.id(question, length), reason, detail)
