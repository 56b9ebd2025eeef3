"""
Examples of MMLongBench's questions about documents, from its JSONL files or from VLMEvalKit's TSV files of it.

No real file could be read where this was written: it follows the description of EdinburghNLP/MMLongBench at 22b9f27 (data.py, README)
and of open-compass/VLMEvalKit at e8e78f0 (vlmeval/dataset/mmlongbench.py). What a row holds is read in `benchmark_fields` alone.
"""

import csv
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmprolong_hf.evaluation.benchmark_fields import BenchmarkRow, from_json, from_tsv, read_row, read_utf8
from mmprolong_hf.evaluation.examples import Example, ExampleSet, Skipped, join_sets, length_name
from mmprolong_hf.evaluation.metrics.sampling import shuffle_select
from mmprolong_hf.evaluation.page_counts import pages_per_example
from mmprolong_hf.evaluation.requests import PageImage

DATASETS = ("mmlongdoc", "longdocurl", "slidevqa")
ANSWER_FORMATS = ("Integer", "Float", "String", "None", "List")
TSV_COLUMNS = ("question_id", "mmlb_subset", "source_dataset", "image_path", "extra_info")  # of all that are read
MAX_QUESTIONS = 100  # of each dataset and length, as in MMLongBench's and MMProLong's tables
# MMLongBench-Doc and LongDocURL number their files from 0, SlideVQA's decks are numbered from 1 (MMLongBench's README).
_FILE_FROM_0 = re.compile(r"_page(\d+)\.\w+$")
_FILE_FROM_1 = re.compile(r"-(\d+)-\d+\.\w+$")


def read_jsonl(
    path: str | Path, image_folder: str | Path, *, max_questions: int | None = MAX_QUESTIONS, seed: int = 42
) -> ExampleSet:
    """
    The examples of one of MMLongBench's files, e.g. `documentQA/mmlongdoc_K64.jsonl`. Dataset and length are in its name.

    Args:
        path (`str` or `Path`): The file.
        image_folder (`str` or `Path`): Where the paths of pages start, e.g. `mmlb_image`.
        max_questions (`int`, *optional*, defaults to 100): How many of the file's rows are asked, chosen as MMLongBench does.
        seed (`int`, *optional*, defaults to 42): MMLongBench's.

    Raises:
        ValueError: when the file's name, a line or a page's name is not as expected, or two rows have one id.
        FileNotFoundError: when a page image is not there.
    """
    path = Path(path)
    if not (match := re.fullmatch(rf"({'|'.join(DATASETS)})_K(\d+)\.jsonl", path.name)):
        raise ValueError(
            f"the file is {path.name!r}, expected {' or '.join(DATASETS)} with _K64.jsonl, say, behind it"
        )
    dataset, length = match[1], int(match[2]) * 1024
    rows = []
    for number, line in enumerate(read_utf8(path).split("\n"), 1):
        if line.strip():
            rows.append(read_row(from_json, line, f"line {number} of {path}"))
    return _examples(rows, dataset, length, image_folder, max_questions, seed)


def read_tsv(
    path: str | Path, image_folder: str | Path, *, max_questions: int | None = MAX_QUESTIONS, seed: int = 42
) -> ExampleSet:
    """
    The examples of one of VLMEvalKit's files, e.g. `MMLongBench_256K.tsv`, which has all three datasets: `max_questions` of each,
    chosen from its rows in their order. The files of 256K and 512K hold half of the questions, so these need not be the paper's
    100. Rows of other tasks are left out, and a note counts them.

    Args:
        path, image_folder, max_questions, seed: As in [`read_jsonl`]. Images may be in the column `image`, as a list of
            base64, instead of the folder.

    Raises:
        ValueError: when there is no question about documents, and as [`read_jsonl`].
        FileNotFoundError: when a page image is not there.
    """
    rows: dict[tuple[str, int], list[BenchmarkRow]] = {}
    others: Counter[str] = Counter()
    for number, row in enumerate(_tsv_rows(path), 1):
        if match := re.match(r"documentQA_(\d+)", row["mmlb_subset"]):
            key = row["source_dataset"], int(match[1]) * 1024
            rows.setdefault(key, []).append(read_row(from_tsv, row, f"row {number} of {path}"))
        else:
            others[row["mmlb_subset"]] += 1
    if not rows:
        raise ValueError(f"{path} has no question about documents, only rows of {', '.join(others) or 'nothing'}")
    if unknown := {dataset for dataset, _ in rows} - set(DATASETS):
        raise ValueError(f"{path} has rows of {min(unknown)!r}, expected {', '.join(DATASETS)}")
    sets = [_examples(found, *key, image_folder, max_questions, seed) for key, found in rows.items()]
    notes = tuple(f"{Path(path).name}: {count} rows of {subset} are not read" for subset, count in others.items())
    return join_sets([*sets, ExampleSet((), (), notes)])


def _tsv_rows(path: str | Path) -> Iterator[dict]:
    limit = csv.field_size_limit(sys.maxsize)  # the pages of a row are one field
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, dialect="excel-tab")
            if lacking := set(TSV_COLUMNS) - set(reader.fieldnames or ()):
                raise ValueError(f"{path} has no column {min(lacking)!r}, expected VLMEvalKit's MMLongBench_*.tsv")
            for number, row in enumerate(reader, 1):
                if lacking := [name for name in TSV_COLUMNS if row[name] is None]:
                    raise ValueError(
                        f"row {number} of {path} ends before {lacking[0]!r}, expected all columns: is it whole?"
                    )
                yield row
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 ({error}), expected VLMEvalKit's file as it is published") from error
    finally:
        csv.field_size_limit(limit)


def _examples(
    rows: Sequence[BenchmarkRow],
    dataset: str,
    length: int,
    image_folder: str | Path,
    max_questions: int | None,
    seed: int,
) -> ExampleSet:
    name = f"{dataset}/{length_name(length)}"
    twice = [id for id, count in Counter(row.id for row in rows).items() if count > 1]
    if twice:
        raise ValueError(f"{name} has several rows with the id {twice[0]!r}, expected one of each")
    chosen = range(len(rows)) if max_questions is None else shuffle_select(len(rows), max_questions, seed)
    examples, skipped = [], []
    for row in (rows[index] for index in chosen):
        if problem := _problem(row):
            skipped.append(Skipped(f"{name}/{row.id}", *problem))
        else:
            examples.append(_example(row, dataset, length, Path(image_folder)))
    _check_images(examples)
    astray = [example.id for example in examples if example.doc_name not in example.labels]
    notes = [f"{len(astray)} examples have no page of their document, the first is {astray[0]}"] if astray else []
    notes += [str(count) for count in pages_per_example(examples) if count.is_unusual]
    return ExampleSet(tuple(examples), tuple(skipped), tuple(notes))


def _problem(row: BenchmarkRow) -> tuple[str, str] | None:
    """Why a row cannot be asked or scored."""
    if row.wrong:
        return "wrong type", f"{row.wrong}; expected text, and lists of page numbers and of paths"
    if not row.question.strip() or not row.answer.strip():
        return "empty", f"question {row.question!r} and answer {row.answer!r}, expected text in both"
    if row.answer_format not in ANSWER_FORMATS:
        return "answer_format", f"it is {row.answer_format!r}, expected one of {', '.join(ANSWER_FORMATS)}"
    if not row.page_paths:
        return "no pages", "the list of pages is empty, expected at least one"
    return None


def _example(row: BenchmarkRow, dataset: str, length: int, image_folder: Path) -> Example:
    labels = tuple(Path(path).parent.name for path in row.page_paths)
    numbers = tuple(page_number(path) for path in row.page_paths)
    evidence = [
        position
        for position, (label, number) in enumerate(zip(labels, numbers))
        if label == row.doc_name and number - 1 in row.answer_pages
    ]
    return Example(
        id=f"{dataset}/{length_name(length)}/{row.id}",
        dataset=dataset,
        context_length=length,
        question=row.question,
        answer=row.answer,
        answer_format=row.answer_format,
        pages=tuple(map(PageImage, row.page_data or [image_folder / path for path in row.page_paths])),
        labels=labels,
        doc_name=row.doc_name,
        evidence=tuple(evidence),
        page_numbers=numbers,
    )


def page_number(path: str) -> int:
    """
    The number of a page in its document, from 1, read off the name of its file.

    Raises:
        ValueError: for a name of another form.

    Example:

    ```python
    >>> page_number("longdocurl/4190345/4190345_page5.jpg"), page_number("slidevqa/a-deck/a-deck-4-1024.jpg")
    (6, 4)

    ```
    """
    if match := _FILE_FROM_0.search(path):
        return int(match[1]) + 1
    if match := _FILE_FROM_1.search(path):
        return int(match[1])
    raise ValueError(f"the page's file is {path!r}, expected a name like name_page5.jpg or name-4-1024.jpg")


def _check_images(examples: Sequence[Example]) -> None:
    files = dict.fromkeys(page.data for example in examples for page in example.pages if isinstance(page.data, Path))
    if missing := [path for path in files if not path.is_file()]:
        raise FileNotFoundError(
            f"{len(missing)} of {len(files)} page images are missing, the first is {missing[0]}: extract the benchmark's images "
            "(5_docqa_image.tar.gz, or those beside the TSV file) and name the folder in which their paths start"
        )
