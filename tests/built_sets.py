"""One small set in both of the forms that a build writes, made once for all tests of publishing; no test may change it."""

import json
import tempfile
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import tiny
from datasets import Dataset, Features, Image, Value
from synthetic_pdf import report

from mmprolong_hf.synthesis.output import read_rows
from mmprolong_hf.synthesis.pipeline import build_dataset
from mmprolong_hf.synthesis.plan import folder_plan

HOME = tempfile.TemporaryDirectory(prefix="mmprolong-sets-")
NUM_DOCUMENTS, NUM_SHORT = 3, 2
PARTS = {"images": "data", "pdf": "pdf", "references": "references"}  # form -> folder in the repository


@dataclass(frozen=True)
class Sets:
    """Folder of the PDFs, their list, and the set with images and in the compact form."""

    pdfs: Path
    listed: Path
    images: Path
    pdf: Path


@cache
def sets() -> Sets:
    """Three reports (train 2, test 1) and two short samples (train), with elements."""
    home = Path(HOME.name)
    found = Sets(home / "pdfs", home / "pdfs" / "list.jsonl", home / "images", home / "compact")
    found.pdfs.mkdir()
    names = [report(found.pdfs / f"report{k}.pdf", chapters=k + 1).name for k in range(1, NUM_DOCUMENTS + 1)]
    lines = [json.dumps({"path": name, "url": f"https://example.org/{name}", "license": "cc0-1.0"}) for name in names]
    found.listed.write_text("\n".join(lines))
    mixture = {"short_datasets": {str(_pictures(home / "short")): []}, "short_share": 0.01}
    for store, output in (("images", found.images), ("pdf", found.pdf)):
        options = {"pages.dpi": 36, "pages.store": store, "pages.elements": True, "pool.near_duplicates": None}
        options |= {"test_fraction": 0.34, "engine.workers": 1, "mixture": mixture, "output": str(output)}
        build_dataset(folder_plan(found.listed, options))
    return found


def documents(folder: Path, part: str = "data") -> list[dict]:
    """All rows of a form, train first."""
    return [row for split in ("train", "test") for row in read_rows(folder, split, part=part)]


def lay_out(plan, folder: Path) -> Path:
    """What a plan would push, as a checkout of the repository."""
    for name, path in plan.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).hardlink_to(path)
    (folder / "README.md").write_text(str(plan.card), encoding="utf-8")
    return folder


def _pictures(folder: Path) -> Path:
    folder.mkdir()
    rows = []
    for k in range(NUM_SHORT):
        tiny.page(k, 84, 112).save(buffer := BytesIO(), "PNG")
        rows.append({"image": {"bytes": buffer.getvalue()}, "question": f"Number {k}?", "answer": "b"})
    features = Features({"image": Image(), "question": Value("string"), "answer": Value("string")})
    Dataset.from_list(rows, features=features).to_parquet(folder / "train.parquet")
    return folder
