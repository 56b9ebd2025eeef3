"""
Speed of reading PDFs beside the bare engine's, as Markdown tables.

    python benchmarks/synthesis.py FOLDER [--dpi 144] [--limit N] [--growth] [--memory 5000] [--load]

The bare engine and ours take the same documents in turn in one process, so that a busy machine slows both alike. CPU seconds are
counted. Two things are called bare, because only the first is what an engine needs for images alone:

- render: `Page.get_pixmap`, nothing encoded;
- the same job: that, `Page.get_text("dict")` without images, and JPEG by Pillow, as one writes it at first.
"""

import argparse
import io
import resource
import time
from collections import Counter
from pathlib import Path

import pymupdf
from PIL import Image
from tqdm import tqdm

from mmprolong_hf.synthesis import pages as reader
from mmprolong_hf.synthesis.images import JPEG_QUALITY
from mmprolong_hf.synthesis.layout import find_elements
from mmprolong_hf.synthesis.pages import read_pdf
from mmprolong_hf.synthesis.rejected import RejectedDocument
from mmprolong_hf.synthesis.render import PdfPages
from mmprolong_hf.synthesis.structure import build_structure

PAPER_PAGES = 36.6e6  # of the paper's pool
TEXT_FLAGS = pymupdf.TEXTFLAGS_DICT & ~pymupdf.TEXT_PRESERVE_IMAGES


def timed(function, *args, **kwargs):
    started = time.process_time()
    result = function(*args, **kwargs)
    return result, time.process_time() - started


def bare(path: Path, dpi: int) -> Counter:
    """Seconds of the engine's own calls, step by step."""
    seconds = Counter()
    with pymupdf.open(path) as document:
        started = time.process_time()
        for page in document:
            pixmap = page.get_pixmap(dpi=dpi, colorspace=pymupdf.csRGB, alpha=False)
            seconds["render"] += time.process_time() - started
            _, seconds_text = timed(page.get_text, "dict", flags=TEXT_FLAGS)
            _, seconds_encode = timed(encode, pixmap)
            seconds += Counter(text=seconds_text, encode=seconds_encode)
            started = time.process_time()
    return seconds


def encode(pixmap: pymupdf.Pixmap) -> bytes:
    image = Image.frombuffer("RGB", (pixmap.width, pixmap.height), pixmap.samples, "raw", "RGB", 0, 1)
    image.save(encoded := io.BytesIO(), "JPEG", quality=JPEG_QUALITY)
    return encoded.getvalue()


def ours(path: Path, dpi: int) -> tuple[Counter, int]:
    """Seconds of reading and parsing, step by step, and the number of pages."""
    seconds = Counter()
    encoder = reader.encode_image

    def encode_timed(*args):
        image, spent = timed(encoder, *args)
        seconds["encode"] += spent
        return image

    reader.encode_image = encode_timed
    try:
        source, spent = timed(read_pdf, path, dpi=dpi)
    finally:
        reader.encode_image = encoder
    seconds["read"] = spent - seconds["encode"]
    structure, seconds["parse"] = timed(build_structure, source)
    _, seconds["elements"] = timed(find_elements, source, structure)
    return seconds, len(source.pages)


def readable(paths: list[Path]) -> list[Path]:
    kept = []
    for path in paths:
        try:
            read_pdf(path, dpi=10, images=False)
            kept.append(path)
        except RejectedDocument as rejected:
            print(f"{path.name} is left out: {rejected}")
    return kept


def print_speed(paths: list[Path], dpi: int) -> None:
    engine, own, pages = Counter(), Counter(), 0
    for path in tqdm(paths, unit="PDF", leave=False):
        before = bare(path, dpi)
        seconds, count = ours(path, dpi)
        after = bare(path, dpi)
        engine += Counter({name: (before[name] + after[name]) / 2 for name in before})
        own += seconds
        pages += count
    render, job = engine["render"], engine.total()
    print(f"{len(paths)} documents, {pages} pages, {dpi} dpi, {reader.ENGINE}\n")
    print("| step | ms a page | pages a CPU second | of bare render | of the bare same job |")
    print("|---|---:|---:|---:|---:|")
    for name, spent, same in (
        ("bare: render", render, None),
        ("bare: render + text", render + engine["text"], None),
        ("bare: render + text + JPEG", job, None),
        ("ours: render + text, lines, drawings, ruled cells", own["read"], render + engine["text"]),
        ("ours: + sections, captions, tables (render + parse)", own["read"] + own["parse"], render + engine["text"]),
        ("ours: + JPEG", own["read"] + own["parse"] + own["encode"], job),
        ("ours: JPEG alone", own["encode"], engine["encode"]),
        ("ours: elements alone", own["elements"], None),
    ):
        share = f"{same / spent:.0%}" if same else ""
        print(f"| {name} | {1000 * spent / pages:.2f} | {pages / spent:.0f} | {render / spent:.0%} | {share} |")
    total = own["read"] + own["parse"] + own["encode"]
    hours = PAPER_PAGES * total / pages / 3600
    print(f"\nThe paper's {PAPER_PAGES / 1e6:g}M pages: {hours:.0f} core-hours with JPEG, ", end="")
    print(f"{hours * (total - own['encode']) / total:.0f} without.")


def print_growth(path: Path, dpi: int) -> None:
    """One document repeated within itself: what each further page costs."""
    print("\n| pages in the document | CPU seconds | ms a page |")
    print("|---:|---:|---:|")
    with pymupdf.open(path) as once:
        for times in (1, 2, 4, 8):
            document = pymupdf.open()
            for _ in range(times):
                document.insert_pdf(once)
            source, reading = timed(read_pdf, document.tobytes(), dpi=dpi, max_pages=10**6)
            structure, parsing = timed(build_structure, source)
            _, finding = timed(find_elements, source, structure)
            spent, pages = reading + parsing + finding, len(source.pages)
            print(f"| {pages} | {spent:.2f} | {1000 * spent / pages:.2f} |")


def print_memory(paths: list[Path], dpi: int, pages: int) -> None:
    """Resident memory of one process that reads one document after the other."""
    print("\n| pages read by one process | resident, MiB |")
    print("|---:|---:|")
    done, step = 0, 0
    while done < pages:
        for path in paths:
            source = read_pdf(path, dpi=dpi)
            find_elements(source, build_structure(source))
            done += len(source.pages)
            if done >= step:
                print(f"| {done} | {resident() / 2**20:.0f} |")
                step += pages // 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nThe largest at any moment: {peak:.0f} MiB.")


def resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def print_load(paths: list[Path], dpi: int) -> None:
    """What a page costs when a sample is loaded: rendered from the PDF, or decoded from the stored JPEG."""
    seconds, pages = Counter(), 0
    for path in tqdm(paths, unit="PDF", leave=False):
        data = path.read_bytes()
        stored = [page.image for page in read_pdf(path, dpi=dpi).pages]
        for engine in ("pymupdf", "pypdfium2"):
            _, spent = timed(lambda rows: [row["bytes"] for row in rows], PdfPages(data, dpi, engine))
            seconds[f"render by {engine} and encode"] += spent
        for image in stored:
            _, spent = timed(lambda image: Image.open(io.BytesIO(image)).convert("RGB"), image)
            seconds["decode a stored JPEG"] += spent
        seconds["bytes stored as JPEG"] += sum(map(len, stored))
        seconds["bytes stored as PDF"] += len(data)
        pages += len(stored)
    print("\n| at load | a page |")
    print("|---|---:|")
    for name, value in seconds.items():
        print(
            f"| {name} | {value / pages / 1024:.1f} KiB |"
            if "bytes" in name
            else f"| {name} | {1000 * value / pages:.2f} ms |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dpi", type=int, default=144)
    parser.add_argument("--limit", type=int, default=None, help="only so many documents")
    parser.add_argument("--growth", action="store_true", help="time of 1, 2, 4 and 8 times the pages of one document")
    parser.add_argument(
        "--memory", type=int, default=0, metavar="PAGES", help="memory over so many pages in one process"
    )
    parser.add_argument("--load", action="store_true", help="rendering at load beside decoding")
    args = parser.parse_args()
    paths = readable(sorted(args.folder.rglob("*.pdf"))[: args.limit])
    print_speed(paths, args.dpi)
    if args.growth:
        print_growth(paths[0], args.dpi)
    if args.load:
        print_load(paths, args.dpi)
    if args.memory:
        print_memory(paths, args.dpi, args.memory)


if __name__ == "__main__":
    main()
