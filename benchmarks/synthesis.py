"""
Speed and yield of synthesis on a folder of PDFs, as a Markdown table.

    python benchmarks/synthesis.py FOLDER [--dpi 144] [--limit N]

The bare engine renders the same pages in the same run, page by page in turn with ours, so that a busy machine slows both.
CPU seconds are counted, in one process.
"""

import argparse
import time
from collections import Counter
from pathlib import Path
from statistics import median

import pymupdf
from tqdm import tqdm

from mmprolong_hf.synthesis.confirm import confirm
from mmprolong_hf.synthesis.mixture import DEPTHS, choose_questions, depth_of
from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.pipeline import find_pdfs
from mmprolong_hf.synthesis.questions import flaw
from mmprolong_hf.synthesis.rejected import RejectedDocument
from mmprolong_hf.synthesis.structure import build_structure
from mmprolong_hf.synthesis.teacher.extractive import ask


def timed(function, *args, **kwargs):
    started = time.process_time()
    result = function(*args, **kwargs)
    return result, time.process_time() - started


def render(path: Path, dpi: int) -> None:
    """What the engine alone needs for the images, before any encoding."""
    with pymupdf.open(path) as document:
        for page in document:
            page.get_pixmap(dpi=dpi, colorspace=pymupdf.csRGB, alpha=False)


def measure(path: Path, dpi: int) -> dict | None:
    try:
        source, reading = timed(read_pdf, path, dpi=dpi)
    except RejectedDocument as rejected:
        tqdm.write(f"{path.name}: {rejected}")
        return None
    _, bare = timed(render, path, dpi)
    structure, parsing = timed(build_structure, source)
    candidates, asking = timed(ask, structure, seed="0")
    (confirmed, _), confirming = timed(confirm, path, [c for c in candidates if not flaw(c)])
    pages = len(source.pages)
    chosen = choose_questions(confirmed, 16, pages, seed="0")
    return {
        "pages": pages,
        "seconds": {"bare": bare, "read": reading, "parse": parsing, "ask": asking, "confirm": confirming},
        "possible": Counter(c.question.task for c in confirmed),
        "depths": Counter(depth_of(c.question.evidence_pages[0], pages) for c in chosen),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dpi", type=int, default=144)
    parser.add_argument("--limit", type=int, default=None, help="only so many documents")
    args = parser.parse_args()
    names = find_pdfs(args.folder)[: args.limit]
    measured = [m for name in tqdm(names, unit="PDF") if (m := measure(args.folder / name, args.dpi))]
    pages = sum(m["pages"] for m in measured)
    seconds = Counter()
    for m in measured:
        seconds.update(m["seconds"])
    ours = seconds["read"] + seconds["parse"]
    print(f"{len(measured)} of {len(names)} documents, {pages} pages, {args.dpi} dpi, pymupdf {pymupdf.__version__}\n")
    print("| step | pages per CPU second | of the bare engine |")
    print("|---|---:|---:|")
    rows = {
        "bare engine: render only": seconds["bare"],
        "render, read text and lines, encode JPEG": seconds["read"],
        "the same and find sections, captions, tables": ours,
        "the same and ask, confirm with a second engine": ours + seconds["ask"] + seconds["confirm"],
    }
    for name, spent in rows.items():
        print(f"| {name} | {pages / spent:.1f} | {seconds['bare'] / spent:.0%} |")
    print("\n| confirmed questions a document | median | least | most |")
    print("|---|---:|---:|---:|")
    for task in ("extract-single", "extract-multi", "reasoning"):
        counts = [m["possible"][task] for m in measured]
        print(f"| {task} | {median(counts):g} | {min(counts)} | {max(counts)} |")
    counts = [m["possible"].total() for m in measured]
    print(f"| all | {median(counts):g} | {min(counts)} | {max(counts)} |")
    depths = sum((m["depths"] for m in measured), Counter())
    print("\n| tenth of the document (16 questions each) | " + " | ".join(str(d + 1) for d in range(DEPTHS)) + " |")
    print("|---" + "|---:" * DEPTHS + "|")
    print("| questions | " + " | ".join(str(depths[d]) for d in range(DEPTHS)) + " |")


if __name__ == "__main__":
    main()
