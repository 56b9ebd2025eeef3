"""Documents with questions, as contexts of any length are made of them: a set of `mmprolong build`, or PDFs and a file of questions."""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path

from datasets import Dataset
from PIL import Image

from mmprolong_hf.evaluation.benchmark_fields import read_utf8
from mmprolong_hf.evaluation.benchmark_rows import ANSWER_FORMATS
from mmprolong_hf.evaluation.disk import told_if_unwritable
from mmprolong_hf.evaluation.examples import Skipped
from mmprolong_hf.evaluation.needle_pdfs import DPI, PdfFolder
from mmprolong_hf.evaluation.requests import PageImage
from mmprolong_hf.rows import UndecodedRows
from mmprolong_hf.synthesis.rejected import RejectedDocument

QUESTION_FIELDS = ("question", "answer", "answer_format")


@dataclass(frozen=True)
class SourceQuestion:
    """
    A question about one document.

    Args:
        id (`str`): Unique in the dataset.
        question, answer, answer_format (`str`): As the dataset has them.
        evidence_pages (`tuple[int, ...]`): From 1; none where the document does not tell.
    """

    id: str
    question: str
    answer: str
    answer_format: str
    evidence_pages: tuple[int, ...]


@dataclass(frozen=True)
class SourceDocument:
    """
    A document whose pages are read or rendered only when a context needs them.

    Args:
        name (`str`): As prompts call it; unique in the dataset.
        key (`str`): Of the pages' pixels: a hash of the document's id, the resolution, what rendered it and the format. Good as
            a folder's name.
        sizes (`tuple[tuple[int, int], ...]`): (width, height) in pixels of each page.
        image_format (`str`): One of `synthesis.images.IMAGE_FORMATS`.
        open_pages (`Callable`): Gives the pages as rows of `datasets.Image(decode=False)`.
        questions (`tuple[SourceQuestion, ...]`): About it; none where it only fills contexts up.
    """

    name: str
    key: str
    sizes: tuple[tuple[int, int], ...]
    image_format: str
    open_pages: Callable[[], Sequence[dict]] = field(repr=False)
    questions: tuple[SourceQuestion, ...] = ()

    def store_pages(self, numbers: Iterable[int], folder: str | Path) -> dict[int, PageImage]:
        """
        Pages as files, so that a run holds none of them in memory. What is there already is not rendered again.

        Args:
            numbers (`Iterable[int]`): From 1.
            folder (`str` or `Path`): Gets a folder for each document.

        Returns:
            `dict[int, PageImage]`: For each number.

        Raises:
            ValueError: when a page cannot be rendered or stored, or has another size than `sizes` says, by which its tokens are
                counted.
        """
        folder = Path(folder, self.key)
        paths = {number: folder / f"page{number:05d}.{self.image_format}" for number in numbers}
        if missing := [number for number, path in paths.items() if not path.exists()]:
            pages = self.open_pages()
            for number in missing:
                _write_page(self._read(pages, number), paths[number])
        return {number: PageImage(path) for number, path in paths.items()}

    def _read(self, pages: Sequence[dict], number: int) -> bytes:
        try:
            data = pages[number - 1]["bytes"]
        except RejectedDocument as error:
            raise ValueError(f"{self.name} cannot be used, take it out: {error}") from error
        with Image.open(BytesIO(data)) as image:
            if image.size != self.sizes[number - 1]:
                raise ValueError(
                    f"page {number} of {self.name} is {_by(image.size)} pixels, expected {_by(self.sizes[number - 1])} as its "
                    "row says: build the set again"
                )
        return data


def _write_page(data: bytes, path: Path) -> None:
    """Under a name of this process first: a page that is there is whole, also after a kill."""
    unfinished = path.with_suffix(f".{os.getpid()}")
    with told_if_unwritable(path.parent.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_bytes(data)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def dataset_documents(dataset: Dataset) -> list[SourceDocument]:
    """
    The documents of a set that `mmprolong build` writes, with embedded images or in the compact form.

    Args:
        dataset (`Dataset`): One split, with the columns of `synthesis.schema.DOCUMENT_FEATURES`.

    Raises:
        ValueError: when a question or its answer is empty, or its format is unknown.
    """
    rows, columns = UndecodedRows(dataset), dataset.remove_columns(["images", "pdf"]).to_list()
    names = _unique_names([(Path(row["source"]).stem, row["doc_id"]) for row in columns])
    documents = []
    for index, (row, name) in enumerate(zip(columns, names, strict=True)):
        asked = tuple(
            _question(q, f"{name}/{k}", f"question {k} of {row['source']}") for k, q in enumerate(row["questions"], 1)
        )
        key = _key(row["doc_id"], row["dpi"], row["engine"], row["image_format"])
        sizes = tuple((width, height) for width, height in row["page_sizes"])
        open_pages = partial(_row_images, rows, index)
        documents.append(SourceDocument(name, key, sizes, row["image_format"], open_pages, asked))
    return documents


def _row_images(rows: UndecodedRows | PdfFolder, index: int) -> Sequence[dict]:
    return rows[index]["images"]


def _unique_names(named: Sequence[tuple[str, str]]) -> list[str]:
    counts = Counter(name for name, _ in named)
    return [name if counts[name] == 1 else f"{name} {doc_id[:8]}" for name, doc_id in named]


def _key(doc_id: str, dpi: int, engine: str, image_format: str) -> str:
    return hashlib.sha256(json.dumps([doc_id, dpi, engine, image_format]).encode("ascii")).hexdigest()


def pdf_documents(
    questions: str | Path, folder: str | Path, *, dpi: int = DPI
) -> tuple[list[SourceDocument], list[Skipped]]:
    """
    All PDFs of a folder and the folders in it, with the questions of a JSONL file. A document is called by its path in the
    folder without ".pdf"; those without questions only fill contexts up.

    Args:
        questions (`str` or `Path`): Lines with `question`, `answer`, `answer_format` and `pdf` or `doc_name`; perhaps `evidence_pages`
            (from 1; none where the document does not tell) and an `id`. UTF-8.
        folder (`str` or `Path`): As in [`~mmprolong_hf.evaluation.needle_pdfs.PdfFolder`].
        dpi (`int`): Pixels per inch; the default is MMLongBench's.

    Returns:
        `tuple[list[SourceDocument], list[Skipped]]`: The documents, and the PDFs that cannot be used with all their questions.

    Raises:
        ValueError: when a line lacks a field, has one that is not as described or names a PDF that is not there, or when no PDF
            can be used.
    """
    rows = PdfFolder(folder, dpi)
    names, unusable = [_stem(row["doc_id"]) for row in rows], {_stem(pdf["source"]): pdf for pdf in rows.skipped}
    asked = read_questions(questions, [*names, *unusable])
    documents, skipped = [], []
    for index, name in enumerate(names):
        row = rows[index]
        pages, sizes, open_pages = row["images"], tuple(row["page_sizes"]), partial(_row_images, rows, index)
        key = _key(hashlib.sha256(pages.pdf).hexdigest(), dpi, pages.engine, pages.image_format)
        documents.append(SourceDocument(name, key, sizes, pages.image_format, open_pages, tuple(asked[name])))
    for name, pdf in unusable.items():
        ids = [f"the document {name}", *(question.id for question in asked[name])]
        skipped += [Skipped(id, pdf["reason"], f"{pdf['source']}: {pdf['detail']}") for id in ids]
    return documents, skipped


def _stem(source: str) -> str:
    return re.sub(r"\.pdf$", "", source, flags=re.IGNORECASE)


def read_questions(path: str | Path, names: Iterable[str]) -> dict[str, list[SourceQuestion]]:
    """
    The questions of a JSONL file, by the name of their document.

    Args:
        path (`str` or `Path`): As in [`pdf_documents`].
        names (`Iterable[str]`): Of all documents, without ".pdf".

    Raises:
        ValueError: as [`pdf_documents`].
    """
    asked: dict[str, list[SourceQuestion]] = {name: [] for name in names}
    for line_number, line in enumerate(read_utf8(path).split("\n"), 1):
        if not line.strip():
            continue
        place = f"line {line_number} of {path}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{place} is no JSON: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f"{place} is {row!r}, expected an object with {', '.join(QUESTION_FIELDS)}")
        if lacking := [name for name in QUESTION_FIELDS if name not in row]:
            raise ValueError(f"{place} has no {', '.join(lacking)}, expected {', '.join(QUESTION_FIELDS)}")
        name = _stem(str(row.get("pdf") or row.get("doc_name") or ""))
        if name not in asked:
            raise ValueError(
                f"{place} is about {name!r}, expected `pdf` or `doc_name` to name one of {len(asked)} PDFs"
            )
        own_id = row.get("id")
        id = f"{name}/{len(asked[name]) + 1}" if own_id is None else str(own_id)
        asked[name].append(_question(row, id, place))
    return asked


def _question(row: Mapping, id: str, place: str) -> SourceQuestion:
    question, answer, answer_format = (row[name] for name in QUESTION_FIELDS)
    pages = [] if row.get("evidence_pages") is None else row["evidence_pages"]
    parts = answer if isinstance(answer, list) else [answer]
    if not isinstance(question, str) or not question.strip():
        raise ValueError(f"{place}: question is {question!r}, expected text")
    if not parts or not all(type(part) in (str, int, float) and str(part).strip() for part in parts):
        raise ValueError(f"{place}: answer is {answer!r}, expected text, a number or a list of them, and none empty")
    if answer_format not in ANSWER_FORMATS:
        raise ValueError(f"{place}: answer_format is {answer_format!r}, expected one of {', '.join(ANSWER_FORMATS)}")
    if not isinstance(pages, list) or not all(type(page) is int for page in pages):
        raise ValueError(f"{place}: evidence_pages is {pages!r}, expected a list of whole numbers from 1")
    return SourceQuestion(id, question, _text(answer), answer_format, tuple(pages))


def _text(answer: object) -> str:
    """As this project's sets write it: "; " between the parts of a list."""
    return "; ".join(map(str, answer)) if isinstance(answer, list) else str(answer)
