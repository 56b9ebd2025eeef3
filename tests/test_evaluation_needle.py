"""needle.py, with real checkpoints of a tiny model; what it answers is of no interest here, only what it is asked."""

import json
from itertools import product

import pytest
import tiny
import torch
from PIL import Image

from mmprolong_hf.encoding import encode_sample, save_processor
from mmprolong_hf.rows import decode_image
from mmprolong_hf.evaluation.drawing import Needle
from mmprolong_hf.evaluation.needle import hide_needle, measure_needle, run_needle

NEEDLE = Needle(text="{value}", question="What is on page {page}?", keys=("",), values=("lemon", "maple"), size=1.0)
GRID = {"lengths": [100, 200, 400], "depths": [0.0, 0.5, 1.0], "trials": 2, "needle": NEEDLE}


def documents(num=3, num_pages=4):
    rows = []
    for d in range(num):
        images = [tiny.page(10 * d + p, 84 + 28 * (p % 2), 112) for p in range(num_pages)]
        rows.append({"doc_id": f"doc-{d}", "page_sizes": [image.size for image in images], "images": images})
    return rows


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint that answers "!" to everything: its head is zero, so the first token of the vocabulary wins."""
    folder = tmp_path_factory.mktemp("checkpoint")
    model = tiny.model()
    torch.nn.init.zeros_(model.lm_head.weight)
    model.save_pretrained(folder)
    save_processor(tiny.processor(), folder)
    return folder


def haystacks(rows, processor, needle=NEEDLE, seed=0):
    """(trial, length, depth) -> pages and record of every cell of the grid."""
    sizes = [row["page_sizes"] for row in rows]
    cells = product(range(GRID["trials"]), GRID["lengths"], GRID["depths"])
    return {
        (t, n, d): hide_needle(processor, rows, sizes, needle, length=n, depth=d, trial=t, seed=seed)
        for t, n, d in cells
    }


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_haystack_is_what_its_record_says(family):
    rows, processor = documents(num=6), tiny.processor(family)
    images = {row["doc_id"]: row["images"] for row in rows}
    originals = {image.tobytes() for row in rows for image in row["images"]}
    for (_, length, depth), (pages, record) in haystacks(rows, processor).items():
        assert record["question"] == f"What is on page {record['page']}?"
        assert len(pages) == record["num_pages"]
        sample = encode_sample(processor, pages, range(1, len(pages) + 1), record["question"], record["answer"])
        assert length - 40 < record["num_tokens"] == len(sample["input_ids"]) <= length
        changed = [number for number, page in enumerate(pages, 1) if page.tobytes() not in originals]
        assert changed == [record["page"]]
        original = images[record["source"]["doc_id"]][record["source"]["page"] - 1]
        assert pages[record["page"] - 1].size == original.size
        assert depth == 0.5 or record["page"] == (1 if depth == 0 else len(pages))


def test_longer_haystacks_begin_as_shorter_ones_and_trials_differ():
    cells = haystacks(documents(num=6), tiny.processor())

    def pages_beside_the_needle(*cell):
        pages, record = cells[cell]
        return [page.tobytes() for number, page in enumerate(pages, 1) if number != record["page"]]

    short, long = pages_beside_the_needle(0, 100, 1.0), pages_beside_the_needle(0, 400, 1.0)
    assert 0 < len(short) < len(long)
    assert short == long[: len(short)]
    assert long != pages_beside_the_needle(1, 400, 1.0)


def test_scores_are_those_of_the_answers(checkpoint, tmp_path):
    needle = Needle(text="{value}", question="What?", keys=("",), values=("!", "?"), size=1.0)
    report = run_needle(
        checkpoint, documents(), tmp_path, **GRID | {"needle": needle, "depths": [0.0, 1.0], "trials": 4}
    )
    assert {record["answer"] for record in report["records"]} == {"!", "?"}
    cells = [(record["trial"], record["length"], record["depth"]) for record in report["records"]]
    assert cells == list(product(range(4), [100, 200], [0.0, 1.0])), "400 tokens are more than the pages have"
    for record in report["records"]:
        assert set(record["output"]) == {"!"}
        assert record["score"] == (record["answer"] == "!")
    cell = [r["score"] for r in report["records"] if (r["length"], r["depth"]) == (200, 1.0)]
    assert len(cell) == 4
    assert report["summary"]["grid"][1][1] == sum(cell) / 4


def test_a_length_that_the_pages_cannot_fill_stays_empty(checkpoint, tmp_path):
    run_needle(checkpoint, documents(num=1), tmp_path, **GRID)
    report = json.loads((tmp_path / "needle.json").read_text())
    assert [row[2] for row in report["summary"]["grid"]] == [None, None, None]
    assert [row[2] for row in report["summary"]["counts"]] == [0, 0, 0]
    assert report["summary"]["per_length"]["400"] is None
    assert report["summary"]["per_length_interval"]["400"] == [0.0, 1.0]
    assert [row[0] for row in report["summary"]["counts"]] == [2, 2, 2]
    assert {record["length"] for record in report["records"]} == {100}


def test_same_seed_same_bytes(checkpoint, tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        run_needle(checkpoint, documents(), tmp_path / name, **GRID, seed=seed)
    first, second, other = ((tmp_path / name / "needle.json").read_bytes() for name in "abc")
    assert first == second
    assert json.loads(first)["records"] != json.loads(other)["records"]
    with Image.open(tmp_path / "a" / "heatmap.png") as picture:
        assert picture.width > 300


def test_pages_of_a_dataset_need_not_be_decoded(checkpoint, tmp_path):
    from datasets import Dataset, Features, List, Value
    from datasets import Image as ImageColumn

    features = Features(
        {"doc_id": Value("string"), "page_sizes": List(List(Value("int32"))), "images": List(ImageColumn())}
    )
    decoded = Dataset.from_list(documents(), features=features)
    encoded = decoded.cast_column("images", List(ImageColumn(decode=False)))
    assert isinstance(decode_image(encoded[0]["images"][0]), Image.Image)
    run_needle(checkpoint, decoded, tmp_path / "decoded", **GRID)
    run_needle(checkpoint, encoded, tmp_path / "encoded", **GRID)
    assert (tmp_path / "decoded" / "needle.json").read_bytes() == (tmp_path / "encoded" / "needle.json").read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"documents": []}, "documents is empty, expected at least one row"),
        ({"lengths": [200, 100]}, r"lengths is \[200, 100\], expected increasing"),
        ({"lengths": []}, r"lengths is \[\], expected increasing"),
        ({"depths": [0.5, 1.5]}, r"depths is \[0\.5, 1\.5\], expected increasing numbers from 0 to 1"),
        ({"trials": 0}, "trials is 0, expected at least 1"),
    ],
)
def test_refusals(change, message):
    arguments = {"documents": documents(1), **GRID, **change}
    with pytest.raises(ValueError, match=message):
        measure_needle(None, tiny.processor(), **arguments)
