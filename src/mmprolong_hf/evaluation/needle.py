"""Needle in a haystack of page images: at which context lengths and depths does a checkpoint still find one sentence?"""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path

import torch
import transformers
from PIL import Image
from tqdm import tqdm
from transformers import PreTrainedModel, ProcessorMixin

import mmprolong_hf
from mmprolong_hf.encoding import image_limits, load_processor
from mmprolong_hf.rows import decode_image
from mmprolong_hf.evaluation.drawing import Needle, draw_needle
from mmprolong_hf.evaluation.generate import answer, load_model
from mmprolong_hf.evaluation.haystack import context_length, fill_context, page_at_depth, page_order
from mmprolong_hf.evaluation.heatmap import draw_heatmap
from mmprolong_hf.evaluation.scoring import check_needle, summarize_grid, wilson_interval
from mmprolong_hf.lengths import page_tokens

LENGTHS = (8192, 16384, 32768, 65536, 131072)
DEPTHS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def run_needle(
    model_path: str,
    documents: Sequence[dict],
    output_folder: str | Path,
    *,
    lengths: Sequence[int] = LENGTHS,
    depths: Sequence[float] = DEPTHS,
    trials: int = 3,
    needle: Needle | None = None,
    seed: int = 0,
) -> dict:
    """
    Measure a checkpoint and write `needle.json` and `heatmap.png`.

    Args:
        model_path (`str`): A checkpoint folder, or the id of a model on the Hub.
        documents (`Sequence[dict]`): Rows with `doc_id`, `page_sizes` and `images` as in `DOCUMENT_FEATURES`. Images of
            [`~mmprolong_hf.rows.UndecodedRows`] are opened only where they are needed.
        output_folder (`str` or `Path`): Made if it does not exist.
        lengths, depths, trials, needle, seed: As in [`measure_needle`].

    Returns:
        `dict`: The report of [`measure_needle`], with `model` and `versions`; `needle.json` holds the same, byte for byte the
        same for the same checkpoint, pages, seed and machine.

    Raises:
        ValueError: as [`measure_needle`].

    Example:

    ```python
    from datasets import load_dataset

    rows = UndecodedRows(load_dataset("my-documents", split="test"))
    report = run_needle("my-checkpoint", rows, "needle", lengths=[8192, 131072], depths=[0.0, 0.5, 1.0])
    report["summary"]["per_length"]  # e.g. {8192: 1.0, 131072: 0.78}
    ```
    """
    processor = load_processor(model_path)
    report = {
        "model": str(model_path),
        "versions": {module.__name__: module.__version__ for module in (mmprolong_hf, transformers, torch)},
        **measure_needle(
            load_model(model_path), processor, documents,
            lengths=lengths, depths=depths, trials=trials, needle=needle, seed=seed,
        ),
    }  # fmt: skip
    output_folder = Path(output_folder)
    output_folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
    (output_folder / "needle.json").write_text(content, encoding="utf-8")
    draw_heatmap(report["summary"], depths, output_folder / "heatmap.png", title=str(model_path))
    return report


def measure_needle(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    documents: Sequence[dict],
    *,
    lengths: Sequence[int] = LENGTHS,
    depths: Sequence[float] = DEPTHS,
    trials: int = 3,
    needle: Needle | None = None,
    seed: int = 0,
) -> dict:
    """
    Ask a loaded model for one needle in each haystack of context length x depth x trial.

    Args:
        model (`PreTrainedModel`): From [`~mmprolong_hf.evaluation.generate.load_model`].
        processor (`ProcessorMixin`): From [`~mmprolong_hf.encoding.load_processor`].
        documents (`Sequence[dict]`): As in [`run_needle`].
        lengths (`Sequence[int]`): Context lengths in tokens, question and answer included.
        depths (`Sequence[float]`): 0 is the first page, 1 the last.
        trials (`int`): Haystacks of each cell, each with documents in another order and another needle.
        needle (`Needle`, *optional*): What is hidden; the default one if not given.
        seed (`int`): Of the order of documents, the needles and their places.

    Returns:
        `dict` with the arguments, `records` and `summary`. A haystack that the pages cannot fill has no record, and a cell
        without one is `None` in the summary's grid.

    Raises:
        ValueError: for no documents, lengths that do not increase, depths outside 0 to 1 or no trial.
    """
    _check(documents, lengths, depths, trials)
    needle = needle or Needle()
    sizes = [row["page_sizes"] for row in documents]  # once: to read a row may decode its images
    records = []
    for trial, length, depth in tqdm(list(product(range(trials), lengths, depths)), desc="needles", unit="needle"):
        hidden = hide_needle(processor, documents, sizes, needle, length=length, depth=depth, trial=trial, seed=seed)
        if hidden is not None:
            images, record = hidden
            output = answer(model, processor, images, record["question"])
            records.append({**record, "output": output, "score": check_needle(record["answer"], output)})
    summary = summarize_grid(records, lengths, len(depths), list(depths).index)
    summary["per_length_interval"] = {
        length: _interval([record for record in records if record["length"] == length]) for length in lengths
    }
    arguments = {"lengths": list(lengths), "depths": list(depths), "trials": trials, "seed": seed}
    return {**arguments, "needle": asdict(needle), "summary": summary, "records": records}


def _check(documents: Sequence[dict], lengths: Sequence[int], depths: Sequence[float], trials: int) -> None:
    if not len(documents):
        raise ValueError("documents is empty, expected at least one row with page_sizes and images")
    if not lengths or list(lengths) != sorted(set(lengths)) or lengths[0] < 1:
        raise ValueError(f"lengths is {list(lengths)}, expected increasing numbers of tokens")
    if not depths or list(depths) != sorted(set(depths)) or depths[0] < 0 or depths[-1] > 1:
        raise ValueError(f"depths is {list(depths)}, expected increasing numbers from 0 to 1")
    if trials < 1:
        raise ValueError(f"trials is {trials}, expected at least 1")


def hide_needle(
    processor: ProcessorMixin,
    documents: Sequence[dict],
    sizes: Sequence[Sequence[tuple[int, int]]],
    needle: Needle,
    *,
    length: int,
    depth: float,
    trial: int,
    seed: int,
) -> tuple[list[Image.Image], dict] | None:
    """
    One haystack with its needle: a function of its arguments alone, and of `trial` and `seed` as the only chance.

    Args:
        processor, documents, needle, length, depth, trial, seed: As in [`measure_needle`], for one cell and trial.
        sizes (`Sequence[Sequence[tuple[int, int]]]`): (width, height) of every page of every document.

    Returns:
        `tuple` or `None`: The page images, and a record of what is hidden where and how it is asked for; `None` if the pages
        cannot fill the context.
    """
    order = page_order([len(pages) for pages in sizes], random.Random(f"{seed} {trial}"))
    page_sizes = [tuple(sizes[document][page]) for document, page in order]
    rng = random.Random(f"{seed} {trial} {length} {depth}")
    key, value = rng.choice(needle.keys), rng.choice(needle.values)
    # Room is left for the question with the highest page number, since which page it will name is not known yet.
    longest_question = needle.question.format(key=key, page=len(order))
    num_pages = fill_context(processor, page_sizes, longest_question, value, length)
    if num_pages is None:
        return None
    order, page_sizes, limits = order[:num_pages], page_sizes[:num_pages], image_limits(processor)
    target = page_at_depth([page_tokens(width, height, limits) for width, height in page_sizes], depth)
    question = needle.question.format(key=key, page=target + 1)
    text = needle.text.format(key=key, value=value, page=target + 1)
    rows = {document: documents[document] for document in {document for document, _ in order}}
    images = [decode_image(rows[document]["images"][page]) for document, page in order]
    images[target], box = draw_needle(images[target], text, size=needle.size, limits=limits, rng=rng)
    document, page = order[target]
    return images, {
        "length": length,
        "depth": depth,
        "trial": trial,
        "num_tokens": context_length(processor, page_sizes, question, value),
        "num_pages": num_pages,
        "page": target + 1,
        "source": {"doc_id": rows[document]["doc_id"], "page": page + 1},
        "box": [round(edge, 4) for edge in box],
        "text": text,
        "question": question,
        "answer": value,
    }


def _interval(records: Sequence[dict]) -> list[float]:
    return list(wilson_interval(sum(record["score"] for record in records), len(records)))
