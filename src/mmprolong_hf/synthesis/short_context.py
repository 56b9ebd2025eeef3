"""Short samples from a user's own dataset of images with questions and answers, as rows beside the long documents."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import count
from pathlib import Path

import numpy as np
from datasets import Dataset, Image, List, get_dataset_config_names, load_dataset
from PIL import Image as PILImage
from PIL import UnidentifiedImageError

from ..lengths import page_tokens
from .plan import shown_name
from .rejected import RejectedDocument
from .sample_lengths import SampleLengths
from .schema import VERDICTS

SHORT_TASK = "short-context"  # none of the paper's five
IMAGE = "<image>"  # where LLaVA-style text shows an image
TEXT_COLUMNS = (("question", "answer"), ("messages",), ("conversations",), ("texts",))
_ASKS, _ANSWERS = ("user", "human"), ("assistant", "gpt")
_AT_THE_ENDS = re.compile(rf"^(\s*{IMAGE})+\s*|\s*({IMAGE}\s*)+$")


def open_short(datasets: Mapping[str, Sequence[str]], seed: int) -> Iterator[dict]:
    """
    Rows of several datasets in one random order, their images as stored.

    Args:
        datasets (`Mapping[str, Sequence[str]]`): Folder or Hub id -> configs; all of its configs if none is named. The
            split `train` is read.
        seed (`int`): Of the order.

    Yields:
        `dict`: A row with its `source` and, for images that are named by their path, the `folder` they are searched in.

    Raises:
        ValueError: if a dataset has no column with images or none with questions and answers.
    """
    parts = []
    for path, configs in datasets.items():
        for config in configs or get_dataset_config_names(path):
            name = f"{shown_name(path)}/{config}"
            parts.append((name, path, _undecoded(load_dataset(path, config, split="train"), name)))
    ends = np.cumsum([len(part) for _, _, part in parts])
    for position in np.random.RandomState(seed).permutation(ends[-1]).tolist():
        number = int(np.searchsorted(ends, position, side="right"))
        name, folder, part = parts[number]
        row = position - (int(ends[number - 1]) if number else 0)
        yield {"source": f"{name}#{row}", "folder": folder, **part[row]}


def _undecoded(part: Dataset, name: str) -> Dataset:
    images = [column for column in ("images", "image") if column in part.column_names]
    texts = [columns for columns in TEXT_COLUMNS if set(columns) <= set(part.column_names)]
    if not images or not texts:
        raise ValueError(
            f"{name} has the columns {', '.join(part.column_names)}; expected image or images, and question and answer or "
            "one of messages, conversations, texts"
        )
    part = part.select_columns([images[0], *texts[0]])
    feature = part.features[images[0]]
    if isinstance(feature, Image):
        return part.cast_column(images[0], Image(decode=False))
    if isinstance(feature, List) and isinstance(feature.feature, Image):
        return part.cast_column(images[0], List(Image(decode=False)))
    return part


def take_short(
    rows: Iterable[dict], budget: int, *, lengths: SampleLengths, rejected: Counter, every_turn: bool = False
) -> Iterator[tuple[dict, int]]:
    """
    Documents of short samples, until the next would exceed a number of tokens.

    Args:
        rows (`Iterable[dict]`): From [`open_short`].
        budget (`int`): Tokens of all samples; the images count for each question, as with long documents.
        lengths (`SampleLengths`): What counts them.
        rejected (`Counter`): Gets the reasons of rows that are left out.
        every_turn (`bool`, *optional*, defaults to `False`): Whether the later turns of a conversation are questions too.

    Yields:
        `tuple[dict, int]`: A row of `schema.DOCUMENT_FEATURES`, and the tokens of its samples.
    """
    seen = set()
    for row in rows:
        try:
            document = short_document(row, every_turn=every_turn)
        except RejectedDocument as refused:
            rejected[refused.reason] += 1
            continue
        if document["doc_id"] in seen:
            rejected["duplicate"] += 1
            continue
        seen.add(document["doc_id"])
        sizes = document["page_sizes"]
        tokens = sum(lengths(sizes, item["question"], item["answer"]) for item in document["questions"])
        if tokens > budget:
            return
        budget -= tokens
        yield document, tokens


def short_document(row: dict, *, every_turn: bool = False) -> dict:
    """
    One row of a user's dataset as a document whose pages are its images, byte for byte.

    Images stand before the question, as pages do. A placeholder inside a question becomes the page that it stands for.

    Args:
        row (`dict`): `source`; `image` or `images`, each `{"bytes", "path"}` or a path; and `question` and `answer`, or
            `messages` (role, content), `conversations` (LLaVA's from, value) or `texts` (FineVision's user, assistant).
        every_turn (`bool`, *optional*, defaults to `False`): Whether the later turns of a conversation are questions too.

    Raises:
        RejectedDocument: no_image, missing_image, broken_image, narrow_image, no_turns, empty_text, system_prompt or
            image_count.

    Example:

    ```python
    >>> buffer = BytesIO()
    >>> PILImage.new("RGB", (56, 28)).save(buffer, "PNG")
    >>> turns = [{"from": "human", "value": "<image>\\nWhat is it?"}, {"from": "gpt", "value": "Nothing."}]
    >>> row = short_document({"source": "mine#0", "image": {"bytes": buffer.getvalue()}, "conversations": turns})
    >>> row["page_sizes"], row["questions"][0]["question"], row["questions"][0]["answer"]
    ([[56, 28]], 'What is it?', 'Nothing.')

    ```
    """
    images = [_bytes_of(image, row) for image in _listed(row)]
    sizes = [_size_of(image) for image in images]
    turns = _place_images(_turns(row), len(images))[: None if every_turn else 1]
    if not turns:
        raise RejectedDocument("no_turns", "it has no question with an answer")
    if not all(text for turn in turns for text in turn):
        raise RejectedDocument("empty_text", "a question or an answer is empty")
    parts = (*images, *(text.encode() for turn in turns for text in turn))
    return {
        "doc_id": hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).hexdigest(),
        "source": row["source"],
        **dict.fromkeys(("title", "url", "license", "language", "engine", "image_format"), ""),  # nothing tells them
        "num_pages": len(images),
        "dpi": None,
        "page_sizes": sizes,
        "page_tokens": [_tokens_of(width, height) for width, height in sizes],
        "images": [{"bytes": image, "path": None} for image in images],
        "pdf": None,
        "questions": [_question(*turn, len(images), row["source"]) for turn in turns],
    }


def _question(question: str, answer: str, num_pages: int, source: str) -> dict:
    return {
        "question": question,
        "answer": answer,
        "task": SHORT_TASK,
        "answer_format": "String",
        "evidence_pages": list(range(1, num_pages + 1)),
        "evidence_sources": [],
        "evidence_boxes": [],
        "template": "",
        "segment": [1, num_pages],
        "evidence_quotes": [],
        "anchor": "",
        "expression": "",
        "teacher": source.rpartition("#")[0],
        "verdicts": dict.fromkeys(VERDICTS, "unchecked"),
    }


def _listed(row: dict) -> list:
    images = row["images"] if "images" in row else row.get("image")
    images = images if isinstance(images, list) else [images]
    if not images or None in images:
        raise RejectedDocument("no_image", "it has no image")
    return images


def _bytes_of(image: dict | str, row: dict) -> bytes:
    image = {"path": image} if isinstance(image, str) else image
    if image.get("bytes"):
        return image["bytes"]
    path = Path(row.get("folder", ""), image.get("path") or "")
    if not path.is_file():
        raise RejectedDocument("missing_image", f"{path} is not a file")
    return path.read_bytes()


def _size_of(image: bytes) -> list[int]:
    # Decoded once: a file that is cut short has a sound header, and would stop a training run days later.
    try:
        opened = PILImage.open(BytesIO(image))
        opened.load()
    except (UnidentifiedImageError, OSError, SyntaxError, PILImage.DecompressionBombError) as error:
        raise RejectedDocument("broken_image", f"an image cannot be opened: {error}") from error
    return list(opened.size)


def _tokens_of(width: int, height: int) -> int:
    try:
        return page_tokens(width, height)
    except ValueError as error:
        raise RejectedDocument("narrow_image", str(error)) from error


def _turns(row: dict) -> list[tuple[str, str]]:
    if "question" in row:
        return [(row["question"] or "", row["answer"] or "")]
    if "texts" in row:
        return [(turn["user"] or "", turn["assistant"] or "") for turn in row["texts"] or ()]
    said = [(turn["from"], turn["value"]) for turn in row.get("conversations") or ()]
    said += [(turn["role"], _plain(turn["content"])) for turn in row.get("messages") or ()]
    if said and said[0][0] == "system":
        raise RejectedDocument("system_prompt", "it has a system prompt, which training writes itself")
    asked, answered = said[::2], said[1::2]
    if any(who not in _ASKS for who, _ in asked) or any(who not in _ANSWERS for who, _ in answered):
        raise RejectedDocument(
            "no_turns", f"{', '.join(who for who, _ in said)} speak; expected user and assistant by turns"
        )
    return [(question or "", answer or "") for (_, question), (_, answer) in zip(asked, answered)]


def _plain(content: str | list[dict]) -> str:
    if not isinstance(content, list):
        return content
    return "".join(IMAGE if part["type"] == "image" else part["text"] or "" for part in content)


def _place_images(turns: list[tuple[str, str]], num_images: int) -> list[tuple[str, str]]:
    shown = sum(question.count(IMAGE) for question, _ in turns)
    if shown not in (0, num_images):
        raise RejectedDocument("image_count", f"its text shows {shown} images, but it has {num_images}")
    numbers = count(1)
    placed = []
    for question, answer in turns:
        first, *others = question.split(IMAGE)
        named = first + "".join(f"(page {next(numbers)}){part}" for part in others)
        bare = _AT_THE_ENDS.sub("", question)
        placed.append(((named if IMAGE in bare else bare).strip(), answer.strip()))
    return placed
