"""
The one place where fields of MMLongBench's files are read: rows of its JSONL files, and of VLMEvalKit's TSV files of it.

The names are those of EdinburghNLP/MMLongBench at 22b9f27 (data.py, README) and of open-compass/VLMEvalKit at e8e78f0
(vlmeval/dataset/mmlongbench.py, and the script that writes its TSV files). No real file could be read where this was written, so what
is not as described is an error that says so.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

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


def from_json(line: str) -> BenchmarkRow:
    """A line of `documentQA/*.jsonl`."""
    row = json.loads(line)
    return BenchmarkRow(
        id=str(row["id"]),
        question=row["question"],
        answer=_answer_text(row["answer"]),
        answer_format=str(row["answer_format"]),
        doc_name=row["doc_name"],
        answer_pages=frozenset(row["ans_page_list"] or ()),
        page_paths=tuple(row["page_list"]),
        page_data=(),
    )


def from_tsv(row: Mapping[str, str]) -> BenchmarkRow:
    """
    A row of `MMLongBench_*.tsv`: `question` holds the whole prompt, and what it is made of is in `extra_info`. The published files
    have no column `image`; where there is one, it is VLMEvalKit's, base64 beside the paths.
    """
    extra = json.loads(row["extra_info"])
    before = fill(load_prompt("v1.1").question, extra["doc_name"], "")
    if not extra["question"].startswith(before):
        raise ValueError(f"the question is {extra['question']!r}, expected it to start with {before!r}")
    return BenchmarkRow(
        id=row["question_id"],
        question=extra["question"].removeprefix(before),
        answer=_answer_text(extra["answer"]),
        answer_format=str(extra["answer_format"]),
        doc_name=extra["doc_name"],
        answer_pages=frozenset(extra["ans_page_list"] or ()),
        page_paths=tuple(json.loads(row["image_path"])),
        page_data=tuple(map(_decode, _BASE64.findall(row.get("image") or ""))),
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
