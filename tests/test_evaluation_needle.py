"""needle.py, with scripted engines for what is counted, and real checkpoints of a tiny model for what is asked of one."""

import json
import random

import pytest
import tiny
import torch
from datasets import Dataset, Features, List, Value
from datasets import Image as ImageColumn
from PIL import Image

from mmprolong_hf.encoding import save_processor
from mmprolong_hf.evaluation.drawn_pages import DrawnDocuments
from mmprolong_hf.evaluation.generate import answer, load_model
from mmprolong_hf.evaluation.haystack import Haystack
from mmprolong_hf.evaluation.kept_answers import keep_answers
from mmprolong_hf.evaluation.needle import measure_needle, run_needle
from mmprolong_hf.evaluation.needle_contexts import hide_needles
from mmprolong_hf.evaluation.needle_kinds import KINDS, Needle, load_needle
from mmprolong_hf.evaluation.requests import Answer
from mmprolong_hf.rows import decode_image

NEEDLE = Needle(text="{value}", question="What is on page {page}?", keys=("",), values=("lemon", "maple"), size=1.0)
SMALL = {"lengths": [100, 200, 400], "depths": [0.0, 0.5, 1.0], "trials": 2, "needle": NEEDLE, "isolated": True}
GRID = {"lengths": [9_000], "depths": [0.0, 0.5, 1.0], "trials": 2}  # three pages
DRAWN = [row | {"images": list(row["images"])} for row in DrawnDocuments(num_documents=2, num_pages=4)]  # drawn once
PROCESSOR = tiny.processor(max_pixels=12_845_056)


def small_documents(num=3, num_pages=4):
    rows = []
    for d in range(num):
        images = [tiny.page(10 * d + p, 84 + 28 * (p % 2), 112) for p in range(num_pages)]
        rows.append({"doc_id": f"doc-{d}", "page_sizes": [image.size for image in images], "images": images})
    return rows


class Scripted:
    """Answers what it was told for each question, and counts what it reads."""

    name = "scripted"

    def __init__(self, outputs):
        self.outputs, self.contexts = outputs, []

    def answer(self, context):
        self.contexts.append(context)
        for ask in reversed(context.asks):
            yield Answer(ask.id, **self.outputs[ask.id])


def right_answers(needle):
    sizes = [row["page_sizes"] for row in DRAWN]
    outputs = {}
    for trial in range(GRID["trials"]):
        haystack = Haystack(DRAWN, sizes, random.Random(f"0 {trial}"))
        for length in GRID["lengths"]:
            arguments = {"length": length, "depths": GRID["depths"], "trial": trial, "seed": 0}
            for _, records in hide_needles(PROCESSOR, haystack, needle, **arguments):
                for record in records:
                    told = record["answer"] if isinstance(record["answer"], str) else " and ".join(record["answer"])
                    outputs[record["id"]] = {"text": f"It is {told}."}
    return outputs


@pytest.mark.parametrize("kind", KINDS)
def test_who_reads_every_needle_scores_1_and_who_reads_the_neighbours_0(kind):
    needle = load_needle(kind)
    outputs = right_answers(needle)
    reader = Scripted(outputs)
    report = measure_needle(reader, PROCESSOR, DRAWN, **GRID, needle=needle)
    assert report["summary"]["mean"] == 1
    assert report["summary"]["effective_length_prefix"] == 9_000
    assert len(reader.contexts) == 2, "pages of a haystack are not read once for all depths"
    assert len(report["records"]) == 6
    told = {name: outputs[other] for name, other in zip(outputs, [*list(outputs)[1:], next(iter(outputs))])}
    if kind == "none":
        told = {name: {"text": "It is 1234567."} for name in outputs}
    neighbours = measure_needle(Scripted(told), PROCESSOR, DRAWN, **GRID, needle=needle)
    assert neighbours["summary"]["mean"] <= (
        0.1 if kind in ("text", "image") else 0
    )  # words may be dealt again in a trial


def test_a_failed_answer_is_wrong_and_counted():
    needle = load_needle("none")
    outputs = right_answers(needle)
    failed = "none 9000 1 2"
    outputs[failed] = {"text": "", "error": "out of memory"}
    report = measure_needle(Scripted(outputs), PROCESSOR, DRAWN, **GRID, needle=needle)
    [record] = [record for record in report["records"] if record["error"]]
    assert (record["id"], record["score"], record["error"]) == (failed, 0, "out of memory")
    assert report["summary"]["per_length_failed"] == {9_000: 1}
    assert report["summary"]["grid"] == [[1], [1], [0.5]]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint that answers "!" to everything: its head is zero, so the first token of the vocabulary wins."""
    folder = tmp_path_factory.mktemp("checkpoint")
    model = tiny.model()
    torch.nn.init.zeros_(model.lm_head.weight)
    model.save_pretrained(folder)
    save_processor(tiny.processor(), folder)
    return folder


def test_scores_are_those_of_the_answers(checkpoint, tmp_path):
    needle = Needle(text="{value}", question="What?", keys=("",), values=("!", "?"), size=1.0)
    grid = SMALL | {"needle": needle, "depths": [0.0, 1.0], "trials": 4}
    report = run_needle(checkpoint, small_documents(), tmp_path, **grid)
    assert {record["answer"] for record in report["records"]} == {"!", "?"}
    cells = [(record["trial"], record["length"], record["depth"]) for record in report["records"]]
    assert cells == sorted((t, n, d) for t in range(4) for n in [100, 200] for d in [0.0, 1.0]), "400 cannot be filled"
    for record in report["records"]:
        assert set(record["output"]) == {"!"}
        assert record["score"] == (record["answer"] == "!")
        assert record["prompt_tokens"] < record["num_tokens"]
        assert record["largest_position"] < record["mrope_span"]
    cell = [r["score"] for r in report["records"] if (r["length"], r["depth"]) == (200, 1.0)]
    assert len(cell) == 4
    assert report["summary"]["grid"][1][1] == sum(cell) / 4


def test_a_real_model_answers_as_it_does_to_one_question_alone(tmp_path):
    folder = tiny.save_checkpoint(tmp_path / "model")
    report = run_needle(folder, small_documents(), tmp_path / "out", **SMALL | {"lengths": [200], "depths": [0.5]})
    model, processor, rows = load_model(str(folder)), tiny.processor(), small_documents()
    sizes = [row["page_sizes"] for row in rows]
    for trial, record in enumerate(report["records"]):
        haystack = Haystack(rows, sizes, random.Random(f"0 {trial}"))
        arguments = {"length": 200, "depths": [0.5], "trial": trial, "seed": 0, "isolated": True}
        [(context, [asked])] = hide_needles(processor, haystack, NEEDLE, **arguments)
        pages = [page.open() for page in context.pages]
        tokens = context.asks[0].max_new_tokens
        assert record["output"] == answer(model, processor, pages, asked["question"], max_new_tokens=tokens)


def test_a_length_that_the_pages_cannot_fill_stays_empty(checkpoint, tmp_path):
    run_needle(checkpoint, small_documents(num=1), tmp_path, **SMALL)
    report = json.loads((tmp_path / "needle.json").read_text())
    assert [row[2] for row in report["summary"]["grid"]] == [None, None, None]
    assert [row[2] for row in report["summary"]["counts"]] == [0, 0, 0]
    assert report["summary"]["per_length"]["400"] is None
    assert report["summary"]["per_length_interval"]["400"] == [0.0, 1.0]
    assert [row[0] for row in report["summary"]["counts"]] == [2, 2, 2]
    assert {record["length"] for record in report["records"]} == {100}


def test_same_seed_same_bytes(checkpoint, tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        run_needle(
            checkpoint, small_documents(), tmp_path / name, **SMALL | {"lengths": [100, 200], "trials": 1}, seed=seed
        )
    for file in ("needle.json", "needle.csv", "per_length.md", "heatmap.png"):
        first, second = ((tmp_path / name / file).read_bytes() for name in "ab")
        assert first == second, file
    other = json.loads((tmp_path / "c" / "needle.json").read_text())
    assert json.loads((tmp_path / "a" / "needle.json").read_text())["records"] != other["records"]


def test_a_stopped_measurement_asks_what_is_missing_and_ends_the_same(tmp_path):
    outputs = right_answers(load_needle())
    [stop, *_] = stopped = sorted(id for id in outputs if id.split()[2] == "1")
    whole = measure_needle(Scripted(outputs), PROCESSOR, DRAWN, **GRID)
    for lacking in (stopped, [stop]):  # a KeyError of the script stops each before the last is asked
        told = {id: output for id, output in outputs.items() if id not in lacking}
        with pytest.raises(KeyError), keep_answers(Scripted(told), tmp_path / "answers.jsonl") as keeping:
            measure_needle(keeping, PROCESSOR, DRAWN, **GRID)
    last = Scripted(outputs)
    with keep_answers(last, tmp_path / "answers.jsonl") as keeping:
        report = measure_needle(keeping, PROCESSOR, DRAWN, **GRID)
    assert [ask.id for context in last.contexts for ask in context.asks] == [stop]
    assert json.dumps(report) == json.dumps(whole)


def answers_in(folder):
    return [json.loads(line)["id"] for line in (folder / "needle_answers.jsonl").read_text().splitlines()]


def test_a_folder_serves_other_lengths_and_seeds_and_mixes_nothing(tmp_path):
    folder, grid = tiny.save_checkpoint(tmp_path / "model"), SMALL | {"trials": 1}
    asked = []
    for change in ({"lengths": [100]}, {"lengths": [100, 200]}, {"lengths": [100], "seed": 7}):
        report = run_needle(folder, small_documents(), tmp_path / "out", **grid | change)
        asked.append(answers_in(tmp_path / "out")[sum(map(len, asked)) :])
    assert [{id.split()[1] for id in ids} for ids in asked] == [{"100"}, {"200"}, {"100"}]
    assert [len(ids) for ids in asked] == [3, 3, 3]
    assert report == run_needle(folder, small_documents(), tmp_path / "fresh", **grid | change)


@pytest.mark.parametrize("change", ["weights", "rotary frequencies"])
def test_a_folder_refuses_the_same_name_with_another_model(tmp_path, change):
    folder, grid = tiny.save_checkpoint(tmp_path / "model"), SMALL | {"lengths": [100], "trials": 1}
    run_needle(folder, small_documents(), tmp_path / "out", **grid)
    before = (tmp_path / "out" / "needle.json").read_bytes()
    if change == "weights":
        tiny.model(seed=1).save_pretrained(folder)
    else:
        config = tiny.config()
        config.text_config.rope_parameters["rope_theta"] *= 4
        config.save_pretrained(folder)
    with pytest.raises(
        ValueError, match=r"holds answers of '.*weights .*', but this run's engine is .*: name another"
    ):
        run_needle(folder, small_documents(), tmp_path / "out", **grid)
    assert (tmp_path / "out" / "needle.json").read_bytes() == before


def test_pages_of_a_dataset_need_not_be_decoded(checkpoint, tmp_path):
    features = Features(
        {"doc_id": Value("string"), "page_sizes": List(List(Value("int32"))), "images": List(ImageColumn())}
    )
    decoded = Dataset.from_list(small_documents(), features=features)
    encoded = decoded.cast_column("images", List(ImageColumn(decode=False)))
    assert isinstance(decode_image(encoded[0]["images"][0]), Image.Image)
    run_needle(checkpoint, decoded, tmp_path / "decoded", **SMALL | {"lengths": [100]})
    run_needle(checkpoint, encoded, tmp_path / "encoded", **SMALL | {"lengths": [100]})
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
    arguments = {"documents": small_documents(1), **SMALL, **change}
    with pytest.raises(ValueError, match=message):
        measure_needle(Scripted({}), tiny.processor(), **arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lengths": [200, 100]}, "expected increasing"),
        ({"isolated": False}, r"expected a \{key\} in it"),
    ],
)
def test_arguments_are_checked_before_the_weights_are_loaded(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        run_needle(tmp_path / "no checkpoint", small_documents(1), tmp_path / "out", **SMALL | change)
