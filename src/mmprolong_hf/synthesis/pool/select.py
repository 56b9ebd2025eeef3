"""Chooses the pool among all scanned documents: what is sound, once each, and not in a benchmark."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby

import numpy as np

from .contamination import Benchmark
from .duplicates import find_twins
from .manifest import MANIFEST_SCHEMA
from .options import PoolOptions
from .quality import flaw
from .shingles import NUM_HASHES


@dataclass(frozen=True)
class Rejection:
    """
    A document that is left out.

    Args:
        source (`str`): Its name.
        reason (`str`): A short code, e.g. `"near_duplicate"`.
        detail (`str`): What was found and what was expected.
        match (`str`, *optional*): The document, or the benchmark's page or question, that it repeats.
    """

    source: str
    reason: str
    detail: str
    match: str = ""


def select(
    rows: Iterable[Mapping], options: PoolOptions, benchmark: Benchmark | None = None
) -> tuple[list[dict], list[Rejection]]:
    """
    The documents to keep, and why each other one is not. The order of `rows` makes no difference.

    A document is rejected for the first of these that holds: it is the same file as one whose source sorts before
    (`"duplicate"`); its own record speaks against it (reasons of `quality.flaw`); it overlaps the benchmark (reasons
    of `contamination.Match`); it nearly repeats a kept document with more pages, or of as many with a smaller id
    (`"near_duplicate"`). So a document that is rejected for itself never costs its twin the place.

    Rows are taken one at a time, and what stays of each is its record and its signature, about 6 KB for 24 pages:
    give a generator that reads Parquet files where there are many. 100,000 rows take 7 s, and against a benchmark of
    135 documents and 1,000 questions another two minutes; both grow in proportion (one core, synthetic rows).

    Args:
        rows (`Iterable[Mapping]`): Of `manifest.POOL_SCHEMA`, one for each source.
        options (`PoolOptions`): The limits.
        benchmark (`Benchmark`, *optional*): What must not be in the pool.

    Returns:
        `tuple[list[dict], list[Rejection]]`: Rows of `manifest.MANIFEST_SCHEMA` sorted by `doc_id`, and the rejections
        sorted by source; together as many as `rows`.

    Raises:
        ValueError: if a source occurs twice.
    """
    records, signatures, rejected = {}, {}, {}
    for row in rows:
        source = row["source"]
        if source in records:
            raise ValueError(f"{source!r} was scanned twice, expected one row for each source")
        records[source] = {name: row[name] for name in MANIFEST_SCHEMA.names}
        signatures[source] = row["minhash"]
        found = flaw(row, options) or (benchmark and benchmark.find(row, options))
        if found:
            rejected[source] = Rejection(source, *found)
    rejected |= _same_files(records)
    if options.near_duplicates is not None:
        left = [record for source, record in records.items() if source not in rejected and signatures[source]]
        rejected |= _near_duplicates(left, signatures, options.near_duplicates)
    kept = [record for source, record in records.items() if source not in rejected]
    assert len(kept) + len(rejected) == len(records)
    return sorted(kept, key=lambda record: record["doc_id"]), [rejected[source] for source in sorted(rejected)]


def summarise(kept: list[Mapping], rejected: list[Rejection], benchmark: Benchmark | None = None) -> dict:
    """
    What was kept and what was found, to be written as JSON and shown in a card.

    Args:
        kept (`list[Mapping]`): From [`select`].
        rejected (`list[Rejection]`): From [`select`], and any of the scan.
        benchmark (`Benchmark`, *optional*): What was compared with.

    Returns:
        `dict`: documents, kept, pages, page_tokens, languages and reasons (counts), benchmark (`Benchmark.facts` or
        None), and pairs: each rejection that names what the document repeats.

    Example:

    ```python
    >>> found = summarise([], [Rejection("b.pdf", "duplicate", "it is the same file as a.pdf", "a.pdf")])
    >>> found["reasons"], found["pairs"][0]["match"]
    ({'duplicate': 1}, 'a.pdf')

    ```
    """
    return {
        "documents": len(kept) + len(rejected),
        "kept": len(kept),
        "pages": sum(row["num_pages"] for row in kept),
        "page_tokens": sum(row["page_tokens"] for row in kept),
        "languages": dict(sorted(Counter(row["language"] for row in kept).items())),
        "reasons": dict(sorted(Counter(r.reason for r in rejected).items())),
        "benchmark": benchmark.facts() if benchmark else None,
        "pairs": [asdict(r) for r in rejected if r.match],
    }


def _same_files(records: Mapping[str, Mapping]) -> dict[str, Rejection]:
    rejected = {}
    by_file = sorted(records.values(), key=lambda record: (record["doc_id"], record["source"]))
    for _, group in groupby(by_file, key=lambda record: record["doc_id"]):
        first, *others = (record["source"] for record in group)
        rejected |= {s: Rejection(s, "duplicate", f"it is the same file as {first}", first) for s in others}
    return rejected


def _near_duplicates(
    records: list[Mapping], signatures: Mapping[str, bytes], threshold: float
) -> dict[str, Rejection]:
    records = sorted(records, key=lambda record: (-record["num_pages"], record["doc_id"]))
    sources = [record["source"] for record in records]
    table = np.frombuffer(b"".join(signatures[s] for s in sources), "<u4").reshape(-1, NUM_HASHES)
    rejected = {}
    for index, twin in enumerate(find_twins(table, threshold).tolist()):
        if twin >= 0:
            similarity = (table[index] == table[twin]).mean()
            detail = f"it is {similarity:.0%} like {sources[twin]}; expected less than near_duplicates={threshold}"
            rejected[sources[index]] = Rejection(sources[index], "near_duplicate", detail, sources[twin])
    return rejected
