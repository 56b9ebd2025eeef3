"""Needle in a haystack of page images: at which context lengths and depths does a checkpoint still find what is hidden?"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from tqdm import tqdm
from transformers import ProcessorMixin

from mmprolong_hf.encoding import load_processor
from mmprolong_hf.evaluation.generate import load_model
from mmprolong_hf.evaluation.haystack import Haystack
from mmprolong_hf.evaluation.kept_answers import keep_answers
from mmprolong_hf.evaluation.metrics.needle import score
from mmprolong_hf.evaluation.needle_contexts import check_distinct, hide_needles
from mmprolong_hf.evaluation.needle_kinds import Needle, load_needle
from mmprolong_hf.evaluation.needle_report import summarize_needles, write_needle_report
from mmprolong_hf.evaluation.plan_engine import named_engine
from mmprolong_hf.evaluation.requests import Context, Engine

LENGTHS = (8192, 16384, 32768, 65536, 131072)
DEPTHS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
ANSWERS = "needle_answers.jsonl"
THRESHOLD = 0.85  # share of needles found at which a length counts as mastered, about RULER's (arXiv 2404.06654)


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
    isolated: bool = False,
    skipped: Sequence[dict] = (),
) -> dict:
    """
    Measure a checkpoint and write `needle.csv`, `per_length.md`, `heatmap.png` and, last, `needle.json`.

    Each answer is written to `needle_answers.jsonl` as it comes. A run that was stopped goes on when it is called again, and
    asks what has no answer there or a failed one. Other lengths, depths, trials, seeds, pages or needles are other
    questions: their answers are not mixed. Those of another model are refused.

    Args:
        model_path (`str`): A checkpoint folder, or the id of a model on the Hub.
        documents (`Sequence[dict]`): Rows with `doc_id`, `page_sizes` and `images` as in `DOCUMENT_FEATURES`: those of
            [`~mmprolong_hf.evaluation.needle_pdfs.PdfFolder`], or of [`~mmprolong_hf.rows.UndecodedRows`].
        output_folder (`str` or `Path`): Made if it does not exist.
        lengths, depths, trials, needle, seed, isolated: As in [`measure_needle`].
        skipped (`Sequence[dict]`): PDFs that were left out, for the report.

    Returns:
        `dict`: The report of [`measure_needle`], with `model` and `versions`; `needle.json` holds the same, byte for byte the
        same for the same checkpoint, pages, seed and machine, stopped or not.

    Raises:
        ValueError: as [`measure_needle`], and as [`~mmprolong_hf.evaluation.kept_answers.keep_answers`].

    Example:

    ```python
    documents = PdfFolder("my-pdfs")
    report = run_needle("my-checkpoint", documents, "needle", lengths=[8192, 131072], skipped=documents.skipped)
    report["summary"]["per_length"]  # e.g. {8192: 1.0, 131072: 0.78}
    ```
    """
    needle = needle or load_needle()
    _check(documents, lengths, depths, trials, needle, isolated)  # before minutes are spent on the weights
    processor = load_processor(model_path)
    engine = named_engine(load_model(model_path), processor)
    with keep_answers(engine, Path(output_folder, ANSWERS)) as keeping:
        report = {
            "model": str(model_path),
            "versions": {name: version(name) for name in ("mmprolong_hf", "transformers", "torch", "pillow", "pypdfium2")},
            **measure_needle(
                keeping, processor, documents,
                lengths=lengths, depths=depths, trials=trials, needle=needle, seed=seed, isolated=isolated,
            ),
            "skipped": list(skipped),
        }  # fmt: skip
        write_needle_report(report, output_folder, title=str(model_path))
    return report


def measure_needle(
    engine: Engine,
    processor: ProcessorMixin,
    documents: Sequence[dict],
    *,
    lengths: Sequence[int] = LENGTHS,
    depths: Sequence[float] = DEPTHS,
    trials: int = 3,
    needle: Needle | None = None,
    seed: int = 0,
    isolated: bool = False,
) -> dict:
    """
    Ask an engine for what is hidden in haystacks of every context length, at every depth.

    All depths of a length and trial are hidden in one haystack, whose pages the engine reads once.

    Args:
        engine (`Engine`): Answers; one from [`~mmprolong_hf.evaluation.kept_answers.keep_answers`] goes on after a stop.
        processor (`ProcessorMixin`): The model's, from [`~mmprolong_hf.encoding.load_processor`]: it decides how many tokens
            a page is, and how large a needle must be to be read.
        documents (`Sequence[dict]`): As in [`run_needle`].
        lengths (`Sequence[int]`): Context lengths in tokens, question and answer included.
        depths (`Sequence[float]`): 0 is the first page, 1 the last.
        trials (`int`): Haystacks of each length, each with documents in another order and other needles.
        needle (`Needle`, *optional*): What is hidden; a sentence if not given.
        seed (`int`): Of the order of documents, the needles and their places.
        isolated (`bool`): A context for each needle: as many times the work as there are depths, to check that needles in
            one haystack do not disturb each other.

    Returns:
        `dict` with the arguments, `engine`, `threshold`, `summary` ([`~mmprolong_hf.evaluation.needle_report.summarize_needles`])
        and `records`: those of [`~mmprolong_hf.evaluation.needle_contexts.hide_needles`] with `output`, `error`,
        `prompt_tokens`, `largest_position` and `score`. A needle that could not be hidden has no record: it is in
        `missing` with its reason, and a cell without any record is `None` in the summary's grid.

    Raises:
        ValueError: for no documents, lengths that do not increase, depths outside 0 to 1, no trial, or needles that
            could not be told apart.
    """
    needle = needle or load_needle()
    _check(documents, lengths, depths, trials, needle, isolated)
    arguments = {
        "lengths": list(lengths),
        "depths": list(depths),
        "trials": trials,
        "seed": seed,
        "isolated": isolated,
    }
    records, missing = [], []
    haystacks = _haystacks(processor, documents, needle, missing, **arguments)
    with tqdm(total=len(lengths) * len(depths) * trials, desc="needles", unit="needle") as progress:
        for context, asked in haystacks:
            records += _ask(engine, context, asked)
            progress.update(len(asked))
    records.sort(key=lambda record: (record["trial"], record["length"], record["depth"]))
    return {
        **arguments,
        "threshold": THRESHOLD,
        "needle": asdict(needle),
        "engine": engine.name,
        "summary": summarize_needles(records, lengths, depths, trials, THRESHOLD),
        "records": records,
        "missing": missing,
        "skipped": [],
    }


def _haystacks(
    processor: ProcessorMixin,
    documents: Sequence[dict],
    needle: Needle,
    missing: list[dict],
    *,
    lengths: Sequence[int],
    depths: Sequence[float],
    trials: int,
    seed: int,
    isolated: bool,
) -> Iterator[tuple[Context, list[dict]]]:
    sizes = [row["page_sizes"] for row in documents]  # once: to read a row may read its images
    for trial in range(trials):
        haystack = Haystack(documents, sizes, random.Random(f"{seed} {trial}"))
        for length in lengths:
            yield from hide_needles(
                processor, haystack, needle,
                length=length, depths=depths, trial=trial, seed=seed, isolated=isolated, missing=missing,
            )  # fmt: skip


def _ask(engine: Engine, context: Context, asked: Sequence[dict]) -> list[dict]:
    """The records of a context's questions with what the engine said, but not what differs from run to run."""
    answers = {answer.id: answer for answer in engine.answer(context)}
    records = []
    for record in asked:
        answer = answers[record["id"]]
        reply = {"output": answer.text, "error": answer.error}
        reply |= {"prompt_tokens": answer.prompt_tokens, "largest_position": answer.largest_position}
        records.append(record | reply | {"score": int(score(record["answer"], answer.text).value)})
    return records


def _check(
    documents: Sequence[dict],
    lengths: Sequence[int],
    depths: Sequence[float],
    trials: int,
    needle: Needle,
    isolated: bool,
) -> None:
    if not len(documents):
        raise ValueError("documents is empty, expected at least one row with page_sizes and images")
    if not lengths or list(lengths) != sorted(set(lengths)) or lengths[0] < 1:
        raise ValueError(f"lengths is {list(lengths)}, expected increasing numbers of tokens")
    if not depths or list(depths) != sorted(set(depths)) or depths[0] < 0 or depths[-1] > 1:
        raise ValueError(f"depths is {list(depths)}, expected increasing numbers from 0 to 1")
    if trials < 1:
        raise ValueError(f"trials is {trials}, expected at least 1")
    if not isolated:
        check_distinct(needle, len(depths))
