"""Rows of a published set (a document with its questions) become the table of samples that a plan packs and a loader encodes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import PIL.Image
from datasets import Dataset, concatenate_datasets
from transformers import ProcessorMixin

from mmprolong_hf.encoding import UndecodedRows, answer_ids, decode_image, encode_sample, image_limits, text_length
from mmprolong_hf.lengths import page_grid, sample_length, sample_span

REQUIRED_COLUMNS = ("source", "page_sizes", "images", "questions")
SAMPLE_COLUMNS = ("document", "question", "pages", "length", "span", "num_supervised")
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
    documents: Dataset, processor: ProcessorMixin, *, max_length: int, overlong_documents: str = "reject"
) -> tuple[Dataset, list[Rejection]]:
    """
    Every question of every document as one sample, with its exact length; no image is opened.

    Args:
        documents (`Dataset`): Rows of the published set.
        processor (`ProcessorMixin`): What will encode them.
        max_length (`int`): Most tokens in a sample.
        overlong_documents (`str`): What happens to a sample that is longer: `"reject"`, or `"keep_evidence"` to drop the pages
            farthest from its evidence. A page is never cut.

    Returns:
        `(Dataset, list[Rejection])`: Columns `document` and `question` (indices), `pages` (1-based numbers), `length`
        (tokens), `span` (M-RoPE positions), `num_supervised` (answer tokens); and what was left out.

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
    for document, row in enumerate(documents.select_columns(["source", "page_sizes", "questions"])):
        if row["page_sizes"] is None or row["questions"] is None:
            rejections.append(Rejection("broken_row", row["source"], "", "its page_sizes or questions are null"))
            continue
        grids = [page_grid(width, height, limits) for width, height in row["page_sizes"]]
        for index, item in enumerate(row["questions"]):
            pages = list(range(1, len(grids) + 1))
            flaw = _flaw(item, len(grids), control)
            if flaw is None:
                length, span = _measure(processor, item, pages, grids)
                if length > max_length and overlong_documents == "keep_evidence" and item["evidence_pages"]:
                    pages = _shorten(processor, item, grids, max_length)
                    length, span = _measure(processor, item, pages, grids) if pages else (length, span)
                if length > max_length:
                    reason = "evidence_too_long" if overlong_documents == "keep_evidence" else "document_too_long"
                    flaw = reason, f"{length} tokens; max_length is {max_length}"
            if flaw is not None:
                rejections.append(Rejection(flaw[0], row["source"], str(item["question"]), flaw[1]))
                continue
            num_supervised = len(answer_ids(processor, item["answer"]))
            rows.append(dict(zip(SAMPLE_COLUMNS, (document, index, pages, length, span, num_supervised))))
    return Dataset.from_dict({name: [row[name] for row in rows] for name in SAMPLE_COLUMNS}), rejections


def _flaw(item: dict, num_pages: int, control: Sequence[str]) -> tuple[str, str] | None:
    question, answer = item["question"], item["answer"]
    if not question or not answer or answer != answer.strip():
        return (
            "unusable_text",
            f"question {question!r}, answer {answer!r}; expected text without white space at its ends",
        )
    if found := next((token for token in control if token in question or token in answer), None):
        return "control_token", f"{found} in its text"
    if any(not 1 <= page <= num_pages for page in item["evidence_pages"] or ()):
        return "evidence_outside", f"evidence on {item['evidence_pages']} of {num_pages} pages"
    return None


def _measure(processor: ProcessorMixin, item: dict, pages: Sequence[int], grids: list) -> tuple[int, int]:
    text = text_length(processor, pages, item["question"], item["answer"])
    shown = [grids[page - 1] for page in pages]
    return sample_length(text, shown), sample_span(text, shown)


def _shorten(processor: ProcessorMixin, item: dict, grids: list, max_length: int) -> list[int] | None:
    question, answer = item["question"], item["answer"]
    base = text_length(processor, [1], question, answer)
    # The longest label is charged to every page: at most a few tokens too many, never one too few.
    label = max(text_length(processor, [1, page], question, answer) for page in range(1, len(grids) + 1)) - base
    costs = [sample_length(label, [grid]) for grid in grids]
    return keep_evidence_pages(costs, item["evidence_pages"], max_length - base)


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


class SampleEncoder:
    """
    Encodes samples when a loader asks for them: the transform of the table that [`samples_dataset`] returns.

    Args:
        documents (`Dataset`): Rows of the published set.
        processor (`ProcessorMixin`): What encodes them.
    """

    def __init__(self, documents: Dataset, processor: ProcessorMixin):
        self.documents = UndecodedRows(documents)
        self.processor = processor

    def __call__(self, batch: dict[str, list]) -> dict[str, list]:
        rows = {index: self.documents[index] for index in set(batch["document"])}
        pages = {}  # opened once, however many samples of the pack show them
        encoded = []
        for document, question, numbers, supervised in zip(
            batch["document"], batch["question"], batch["pages"], batch["supervised"]
        ):
            for number in numbers:
                if (document, number) not in pages:
                    pages[document, number] = _open_page(rows[document], number)
            images = [pages[document, number] for number in numbers]
            item = rows[document]["questions"][question]
            encoded.append(
                encode_sample(self.processor, images, numbers, item["question"], item["answer"], supervised=supervised)
            )
        return {"sample": encoded}


def _open_page(row: dict, number: int) -> PIL.Image.Image:
    images, size = row["images"] or [], tuple(row["page_sizes"][number - 1])
    try:
        image = decode_image(images[number - 1])
        image.load()
    except (OSError, IndexError, TypeError) as error:  # a broken file, a missing page, no bytes
        raise ValueError(
            f"page {number} of {row['source']} cannot be opened: {error!r}; mend or remove the document"
        ) from error
    if image.size != size:
        raise ValueError(
            f"page {number} of {row['source']} is {image.size} pixels, but page_sizes says {size}; the plan would not hold"
        )
    return image


def samples_dataset(samples: Dataset, documents: Dataset, processor: ProcessorMixin) -> Dataset:
    """
    The table of samples as a dataset that encodes on access, twice as long as the table: row `num_samples + i` is sample `i`
    with nothing supervised, for the fillers of a [`~mmprolong_hf.packing.PackingPlan`].
    """
    supervised = [samples.add_column("supervised", [flag] * len(samples)) for flag in (True, False)]
    return concatenate_datasets(supervised).with_transform(SampleEncoder(documents, processor))


def sample_lengths(dataset: Dataset) -> list[int]:
    """Tokens of each sample of what [`samples_dataset`] returned (its supervised half), without encoding any."""
    return dataset.with_format(None)["length"][: len(dataset) // 2]
