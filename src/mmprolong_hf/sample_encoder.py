"""The table of samples becomes a dataset that encodes them when a loader asks, and the parts that packs are made of."""

import re
import struct
import zlib
from collections.abc import Sequence
from functools import lru_cache

import PIL.Image
from datasets import Dataset, concatenate_datasets
from transformers import ProcessorMixin

from mmprolong_hf.broken_pages import BrokenPage
from mmprolong_hf.encoding import encode_branch, encode_document
from mmprolong_hf.rows import UndecodedRows, decode_image
from mmprolong_hf.sharing import Parts, make_parts
from mmprolong_hf.synthesis.rejected import RejectedDocument

# What Pillow's decoders raise for bytes that are no image
_UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, PIL.Image.DecompressionBombError)


class SampleEncoder:
    """
    Encodes samples when a loader asks for them: the transform of the table that [`samples_dataset`] returns.

    A sample whose pages cannot be read is `None`, with its [`~mmprolong_hf.broken_pages.BrokenPage`] under `rejected`. Where that
    leaves nothing, a blank page with nothing supervised stands in: a rank that runs no model would keep the others waiting. All
    this follows from the rows alone, so every rank and every resume finds the same.

    Args:
        documents (`Dataset`): Rows of the published set.
        processor (`ProcessorMixin`): What encodes them.
        uint8 (`bool`): As in [`~mmprolong_hf.encoding.encode_page`].
    """

    def __init__(self, documents: Dataset, processor: ProcessorMixin, *, uint8: bool = False):
        self.documents = UndecodedRows(documents)
        self.processor, self.uint8 = processor, uint8

    def __call__(self, batch: dict[str, list]) -> dict[str, list]:
        rows = {index: self.documents[index] for index in set(batch["document"])}
        encoded: dict[tuple, dict | BrokenPage] = {}  # once, however many samples of the pack show the same pages
        samples, rejected = [], []
        for document, question, numbers, supervised in zip(
            batch["document"], batch["question"], batch["pages"], batch["supervised"]
        ):
            row, shown = rows[document], (document, *numbers)
            if shown not in encoded:
                encoded[shown] = self._encode(_open_pages(row, numbers), numbers)
            if isinstance(encoded[shown], BrokenPage):
                samples.append(None)
                # A filler's pages are counted where they are trained
                rejected.append(encoded[shown] if supervised else None)
                continue
            item = row["questions"][question]
            samples.append(
                encode_branch(
                    self.processor, encoded[shown], numbers, item["question"], item["answer"], supervised=supervised
                )
            )
            rejected.append(None)
        if all(sample is None for sample in samples):
            blank = self._encode([_BLANK], [1])
            samples[0] = encode_branch(self.processor, blank, [1], "-", "-", supervised=False)
        return {"sample": samples, "rejected": rejected}

    def _encode(self, images: list[PIL.Image.Image] | BrokenPage, numbers: Sequence[int]) -> dict | BrokenPage:
        if isinstance(images, BrokenPage):
            return images
        return encode_document(self.processor, images, numbers, uint8=self.uint8)


_BLANK = PIL.Image.new("RGB", (32, 32), "white")


def _open_pages(row: dict, numbers: Sequence[int]) -> list[PIL.Image.Image] | BrokenPage:
    """The pages, or the first that cannot be shown as the plan has counted it."""
    source, sizes, images = row["source"], row["page_sizes"], []
    if not numbers:
        return images
    try:
        stored = row["images"] or []
        num_stored = len(stored)
    except RejectedDocument as error:  # a PDF that cannot be opened
        return BrokenPage(source, 0, "undecodable", str(error))
    if num_stored != len(sizes):
        return BrokenPage(source, 0, "missing", f"{num_stored} page images but {len(sizes)} page_sizes")
    for number in numbers:
        try:
            image = stored[number - 1]
        except RejectedDocument as error:  # a page of a PDF that cannot be rendered
            return BrokenPage(source, number, "undecodable", str(error))
        if image is None or not image["bytes"]:
            return BrokenPage(source, number, "missing", "it has no bytes")
        try:
            image = decode_image(image)
            image.load()
        except _UNDECODABLE as error:
            if _is_of_the_machine(error):
                raise
            # Without the address that Pillow names: the same text everywhere
            detail = re.sub(r" <.* at 0x\w+>", "", f"{type(error).__name__}: {error}")
            return BrokenPage(source, number, "undecodable", detail)
        if list(image.size) != list(sizes[number - 1]):
            return BrokenPage(
                source, number, "wrong_size", f"{image.size}, but page_sizes says {tuple(sizes[number - 1])}"
            )
        images.append(image)
    return images


def _is_of_the_machine(error: Exception) -> bool:
    """Too many open files, no memory: another rank would read the same page. Pillow has no number for its own lack of memory."""
    return isinstance(error, OSError) and (error.errno is not None or "out of memory" in str(error))


def samples_dataset(
    samples: Dataset, documents: Dataset, processor: ProcessorMixin, *, uint8: bool = False
) -> Dataset:
    """
    The table of samples as a dataset that encodes on access, twice as long as the table: row `num_samples + i` is sample `i`
    with nothing supervised, for the fillers of a [`~mmprolong_hf.plan.PackingPlan`].
    """
    supervised = [samples.add_column("supervised", [flag] * len(samples)) for flag in (True, False)]
    return concatenate_datasets(supervised).with_transform(SampleEncoder(documents, processor, uint8=uint8))


# Of a dataset, by identity: a trainer asks again and again. The last four stay alive with it, which are tables without images.
@lru_cache(maxsize=4)
def sample_parts(dataset: Dataset, *, max_length: int, max_questions: int, seed: int | None) -> Parts:
    """
    The parts that packs are made of, from the table of samples (its supervised half), without encoding any. Those that only fill
    room stand alone, at the end.

    Args:
        dataset (`Dataset`): From [`samples_dataset`].
        max_length, max_questions, seed: As in [`~mmprolong_hf.sharing.share_prefixes`].
    """
    plain = dataset.with_format(None)
    columns = ("length", "prefix", "prefix_length", "num_patches")
    table = [plain[name][: len(dataset) // 2] for name in columns]
    return make_parts(
        *table, num_fill=count_fill(dataset), max_length=max_length, max_questions=max_questions, seed=seed
    )


def count_fill(dataset: Dataset) -> int:
    """How many samples of what [`samples_dataset`] returned only fill room; they are the last."""
    return sum(dataset.with_format(None)["fill"][: len(dataset) // 2])
