"""Writes the page on which a person grades: one HTML file that opens from the disk, and the page images beside it."""

import base64
import hashlib
import json
import math
import shutil
import time
from collections import defaultdict
from dataclasses import dataclass
from importlib import resources
from io import BytesIO
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from PIL import Image
from tqdm import tqdm

from mmprolong_hf.images import rgb
from mmprolong_hf.review.grades import FORMAT_VERSION, GRADES, MAX_NAME
from mmprolong_hf.review.sample import Draw, draw_sample, open_documents
from mmprolong_hf.rows import decode_image
from mmprolong_hf.synthesis.output_folder import partial_folder
from mmprolong_hf.synthesis.rejected import RejectedDocument

# Of a page image: of A4, 200 dpi. Most pages stay as they are: resampling takes three times as long as all the rest. An area and no
# sides, so that a page of 1:20 can be read too.
MAX_PIXELS = 2400 * 1700
QUALITY = 60  # letters stay sharp; 85, with which a build stores pages, takes 1.6 times as much room
SCRIPTS = ("grades.js", "show.js", "actions.js")
SHOWN = (
    "doc_id",
    "question",
    "answer",
    "task",
    "answer_format",
    "evidence_pages",
    "evidence_sources",
    "evidence_boxes",
    "evidence_quotes",
    "template",
    "expression",
    "teacher",
    "verdicts",
)


@dataclass(frozen=True)
class ReviewPage:
    """
    What [`write_review`] wrote.

    Args:
        path (`Path`): The `index.html`.
        num_samples (`int`): How many questions are on it.
        num_asked (`int`): How many were asked for.
        num_questions (`int`): How many the split has.
        split (`str`): They are of it.
        num_pages (`int`): How many page images lie beside it.
        num_bytes (`int`): Of all files.
        seconds (`float`): What it took.
    """

    path: Path
    num_samples: int
    num_asked: int
    num_questions: int
    split: str
    num_pages: int
    num_bytes: int
    seconds: float

    def __str__(self) -> str:
        lines = [
            f"{self.num_samples} of the {self.num_questions:,} questions of {self.split}, {self.num_pages} page images, "
            f"{self.num_bytes / 1e6:.1f} MB, {self.seconds:.1f} s",
            f"open {self.path.resolve().as_uri()} in a browser, grade, and export review.json",
        ]
        if self.num_samples < self.num_asked:
            lines.insert(
                0, f"{self.split} has {self.num_samples} questions, fewer than {self.num_asked}: all are taken"
            )
        return "\n".join(lines)


def write_review(
    folder: Path, output: Path, *, num_samples: int = 100, seed: int = 0, split: str = "train"
) -> ReviewPage:
    """
    Write a page on which a person grades questions of a built set, with the pages that each stands on.

    Time and memory: those of [`~mmprolong_hf.review.sample.draw_sample`] and [`~mmprolong_hf.review.sample.open_documents`], and
    about 0.02 s and 0.15 MB for each page image. The folder appears when it is complete; what a killed process left beside it is
    removed by the next call.

    Args:
        folder (`Path`): The built set.
        output (`Path`): Folder to write; it must not exist.
        num_samples (`int`, *optional*, defaults to `100`): How many questions; all where the split has fewer.
        seed (`int`, *optional*, defaults to `0`): Of the draw.
        split (`str`, *optional*, defaults to `"train"`): Which questions.

    Raises:
        ValueError: if the output exists or cannot be written, a page cannot be read or rendered, or as
            [`~mmprolong_hf.review.sample.draw_sample`].
    """
    start = time.perf_counter()
    if output.exists():
        raise ValueError(
            f"{output} exists, expected a new folder: name another one, the grades of this one are of its page"
        )
    sample = draw_sample(folder, num_samples=num_samples, seed=seed, split=split)
    try:
        _write_folder(folder, sample, output)
    except OSError as error:
        raise ValueError(f"{output} cannot be written ({error}); make room, or name a folder that can be") from error
    files = [path.stat().st_size for path in output.rglob("*") if path.is_file()]
    drawn, asked = len(sample.questions), num_samples
    seconds = time.perf_counter() - start
    return ReviewPage(
        output / "index.html", drawn, asked, sample.num_questions, split, len(files) - 1, sum(files), seconds
    )


def _write_folder(folder: Path, sample: Draw, output: Path) -> None:
    partial = partial_folder(output)
    try:
        (partial / "pages").mkdir()
        documents = _write_pages(folder, sample, partial / "pages")
        html = _page(folder.resolve().name, sample, documents)
        (partial / "index.html").write_text(html, encoding="utf-8")
        partial.rename(output)
    except BaseException:
        shutil.rmtree(partial)
        raise


def _write_pages(folder: Path, sample: Draw, pages: Path) -> dict[str, dict]:
    """Write the images that are shown, each once; of each document its facts, and file, width and height by page."""
    evidence = defaultdict(set)
    for question in sample.questions:
        evidence[question["doc_id"]] |= set(question["evidence_pages"])
    documents = {}
    with tqdm(total=len(evidence), desc="review", unit="document") as progress:
        for number, row in enumerate(open_documents(folder, sample.split, evidence)):
            shown = {}
            for page in sorted(_with_neighbours(evidence[row["doc_id"]], row["num_pages"])):
                name = f"{number:04d}-{page:04d}.jpg"
                data, size = _encode(row, page)
                (pages / name).write_bytes(data)
                shown[page] = [name, *size]
            facts = {name: row[name] for name in ("source", "num_pages")}
            documents[row["doc_id"]] = facts | {"pages": shown}
            progress.update()
    return documents


def _with_neighbours(pages: set[int], num_pages: int) -> set[int]:
    return {page + step for page in pages for step in (-1, 0, 1) if 1 <= page + step <= num_pages}


def _encode(row: dict, page: int) -> tuple[bytes, tuple[int, int]]:
    """A page as JPEG, in memory: Pillow takes no notice when a full disk cuts a file that it writes itself. And its size."""
    try:
        image = rgb(decode_image(row["images"][page - 1]))
    except (ImportError, RejectedDocument, OSError) as error:  # OSError is Pillow's, of an image that is broken
        raise ValueError(f"page {page} of {row['source']} cannot be opened: {error}") from error
    if (scale := math.sqrt(MAX_PIXELS / (image.width * image.height))) < 1:
        size = [max(1, round(scale * side)) for side in image.size]
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2)
    image.save(buffer := BytesIO(), "jpeg", quality=QUALITY, optimize=True)
    return buffer.getvalue(), image.size


def _page(name: str, sample: Draw, documents: dict[str, dict]) -> str:
    """The HTML. Text of documents is in it only as JSON without a "<", which the scripts show as text."""
    part = resources.files(__package__)
    content = {
        "format_version": FORMAT_VERSION,
        "grades": GRADES,
        "fingerprint": sample.fingerprint,
        "seed": sample.seed,
        "split": sample.split,
        "num_questions": sample.num_questions,
        "documents": documents,
        "samples": [{name: question[name] for name in SHOWN} for question in sample.questions],
    }
    script = "\n".join(part.joinpath(name).read_text(encoding="utf-8") for name in SCRIPTS)
    style = part.joinpath("page.css").read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, autoescape=True)
    return environment.from_string(part.joinpath("page.html.jinja").read_text(encoding="utf-8")).render(
        name=name,
        grades=GRADES,
        max_name=MAX_NAME,
        content=json.dumps(content).replace("<", "\\u003c"),
        script=script,
        style=style,
        script_hash=_hash(script),
        style_hash=_hash(style),
    )


def _hash(text: str) -> str:
    """As a content security policy names what may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
