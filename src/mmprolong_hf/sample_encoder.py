"""The table of samples becomes a dataset that encodes them when a loader asks, and the parts that packs are made of."""

from functools import lru_cache

import PIL.Image
from datasets import Dataset, concatenate_datasets
from transformers import ProcessorMixin

from mmprolong_hf.encoding import encode_branch, encode_document
from mmprolong_hf.rows import UndecodedRows, decode_image
from mmprolong_hf.sharing import Parts, make_parts


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
        encoded: dict[tuple, dict] = {}  # once, however many samples of the pack show the same pages
        samples = []
        for document, question, numbers, supervised in zip(
            batch["document"], batch["question"], batch["pages"], batch["supervised"]
        ):
            row, shown = rows[document], (document, *numbers)
            if numbers and len(row["images"] or []) != len(row["page_sizes"]):
                raise ValueError(
                    f"{row['source']} has {len(row['images'] or [])} page images but {len(row['page_sizes'])} page_sizes; mend or "
                    "remove the document"
                )
            if shown not in encoded:
                images = [_open_page(row, number) for number in numbers]
                encoded[shown] = encode_document(self.processor, images, numbers)
            item = row["questions"][question]
            samples.append(
                encode_branch(
                    self.processor, encoded[shown], numbers, item["question"], item["answer"], supervised=supervised
                )
            )
        return {"sample": samples}


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
    with nothing supervised, for the fillers of a [`~mmprolong_hf.plan.PackingPlan`].
    """
    supervised = [samples.add_column("supervised", [flag] * len(samples)) for flag in (True, False)]
    return concatenate_datasets(supervised).with_transform(SampleEncoder(documents, processor))


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
