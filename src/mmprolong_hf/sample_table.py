"""The samples that a dry run plans with: those of a dataset, or as many as the paper's where there is none."""

from dataclasses import dataclass
from math import ceil

import numpy as np
from datasets import Dataset
from transformers import ProcessorMixin

from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.lengths import ImageLimits
from mmprolong_hf.paper_samples import paper_samples
from mmprolong_hf.planning import check_usable, page_patches, with_fill
from mmprolong_hf.samples import list_samples, summarize_rejections

PAPER_SAMPLES = 63_000  # the final mixture of MMProLong: 5B tokens at 85.3K on average
PAPER_QUESTION_TOKENS = 60  # of a question, its answer and what the chat template puts around them
PAPER_ANSWER_TOKENS = 12  # of a short answer and the end of its turn; the paper gives no figure


@dataclass(frozen=True)
class SampleTable:
    """What a plan and an estimate need to know of each sample, one entry a sample."""

    description: str
    num_documents: int
    lengths: np.ndarray
    spans: np.ndarray
    num_supervised: np.ndarray
    prefixes: np.ndarray
    prefix_lengths: np.ndarray
    patches: np.ndarray
    page_patches: int  # of a typical page
    num_fill: int = 0  # so many of the last samples only fill room


def measured_samples(
    documents: Dataset, fill: Dataset | None, processor: ProcessorMixin, args: MMProLongConfig, name: str
) -> SampleTable:
    """
    The samples of a dataset.

    Args:
        documents (`Dataset`): One row per document.
        fill (`Dataset` or `None`): Such rows whose samples only fill room.
        processor (`ProcessorMixin`): What would encode them.
        args (`MMProLongConfig`): The recipe.
        name (`str`): What the dataset is called.

    Raises:
        ValueError: when no sample can be used.
    """
    everything = documents if fill is None else with_fill(documents, fill)
    table, rejections = list_samples(
        everything,
        processor,
        max_length=args.max_length,
        overlong_documents=args.overlong_documents,
        first_fill=len(documents),
    )
    check_usable(table, rejections, fill=fill is not None)
    note = f"; {summarize_rejections(rejections)}" if rejections else ""
    return SampleTable(
        description=f"{name}{note}",
        num_documents=len(documents),
        lengths=np.array(table["length"]),
        spans=np.array(table["span"]),
        num_supervised=np.array(table["num_supervised"]),
        prefixes=np.array(table["prefix"]),
        prefix_lengths=np.array(table["prefix_length"]),
        patches=np.array(table["num_patches"]),
        page_patches=page_patches(table),
        num_fill=sum(table["fill"]),
    )


def assumed_samples(limits: ImageLimits, args: MMProLongConfig, reason: str) -> SampleTable:
    """
    Samples as long as the paper's, with as many questions a document as may share it.

    Args:
        limits (`ImageLimits`): Of the processor.
        args (`MMProLongConfig`): The recipe.
        reason (`str`): Why they are assumed.

    Raises:
        ValueError: when all of them are longer than `max_length`.
    """
    per_document = args.max_questions_per_pack if args.share_documents else 1
    sizes = paper_samples(ceil(PAPER_SAMPLES / per_document), seed=args.seed, limits=limits)
    fits = sizes.lengths <= args.max_length
    if not fits.any():
        raise ValueError(
            f"{reason}, and every sample of the paper's length distribution is longer than max_length={args.max_length}; "
            "name a local dataset to plan on, or raise max_length"
        )
    note = "" if fits.all() else f", {(~fits).sum():,} documents of them longer than max_length and left out"
    document = np.repeat(np.flatnonzero(fits), per_document)
    asked = f"{per_document} question{'s'[: per_document != 1]} a document"
    return SampleTable(
        description=f"{reason}: planned on the paper's length distribution instead ({PAPER_SAMPLES:,} samples, {asked}{note})",
        num_documents=int(fits.sum()),
        lengths=sizes.lengths[document],
        spans=sizes.spans[document],
        num_supervised=np.full(len(document), PAPER_ANSWER_TOKENS),
        prefixes=document,
        prefix_lengths=sizes.lengths[document] - PAPER_QUESTION_TOKENS,
        patches=(sizes.num_pages * sizes.page_patches)[document],
        page_patches=int(sizes.page_patches.mean()),
    )
