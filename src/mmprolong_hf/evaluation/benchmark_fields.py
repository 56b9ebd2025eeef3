"""
The one place where fields of MMLongBench's files are read: rows of its JSONL files, and of VLMEvalKit's TSV files of it.

The names are those of EdinburghNLP/MMLongBench at 22b9f27 (data.py, README) and of open-compass/VLMEvalKit at e8e78f0
(vlmeval/dataset/mmlongbench.py, and the script that writes its TSV files). No real file could be read where this was written, so what
is not as described is an error that says so.
"""

import base64
import binascii
import codecs
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mmprolong_hf.evaluation.prompting import fill, load_prompt

_BASE64 = re.compile(r"[^\s\[\]'\",]+")  # one image, or a list of them as JSON or Python writes it


@dataclass(frozen=True)
class BenchmarkRow:
    """What both kinds of files tell of a question."""

    id: str
    question: str
    answer: str
    answer_format: str
    doc_name: str
    answer_pages: frozenset[int]  # in the document, from 0
    page_paths: tuple[str, ...]
    page_data: tuple[bytes, ...]  # empty where pages are files
    wrong: str = ""  # the fields of another type than they must have; the others are then empty


def read_utf8(path: str | Path) -> str:
    """
    A text file in UTF-8, with or without a byte order mark.

    Raises:
        ValueError: for another encoding.
    """
    data = Path(path).read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = "UTF-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else f"no UTF-8 ({error})"
        raise ValueError(f"{path} is {found}, expected UTF-8: save it in that encoding") from error


def from_json(line: str) -> BenchmarkRow:
    """A line of `documentQA/*.jsonl`."""
    row = _object(line, "the line")
    return _row(str(row["id"]), row, row["page_list"])


def from_tsv(row: Mapping[str, str]) -> BenchmarkRow:
    """
    A row of `MMLongBench_*.tsv`: `question` holds the whole prompt, and what it is made of is in `extra_info`. The published files
    have no column `image`; where there is one, it is VLMEvalKit's, base64 beside the paths.
    """
    extra = _object(row["extra_info"], "extra_info")
    images = tuple(map(_decode, _BASE64.findall(row.get("image") or "")))
    found = _row(row["question_id"], extra, json.loads(row["image_path"]), images)
    if found.wrong:
        return found
    before = fill(load_prompt("v1.1").question, found.doc_name, "")
    if not found.question.startswith(before):
        raise ValueError(f"the question is {found.question!r}, expected it to start with {before!r}")
    return replace(found, question=found.question.removeprefix(before))


def _object(text: str, name: str) -> dict:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"{name} is {found!r}, expected an object with the question's fields")
    return found


def _row(id: str, fields: Mapping, page_list: object, images: tuple[bytes, ...] = ()) -> BenchmarkRow:
    answer_pages = [] if fields["ans_page_list"] is None else fields["ans_page_list"]
    right = {
        "question": isinstance(fields["question"], str),
        "answer": isinstance(fields["answer"], str | int | float | list),
        "doc_name": isinstance(fields["doc_name"], str),
        "ans_page_list": isinstance(answer_pages, list) and all(type(page) is int for page in answer_pages),
        "page_list": isinstance(page_list, list) and all(isinstance(path, str) for path in page_list),
    }
    answer_format = str(fields["answer_format"])
    found = {**fields, "page_list": page_list}
    if wrong := [f"{name} is {found[name]!r}" for name, is_right in right.items() if not is_right]:
        return BenchmarkRow(id, "", "", answer_format, "", frozenset(), (), (), ", ".join(wrong))
    return BenchmarkRow(
        id=id,
        question=fields["question"],
        answer=_answer_text(fields["answer"]),
        answer_format=answer_format,
        doc_name=fields["doc_name"],
        answer_pages=frozenset(answer_pages),
        page_paths=tuple(page_list),
        page_data=images,
    )


def _answer_text(answer: object) -> str:
    """The metric takes strings: a list is JSON, as the files mostly write it already."""
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def _decode(image: str) -> bytes:
    try:
        return base64.b64decode(image, validate=True)
    except binascii.Error as error:
        raise ValueError(f"an image is no base64 ({error}), expected VLMEvalKit's column `image`") from error


def read_row(convert: Callable[..., BenchmarkRow], row: str | Mapping[str, str], place: str) -> BenchmarkRow:
    """
    A row, or an error that tells where it stands.

    Args:
        convert (`Callable`): [`from_json`] or [`from_tsv`].
        row (`str` or `Mapping`): What it takes.
        place (`str`): For the message.

    Raises:
        ValueError: when a field is missing or not as described.
    """
    try:
        found = convert(row)
    except KeyError as error:
        raise ValueError(
            f"{place} has no {error.args[0]!r}, expected the fields of MMLongBench's documentQA"
        ) from error
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error
    if found.page_data and len(found.page_data) != len(found.page_paths):
        raise ValueError(
            f"{place} has {len(found.page_data)} images for {len(found.page_paths)} pages, expected as many"
        )
    return found
