"""The pool as a whole."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from test_synthesis_pool_scan import OPTIONS, as_images, prose, scan

from mmprolong_hf.synthesis.pages import image_size, open_pdf
from mmprolong_hf.synthesis.pool.contamination import Benchmark
from mmprolong_hf.synthesis.pool.manifest import MANIFEST_SCHEMA
from mmprolong_hf.synthesis.pool.options import PoolOptions
from mmprolong_hf.synthesis.pool.scan import scan_pdf
from mmprolong_hf.synthesis.pool.select import Rejection, select, summarise
from mmprolong_hf.synthesis.rejected import RejectedDocument

DOCUMENTS = Path(__file__).resolve().parents[2] / "shared" / "documents"
BROKEN = "live-manual.landscape.en.letter.pdf"


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> list[dict]:
    """Two sound documents, a copy of the first, two new editions of it, a scan of it, one of too few pages."""
    folder = tmp_path_factory.mktemp("pool")
    prose(folder / "b.pdf", 1, pages=8)
    (folder / "a-copy.pdf").write_bytes((folder / "b.pdf").read_bytes())
    prose(folder / "edition-2.pdf", 1, pages=8, first="The river, second edition")
    prose(folder / "edition-3.pdf", 1, pages=8, first="The river, third edition")
    prose(folder / "other.pdf", 2, pages=8)
    prose(folder / "short.pdf", 3, pages=2)
    as_images(folder / "b.pdf", folder / "scan.pdf")
    return [scan(path, replace(OPTIONS, scanned="keep")) for path in sorted(folder.glob("*.pdf"))]


ASKED = PoolOptions(min_pages=5)


def test_each_reason_once_and_nothing_is_lost(rows):
    kept, rejected = select(rows, ASKED)
    ids = {row["source"]: row["doc_id"] for row in rows}
    first, second = sorted(["edition-2.pdf", "edition-3.pdf"], key=ids.get)  # of as many pages: the smaller id stays
    assert {row["source"] for row in kept} == {first, "other.pdf"}
    assert [row["doc_id"] for row in kept] == sorted(row["doc_id"] for row in kept)
    assert {r.source: (r.reason, r.match) for r in rejected} == {
        "a-copy.pdf": ("near_duplicate", first),
        "b.pdf": ("duplicate", "a-copy.pdf"),
        second: ("near_duplicate", first),
        "scan.pdf": ("scanned", ""),
        "short.pdf": ("too_few_pages", ""),
    }
    assert len(kept) + len(rejected) == len(rows)
    pa.Table.from_pylist(kept, schema=MANIFEST_SCHEMA)
    assert set(kept[0]) == set(MANIFEST_SCHEMA.names)


def test_switched_off_near_duplicates_stay(rows):
    kept, rejected = select(rows, replace(ASKED, near_duplicates=None))
    assert {row["source"] for row in kept} == {"a-copy.pdf", "edition-2.pdf", "edition-3.pdf", "other.pdf"}
    assert "near_duplicate" not in {r.reason for r in rejected}


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_rows_makes_no_difference(rows, seed):
    mixed = random.Random(seed).sample(rows, len(rows))
    benchmark = Benchmark([rows[-1]], [])
    assert mixed != rows
    assert select(iter(mixed), ASKED, benchmark) == select(rows, ASKED, benchmark)


def test_a_document_that_is_rejected_itself_costs_its_twin_nothing(rows):
    first = next(row for row in select(rows, ASKED)[0] if row["source"].startswith("edition"))
    benchmark = Benchmark([next(row for row in rows if row["source"] == first["source"])])
    loose = replace(ASKED, text_overlap=None, image_distance=None)  # so that only the file itself is found
    kept, rejected = select(rows, loose, benchmark)
    assert (
        Rejection(first["source"], "benchmark_file", f"it is the benchmark file {first['source']}", first["source"])
        in rejected
    )
    assert sum(row["source"].startswith("edition") for row in kept) == 1


def test_scans_are_compared_by_their_pages(rows):
    scanned = next(row for row in rows if row["source"] == "scan.pdf")
    twin = scanned | {"source": "twin.pdf", "doc_id": "f" * 64}
    kept, rejected = select([scanned, twin], replace(ASKED, scanned="keep"))
    assert [row["source"] for row in kept] == ["scan.pdf"]
    assert rejected[0].reason == "near_duplicate"


def test_blank_documents_are_no_duplicates_of_each_other(rows):
    blank = [rows[0] | {"source": f"{k}.pdf", "doc_id": f"{k}", "minhash": b""} for k in range(3)]
    assert len(select(blank, ASKED)[0]) == 3


def test_a_source_that_occurs_twice_is_an_error(rows):
    with pytest.raises(ValueError, match=r"'a-copy\.pdf' was scanned twice, expected one row for each source"):
        select([rows[0], rows[0]], ASKED)


def test_no_document_at_all():
    assert select([], ASKED) == ([], [])


def test_the_summary_counts_and_names(rows):
    benchmark = Benchmark([next(row for row in rows if row["source"] == "other.pdf")], ["How many?"])
    kept, rejected = select(rows, ASKED, benchmark)
    summary = summarise(kept, rejected, benchmark)
    assert summary["documents"] == len(rows)
    assert summary["kept"] == 1
    assert summary["reasons"] == {
        "benchmark_file": 1, "duplicate": 1, "near_duplicate": 2, "scanned": 1, "too_few_pages": 1,
    }  # fmt: skip
    assert summary["languages"] == {"en": 1}
    assert {(pair["source"], pair["match"]) for pair in summary["pairs"]} >= {("b.pdf", "a-copy.pdf")}
    assert summary["benchmark"]["questions_too_short"] == 1
    assert json.loads(json.dumps(summary))["kept"] == 1


needs_documents = pytest.mark.skipif(not DOCUMENTS.is_dir(), reason="the real documents are not beside this checkout")


@pytest.fixture(scope="module")
def real() -> tuple[list[dict], dict[str, str]]:
    """Rows of the real documents, and which were rejected."""
    found, rejected = [], {}
    for path in sorted(DOCUMENTS.glob("*.pdf")):
        try:
            found.append(scan_pdf(path, path.name, options=PoolOptions()))
        except RejectedDocument as error:
            rejected[path.name] = error.reason
    return found, rejected


@needs_documents
def test_of_the_real_documents_only_the_broken_one_is_rejected(real):
    found, rejected = real
    assert rejected == {BROKEN: "nearly_empty"}
    kept, left_out = select(found, PoolOptions(languages=("en", "zh")))
    assert (len(kept), left_out) == (20, [])
    assert {row["source"] for row in kept if row["language"] == "zh"} == {"debmake-doc.zh-cn.pdf"}


@needs_documents
def test_page_sizes_of_the_real_documents_are_those_that_pymupdf_renders(real):
    for row in real[0]:
        with open_pdf(DOCUMENTS / row["source"]) as document:
            sizes = [image_size(tuple(page.rect.br), dpi=144, max_pixels=40_000_000) for page in document]
        assert [tuple(size) for size in row["page_sizes"]] == sizes


@needs_documents
def test_a_rasterised_real_document_is_known_by_its_pages_and_by_nothing_else(real, tmp_path):
    found, _ = real
    options = PoolOptions(scanned="keep")
    raster = scan(as_images(DOCUMENTS / "zoo.pdf", tmp_path / "raster.pdf", dpi=100), options)
    for keep_zoo, reasons in ((True, {"benchmark_image": 1}), (False, {})):
        benchmark = Benchmark([row for row in found if keep_zoo or row["source"] != "zoo.pdf"])
        kept, rejected = select([raster], options, benchmark)
        assert summarise(kept, rejected)["reasons"] == reasons
        assert all(rejection.match.startswith("zoo.pdf page") for rejection in rejected)
    benchmark = Benchmark([row for row in found if row["source"] == "zoo.pdf"])
    assert select([raster], replace(options, image_distance=None), benchmark)[1] == []


@needs_documents
def test_real_documents_are_no_contamination_of_each_other_but_for_a_common_licence(real):
    found, _ = real
    found = [row for row in found if row["source"] != "music-glossary.pdf"]  # it prints the same licence as essay.pdf
    for k, row in enumerate(found):
        assert select([row], PoolOptions(), Benchmark(found[:k] + found[k + 1 :]))[1] == []
