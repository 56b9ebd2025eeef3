"""
How fast a pool is scanned and chosen, and a mixture chosen from it, as the number of documents grows.

    python benchmarks/pool.py FOLDER [--rows 25000 50000 100000] [--samples 1000000]

Scanning reads the PDFs of the folder; choosing takes made-up rows, since only their number matters. CPU seconds of one process.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np

from mmprolong_hf.synthesis.mixture import MixtureOptions
from mmprolong_hf.synthesis.pool.manifest import FINGERPRINTS, MANIFEST_SCHEMA
from mmprolong_hf.synthesis.pool.options import PoolOptions
from mmprolong_hf.synthesis.pool.scan import scan_pdf
from mmprolong_hf.synthesis.pool.select import select
from mmprolong_hf.synthesis.selection import select_samples
from mmprolong_hf.synthesis.sources import find_pdfs

OPTIONS = PoolOptions(min_pages=1, min_characters=0)
DOCUMENT_SAMPLES = 20


def timed(function, *args, **kwargs):
    began = time.process_time()
    return function(*args, **kwargs), time.process_time() - began


def made_up(row: dict, count: int):
    """Rows like a real one, each with a signature of its own."""
    rng = np.random.default_rng(0)
    for k in range(count):
        signature = rng.integers(0, 2**32, len(row["minhash"]) // 4, dtype=np.uint32).tobytes()
        yield row | {"source": f"{k}.pdf", "doc_id": f"{k:064x}", "minhash": signature}


def made_up_samples(count: int) -> dict:
    rng = np.random.default_rng(0)
    documents = np.arange(count) // DOCUMENT_SAMPLES
    return {
        "document": [f"{d}" for d in documents],
        "question": [f"{k}?" for k in range(count)],
        "task": rng.choice(["extract-single", "extract-multi", "reasoning"], count).tolist(),
        "template": rng.choice(["a", "b", "c", "d"], count).tolist(),
        "depth": rng.integers(0, 10, count).tolist(),
        "tokens": rng.integers(32_768, 126_800, documents[-1] + 1)[documents].tolist(),
        "pages": [40] * count,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[25_000, 50_000, 100_000])
    parser.add_argument("--samples", type=int, default=1_000_000)
    args = parser.parse_args()
    items = find_pdfs(args.folder)
    scan_pdf(items[0]["path"], items[0]["source"], options=OPTIONS)  # loads what is loaded once
    rows, seconds = timed(lambda: [scan_pdf(item["path"], item["source"], options=OPTIONS) for item in items])
    pages = sum(row["num_pages"] for row in rows)
    size = sum(
        len(row[n]) if isinstance(row[n], bytes) else sum(map(len, row[n])) for row in rows for n in FINGERPRINTS.names
    )
    print(
        f"scan: {len(rows)} PDFs, {pages} pages, {pages / seconds:.0f} pages a CPU second, {size / pages:.0f} bytes of fingerprints a page"
    )
    assert set(MANIFEST_SCHEMA.names) <= set(rows[0])
    print("\n| rows | CPU s to choose | largest memory so far, MiB |\n|---:|---:|---:|")
    for count in args.rows:
        (kept, _), seconds = timed(select, made_up(rows[0], count), OPTIONS)
        assert len(kept) == count
        print(f"| {count:,} | {seconds:.1f} | {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} |")
    options = MixtureOptions(token_budget=5 * 2**30)
    selection, seconds = timed(select_samples, made_up_samples(args.samples), options, 0)
    shares = {task: round(found["share"], 4) for task, found in selection.achieved["tasks"].items()}
    print(f"\nmixture of {args.samples:,} samples: {seconds:.1f} CPU s, shares {shares}")


if __name__ == "__main__":
    main()
