"""What a plan asks: its examples, their contexts, and what the record of each says beside the answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset, load_dataset
from datasets.exceptions import DatasetNotFoundError

from mmprolong_hf.encoding import load_processor
from mmprolong_hf.evaluation.benchmark_rows import read_jsonl, read_tsv
from mmprolong_hf.evaluation.document_questions import question_examples
from mmprolong_hf.evaluation.examples import (
    Example,
    ExampleSet,
    Skipped,
    join_sets,
    length_name,
    without_control_tokens,
)
from mmprolong_hf.evaluation.options import DocumentsOptions, EvaluationOptions, MMLongBenchOptions
from mmprolong_hf.evaluation.prompting import asked_question, label_collisions, load_prompt, make_contexts
from mmprolong_hf.evaluation.requests import Context
from mmprolong_hf.evaluation.source_documents import dataset_documents, pdf_documents


@dataclass(frozen=True)
class PlanQuestions:
    """
    All questions of a plan.

    Args:
        contexts (`list[Context]`): In the order in which they are asked.
        columns (`dict[str, dict]`): A question's id -> what its record says beside the answer.
        skipped (`list[dict]`): What could not be asked: `id`, `dataset`, `context_length`, `reason`, `detail`.
        notes (`list[str]`): What a reader of the scores has to know.
    """

    contexts: list[Context]
    columns: dict[str, dict]
    skipped: list[dict]
    notes: list[str]


def plan_questions(options: EvaluationOptions) -> PlanQuestions:
    """
    Read or build everything that a plan asks.

    Args:
        options (`EvaluationOptions`): The plan.

    Raises:
        ValueError: when a source is not there or not as expected, or when no question can be asked.
    """
    found = PlanQuestions([], {}, [], [])
    if options.mmlongbench is not None:
        try:
            part = join_sets(_mmlongbench_sets(options.mmlongbench))
            part = without_control_tokens(part, load_processor(options.model).tokenizer)
        except FileNotFoundError as error:
            raise ValueError(f"mmlongbench: {error}") from error
        cells = {
            (dataset, length) for dataset in options.mmlongbench.datasets for length in options.mmlongbench.lengths
        }
        _add(found, part, cells, options.mmlongbench.prompt_version, options.max_new_tokens)
    for documents in options.documents:
        part = _documents_set(documents, options)
        cells = {(documents.name, length) for length in documents.lengths}
        _add(found, part, cells, documents.prompt_version, options.max_new_tokens)
    if not found.contexts:
        reasons = sorted({row["reason"] for row in found.skipped})
        raise ValueError(
            f"no question can be asked: {len(found.skipped)} were left out ({', '.join(reasons) or 'none is there'})"
        )
    return found


def _mmlongbench_sets(options: MMLongBenchOptions) -> Iterator[ExampleSet]:
    choice = {"max_questions": options.max_questions, "seed": options.seed}
    if options.folder is not None:
        for dataset in options.datasets:
            for length in options.lengths:
                path = Path(options.folder, "documentQA", f"{dataset}_K{length // 1024}.jsonl")
                if not path.is_file():
                    raise ValueError(
                        f"{path} is not there, expected MMLongBench's 0_mmlb_data.tar.gz unpacked in folder"
                    )
                yield read_jsonl(path, options.image_folder, **choice)
    for path in options.tsv:
        yield read_tsv(path, options.image_folder, **choice)


def _documents_set(options: DocumentsOptions, plan: EvaluationOptions) -> ExampleSet:
    if options.dataset is not None:
        documents, skipped = dataset_documents(_load(options.dataset, options.split)), []
    else:
        documents, skipped = pdf_documents(options.questions, options.pdfs)
    made = question_examples(
        documents,
        load_processor(plan.model),
        plan.pages,
        dataset=options.name,
        lengths=options.lengths,
        prompt_version=options.prompt_version,
        share_context=options.share_context,
        seed=options.seed,
        max_new_tokens=plan.max_new_tokens,
    )
    return join_sets([ExampleSet((), tuple(skipped)), made])


def _load(name: str, split: str) -> Dataset:
    try:
        return load_dataset(name, split=split)
    except (DatasetNotFoundError, ConnectionError, FileNotFoundError, ValueError) as error:
        raise ValueError(
            f"dataset {name!r} with the split {split!r} is neither a local folder nor on the Hub ({error}); make one "
            "with `mmprolong build PDFS FOLDER`"
        ) from error


Cells = set[tuple[str, int | None]]


def _add(found: PlanQuestions, part: ExampleSet, cells: Cells, prompt_version: str, max_new_tokens: int) -> None:
    found.contexts.extend(make_contexts(part.examples, prompt_version, max_new_tokens=max_new_tokens))
    found.columns.update({example.id: _columns(example, prompt_version) for example in part.examples})
    cells = cells | {(example.dataset, example.context_length) for example in part.examples}
    found.skipped.extend(_skipped_row(skipped, cells) for skipped in part.skipped)
    found.notes.extend([*part.notes, *label_collisions(part.examples, prompt_version)])


def _columns(example: Example, prompt_version: str) -> dict:
    return {
        "dataset": example.dataset,
        "context_length": example.context_length,
        "prompt_version": prompt_version,
        "question": example.question,
        "asked": asked_question(load_prompt(prompt_version), example),
        "answer": example.answer,
        "answer_format": example.answer_format,
        "doc_name": example.doc_name,
        "evidence": list(example.evidence),
        "evidence_depths": list(example.evidence_depths),
    }


def _skipped_row(skipped: Skipped, cells: Cells) -> dict:
    """The cell of a question is in its id; a document that is left out as a whole is in none."""
    row = {"id": skipped.id, "reason": skipped.reason, "detail": skipped.detail}
    for dataset, length in cells:
        if length is not None and skipped.id.startswith(f"{dataset}/{length_name(length)}/"):
            return row | {"dataset": dataset, "context_length": length}
    return row | {"dataset": "documents", "context_length": None}
