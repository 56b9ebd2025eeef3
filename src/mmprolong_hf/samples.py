"""Rows of a published set (a document with its questions) become the table of samples that a plan packs and a loader encodes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from datasets import Dataset
from transformers import ProcessorMixin

from mmprolong_hf.encoding import image_limits
from mmprolong_hf.lengths import page_grid, sample_length, sample_span
from mmprolong_hf.prompt import answer_ids, branch_length, document_text_length, text_length

REQUIRED_COLUMNS = ("source", "page_sizes", "images", "questions")
SAMPLE_COLUMNS = (
    "document",
    "question",
    "pages",
    "length",
    "span",
    "num_supervised",
    "prefix",
    "prefix_length",
    "num_patches",
    "fill",
)
OVERLONG_DOCUMENTS = ("reject", "keep_evidence")


@dataclass(frozen=True)
class Rejection:
    """A question that is not trained on, and why: `reason` is counted, the rest finds it again."""

    reason: str
    source: str
    question: str
    detail: str


def check_columns(documents: Dataset) -> None:
    """
    Raises:
        ValueError: when `documents` lacks a column that training reads, naming those it has.
    """
    missing = [name for name in REQUIRED_COLUMNS if name not in documents.column_names]
    if missing:
        raise ValueError(
            f"the dataset has no column {', '.join(missing)} (it has {', '.join(documents.column_names)}); expected one row "
            "per document as `mmprolong build` writes it. A `questions` config has no page images: load the default config."
        )


def keep_evidence_pages(num_tokens: Sequence[int], evidence_pages: Sequence[int], budget: int) -> list[int] | None:
    """
    Which pages of a document that is too long stay: those nearest to the evidence, as many as fit; none is cut.

    Args:
        num_tokens (`Sequence[int]`): Tokens of each page with its label and markers.
        evidence_pages (`Sequence[int]`): Pages that must stay, 1-based.
        budget (`int`): Tokens that all kept pages may take.

    Returns:
        `list[int]`: 1-based numbers of the kept pages in their order, or `None` when the evidence alone does not fit.

    Example:

    ```python
    >>> keep_evidence_pages([10] * 6, evidence_pages=[2], budget=35)
    [1, 2, 3]
    >>> keep_evidence_pages([10] * 6, evidence_pages=[1, 6], budget=15) is None
    True

    ```
    """

    def distance(page: int) -> int:
        return min(abs(page - evidence) for evidence in evidence_pages)

    kept, used = [], 0
    for page in sorted(range(1, len(num_tokens) + 1), key=lambda page: (distance(page), page)):
        used += num_tokens[page - 1]
        if used > budget:
            return sorted(kept) if set(evidence_pages) <= set(kept) else None
        kept.append(page)
    return sorted(kept)


def list_samples(
    documents: Dataset,
    processor: ProcessorMixin,
    *,
    max_length: int,
    overlong_documents: str = "reject",
    first_fill: int | None = None,
) -> tuple[Dataset, list[Rejection]]:
    """
    Every question of every document as one sample, with its exact length; no image is opened.

    Args:
        documents (`Dataset`): Rows of the published set.
        processor (`ProcessorMixin`): What will encode them.
        max_length (`int`): Most tokens in a sample.
        overlong_documents (`str`): What happens to a sample that is longer: `"reject"`, or `"keep_evidence"` to drop the pages
            farthest from its evidence. A page is never cut.
        first_fill (`int`, *optional*): From this row on, documents only fill the room that packs have left.

    Returns:
        `(Dataset, list[Rejection])`: Columns `document` and `question` (indices), `pages` (1-based numbers), `length`
        (tokens), `span` (M-RoPE positions), `num_supervised` (answer tokens), `prefix` (the same for samples that begin with the
        same pages), `prefix_length` (its tokens), `num_patches` (of its pages), `fill`; and what was left out.

    Raises:
        ValueError: for missing columns or an unknown `overlong_documents`.
    """
    check_columns(documents)
    if overlong_documents not in OVERLONG_DOCUMENTS:
        raise ValueError(
            f"overlong_documents is {overlong_documents!r}, expected one of {', '.join(OVERLONG_DOCUMENTS)}"
        )
    limits = image_limits(processor)
    # Written in a document, they would become control tokens of the prompt.
    control = [token for token in processor.tokenizer.get_added_vocab() if token.strip()]
    rows, rejections = [], []
    prefixes: dict[tuple, int] = {}
    for document, row in enumerate(documents.select_columns(["source", "page_sizes", "questions"])):
        if row["page_sizes"] is None or row["questions"] is None:
            rejections.append(Rejection("broken_row", row["source"], "", "its page_sizes or questions are null"))
            continue
        try:
            shown = _Shown(processor, [page_grid(width, height, limits) for width, height in row["page_sizes"]])
        except ValueError as error:  # a page of a shape that the processor refuses
            rejections.append(Rejection("page_shape", row["source"], "", str(error)))
            continue
        for index, item in enumerate(row["questions"]):
            pages = shown.all_pages
            flaw = _flaw(item, len(pages), control)
            if flaw is None:
                length = shown.sample_length(pages, item)
                if length > max_length and overlong_documents == "keep_evidence" and item.get("evidence_pages"):
                    pages = _shorten(processor, item, shown.grids, max_length) or pages
                    length = shown.sample_length(pages, item)
                if length > max_length:
                    reason = "evidence_too_long" if overlong_documents == "keep_evidence" else "document_too_long"
                    if not item.get("evidence_pages"):
                        reason = "document_too_long"  # there is no evidence to keep
                    flaw = reason, f"{length} tokens; max_length is {max_length}"
            if flaw is not None:
                rejections.append(Rejection(flaw[0], row["source"], str(item["question"]), flaw[1]))
                continue
            grids = [shown.grids[page - 1] for page in pages]
            prefix_length = shown.document_length(pages)
            rows.append(
                {
                    "document": document,
                    "question": index,
                    "pages": list(pages),
                    "length": length,
                    "span": sample_span(length - sample_length(0, grids), grids),
                    "num_supervised": len(answer_ids(processor, item["answer"])),
                    # Without pages every question stands alone
                    "prefix": prefixes.setdefault((document, pages) if pages else len(prefixes), len(prefixes)),
                    "prefix_length": prefix_length,
                    "num_patches": sum(height * width for height, width in grids) * limits.merge_size**2,
                    "fill": first_fill is not None and document >= first_fill,
                }
            )
    return Dataset.from_dict({name: [row[name] for row in rows] for name in SAMPLE_COLUMNS}), rejections


class _Shown:
    """A document's pages, and the tokens of any choice of them, counted once."""

    def __init__(self, processor: ProcessorMixin, grids: list[tuple[int, int]]):
        self.processor, self.grids = processor, grids
        self.all_pages = tuple(range(1, len(grids) + 1))
        self._lengths: dict[tuple[int, ...], int] = {}

    def document_length(self, pages: tuple[int, ...]) -> int:
        if pages not in self._lengths:
            text = document_text_length(self.processor, pages)
            self._lengths[pages] = sample_length(text, [self.grids[page - 1] for page in pages])
        return self._lengths[pages]

    def sample_length(self, pages: tuple[int, ...], item: dict) -> int:
        return self.document_length(pages) + branch_length(self.processor, pages, item["question"], item["answer"])


def _flaw(item: dict, num_pages: int, control: Sequence[str]) -> tuple[str, str] | None:
    question, answer = item["question"], item["answer"]
    if not question or not answer or answer != answer.strip():
        return (
            "unusable_text",
            f"question {question!r}, answer {answer!r}; expected text without white space at its ends",
        )
    if found := next((token for token in control if token in question or token in answer), None):
        return "control_token", f"{found} in its text"
    if any(not 1 <= page <= num_pages for page in item.get("evidence_pages") or ()):
        return "evidence_outside", f"evidence on {item['evidence_pages']} of {num_pages} pages"
    return None


def _shorten(processor: ProcessorMixin, item: dict, grids: list, max_length: int) -> tuple[int, ...] | None:
    question, answer = item["question"], item["answer"]
    base = text_length(processor, [1], question, answer)
    # The longest label is charged to every page: at most a few tokens too many, never one too few.
    label = max(text_length(processor, [1, page], question, answer) for page in range(1, len(grids) + 1)) - base
    costs = [sample_length(label, [grid]) for grid in grids]
    kept = keep_evidence_pages(costs, item.get("evidence_pages"), max_length - base)
    return kept and tuple(kept)


def summarize_rejections(rejections: Sequence[Rejection]) -> str:
    """
    One line that counts what was left out, by reason, with the first of each.

    Example:

    ```python
    >>> print(summarize_rejections([Rejection("document_too_long", "a.pdf", "Q?", "9000 tokens; max_length is 4096")]))
    1 question left out: 1 document_too_long (first: a.pdf, 9000 tokens; max_length is 4096)

    ```
    """
    first = {r.reason: r for r in reversed(rejections)}
    reasons = [
        f"{count} {reason} (first: {first[reason].source}, {first[reason].detail})"
        for reason, count in sorted(Counter(r.reason for r in rejections).items())
    ]
    return f"{len(rejections)} question{'s'[: len(rejections) != 1]} left out: {'; '.join(reasons)}"
