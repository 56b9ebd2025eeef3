"""
Seconds to make and measure a needle map, with an engine that answers at once: everything but the model.

    python benchmarks/needle.py FOLDER [--kind text] [--lengths 8192 16384 32768 65536 131072] [--depths 11] [--trials 3] [--isolated]

FOLDER holds PDFs. Pages take as many tokens as with Qwen2.5-VL's own limits.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mmprolong_hf.demo.model import make_tiny_model
from mmprolong_hf.encoding import load_processor
from mmprolong_hf.evaluation.needle import LENGTHS, measure_needle
from mmprolong_hf.evaluation.needle_kinds import KINDS, load_needle
from mmprolong_hf.evaluation.needle_pdfs import PdfFolder
from mmprolong_hf.evaluation.needle_report import write_needle_report
from mmprolong_hf.evaluation.requests import Answer, Context
from mmprolong_hf.lengths import QWEN2_5_VL_LIMITS


class Parrot:
    """Says the same to every question."""

    name = "parrot"

    def answer(self, context: Context) -> Iterator[Answer]:
        """One answer each."""
        yield from (Answer(ask.id, "Not answerable") for ask in context.asks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", choices=KINDS, default="text")
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    parser.add_argument("--depths", type=int, default=11)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--isolated", action="store_true")
    parser.add_argument("--output", type=Path, help="keep the report here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_tiny_model(Path(folder) / "model")
        processor = load_processor(
            Path(folder) / "model", min_pixels=QWEN2_5_VL_LIMITS.min_pixels, max_pixels=QWEN2_5_VL_LIMITS.max_pixels
        )
        began = time.perf_counter()
        documents = PdfFolder(args.folder)
        listed = time.perf_counter()
        report = measure_needle(
            Parrot(),
            processor,
            documents,
            lengths=args.lengths,
            depths=[i / max(args.depths - 1, 1) for i in range(args.depths)],
            trials=args.trials,
            needle=load_needle(args.kind),
            isolated=args.isolated,
        )
        write_needle_report(report, args.output or Path(folder) / "needle", title="parrot")
    seconds = time.perf_counter() - began
    pages = sum(record["num_pages"] for record in report["records"])
    print(
        f"{len(documents)} PDFs, {len(report['records'])} needles, {pages:,} pages read if each needle had its context"
    )
    print(f"{seconds:.1f} s, {listed - began:.1f} of them to list the PDFs")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB at most")


if __name__ == "__main__":
    main()
