"""`make demo`: PDFs -> datasets -> training -> checkpoint -> held-out questions and a heat map, on two CPU cores."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from accelerate import PartialState
from datasets import Dataset, load_dataset

from mmprolong_hf.demo.card_documents import CARD_TITLES, write_cards
from mmprolong_hf.demo.model import make_tiny_model
from mmprolong_hf.demo.reports import write_reports
from mmprolong_hf.encoding import load_processor
from mmprolong_hf.evaluation.generate import load_model
from mmprolong_hf.evaluation.haystack import context_length
from mmprolong_hf.evaluation.needle import run_needle
from mmprolong_hf.evaluation.needle_kinds import Needle
from mmprolong_hf.evaluation.questions import evaluate_questions
from mmprolong_hf.evaluation.scoring import exact_match
from mmprolong_hf.synthesis.mixture import MixtureOptions
from mmprolong_hf.synthesis.options import QuestionOptions
from mmprolong_hf.synthesis.pipeline import build_dataset
from mmprolong_hf.synthesis.plan import BuildPlan, folder_plan
from mmprolong_hf.synthesis.pool.options import PoolOptions
from mmprolong_hf.synthesis.preview import draw_question

FOLDER = Path("demo")
RECIPE = Path("recipes/tiny_cpu.yaml")
# Pages -> documents of so many pages. Most are short: a model learns to look up a page among four only once it does among two.
NUM_CARDS = {1: 600, 2: 1000, 3: 400, 4: 400}
CARD_QUESTION = (
    "What is the title of the section that starts on page {page}, counting the first page of the document as page 1?"
)
NUM_REPORTS = 5
NEEDLE_PAGES = (1, 2, 3, 4, 6, 8)  # trained on up to 4: beyond is what the tiny model was never shown


def prepare(folder: Path = FOLDER) -> None:
    """
    Makes what `recipes/tiny_cpu.yaml` trains on, where it is not there yet: card documents, their dataset and a tiny model with
    random weights. With several processes, the first one makes them and the others wait.
    """
    with PartialState().main_process_first():
        if not (folder / "cards" / "README.md").exists():
            write_cards(folder / "pdfs" / "cards", num_documents=NUM_CARDS)
            build_dataset(_cards_plan(folder))
        if not (folder / "model" / "config.json").exists():
            make_tiny_model(folder / "model")


def _cards_plan(folder: Path) -> BuildPlan:
    """A card is a page with one letter: nearly empty, and like its neighbours, by any rule for real documents."""
    return BuildPlan(
        pdfs=str(folder / "pdfs" / "cards"),
        output=str(folder / "cards"),
        test_fraction=0.06,
        pool=PoolOptions(min_pages=1, min_characters=0, max_repeated_pages=None, near_duplicates=None),
        questions=QuestionOptions(per_task={"extract-single": 32}, kinds=("section-title-on-page",)),
        mixture=MixtureOptions(shares={"extract-single": 1.0}),
    )


def run_demo(folder: Path, pdfs: Path | None = None) -> None:
    """
    Goes the whole way once and prints what it made.

    Args:
        folder (`Path`): Everything is written below it.
        pdfs (`Path`, *optional*): Your PDFs; reports are made in code if not given.

    Raises:
        ValueError: when it is not run from the repository's root, where the recipes are, or no PDF can be used.
    """
    if not RECIPE.is_file():
        raise ValueError(f"{RECIPE} is not here; run the demo from the root of the repository")
    torch.set_num_threads(1)  # faster than two for a model of this size
    began = time.perf_counter()
    made: dict[str, str] = {}

    with _part("1/6 Documents and datasets"):
        prepare(folder)
        if pdfs is None:
            write_reports(folder / "pdfs" / "reports", count=NUM_REPORTS)
        changes = {"output": str(folder / "documents"), "test_fraction": 0.2}
        report = build_dataset(folder_plan(pdfs or folder / "pdfs" / "reports", changes))
        print(report)
        made[f"{folder}/documents"] = "dataset of the documents: load_dataset reads it"
        made[f"{folder}/cards"] = "dataset of the cards that the tiny model learns from"
    with _part("2/6 Questions on their pages"):
        for path in _draw_questions(load_dataset(str(folder / "documents"), split="train"), folder / "questions"):
            made[str(path)] = "a page with its question, the evidence marked"
    cards = load_dataset(str(folder / "cards"), split="test")
    with _part("3/6 Held-out cards before training (the control)"):
        before = _exact_matches(folder / "model", cards)
    with _part("4/6 Training: accelerate launch recipes/tiny_cpu.yaml"):
        _launch(folder, folder / "tiny_cpu", dataset_name=folder / "cards", model_name_or_path=folder / "model")
        made[f"{folder}/tiny_cpu"] = "checkpoint: from_pretrained reads it; README.md is its model card"
    with _part("5/6 Held-out cards after training, and the heat map"):
        after = _exact_matches(folder / "tiny_cpu", cards)
        _map_needles(folder / "tiny_cpu", cards, folder / "needle")
        made[f"{folder}/needle/heatmap.png"] = "context length x depth; needle.json has every answer"
    with _part("6/6 The same checkpoint on the documents, a few steps"):
        _launch(
            folder,
            folder / "tiny_documents",
            dataset_name=folder / "documents",
            model_name_or_path=folder / "tiny_cpu",
            extend_context="false",
            max_length=2048,
            max_steps=4,
            warmup_steps=0,
            learning_rate=3e-4,
            logging_steps=1,
            eval_strategy="no",
            eval_on_start="false",
        )
        made[f"{folder}/tiny_documents"] = "checkpoint after them"

    _print_results(folder, before, after, _commonest_answer(cards))
    print(f"Done in {(time.perf_counter() - began) / 60:.1f} minutes. Made:")
    for path, what in made.items():
        print(f"  {path:<36} {what}")


@contextmanager
def _part(title: str) -> Iterator[None]:
    print(f"\n== {title}", flush=True)
    began = time.perf_counter()
    yield
    print(f"   {time.perf_counter() - began:.0f} s", flush=True)


def _print_results(folder: Path, before: dict, after: dict, commonest: dict) -> None:
    print(f"\n{'held-out cards':<22}{'before training':>16}{'after training':>16}{'commonest answer':>18}")
    losses = _losses(folder / "tiny_cpu", "eval_loss")
    print(f"{'loss':<22}{losses[0]:>16.2f}{losses[-1]:>16.2f}")
    for num_pages in sorted(before):
        columns = [f"{right}/{num}" for right, num in (before[num_pages], after[num_pages], commonest[num_pages])]
        name = f"exact, {num_pages} page{'s'[: num_pages != 1]}"
        print(f"{name:<22}{columns[0]:>16}{columns[1]:>16}{columns[2]:>18}")
    losses = _losses(folder / "tiny_documents", "loss")
    print(
        f"\nLoss on the documents: {losses[0]:.2f} in the first step, {losses[-1]:.2f} in the last (too small to read them)."
    )


def _draw_questions(documents: Dataset, folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for row in documents.select(range(len(documents) - 1, -1, -1)):
        for index, question in enumerate(row["questions"]):
            task = question["task"]
            if task not in paths:
                paths[task] = folder / f"{task}.png"
                draw_question(row, index).save(paths[task])
        if len(paths) == 3:
            break
    return sorted(paths.values())


def _launch(folder: Path, output: Path, **options: object) -> None:
    command = [sys.executable, "-m", "accelerate.commands.launch", str(RECIPE), "--output_dir", str(output)]
    for key, value in options.items():
        command += [f"--{key}", str(value)]
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


def _exact_matches(checkpoint: Path, rows: Dataset) -> dict[int, tuple[int, int]]:
    records, _ = evaluate_questions(load_model(str(checkpoint)), load_processor(checkpoint), rows, max_new_tokens=4)
    num_pages = dict(zip(rows["doc_id"], rows["num_pages"]))
    return _count((num_pages[record["doc_id"]], record["score"]) for record in records)


def _count(scores: Iterator[tuple[int, int]]) -> dict[int, tuple[int, int]]:
    right, num = Counter(), Counter()
    for num_pages, score in scores:
        right[num_pages] += score
        num[num_pages] += 1
    return {num_pages: (right[num_pages], num[num_pages]) for num_pages in num}


def _commonest_answer(rows: Dataset) -> dict[int, tuple[int, int]]:
    asked = [(row["num_pages"], question["answer"]) for row in rows for question in row["questions"]]
    answer = Counter(answer for _, answer in asked).most_common(1)[0][0]
    return _count((num_pages, exact_match(answer, gold)) for num_pages, gold in asked)


def _map_needles(checkpoint: Path, rows: Dataset, output: Path) -> None:
    needle = Needle(text="{value}", question=CARD_QUESTION, keys=("card",), values=CARD_TITLES, size=1.0)
    processor = load_processor(checkpoint)
    size = tuple(rows[0]["page_sizes"][0])
    longest = CARD_QUESTION.format(page=999)
    lengths = [context_length(processor, [size] * num_pages, longest, CARD_TITLES[0]) for num_pages in NEEDLE_PAGES]
    # A card is a whole page, and a question names its page: two needles of one haystack could meet there.
    grid = {"lengths": lengths, "depths": [0.0, 0.5, 1.0], "trials": 8}
    # Of another training of the same demo, whose answers are another model's
    shutil.rmtree(output, ignore_errors=True)
    run_needle(str(checkpoint), rows, output, **grid, needle=needle, isolated=True)


def _losses(output: Path, key: str) -> list[float]:
    history = json.loads((output / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
    return [entry[key] for entry in history if key in entry]
