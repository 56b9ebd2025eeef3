"""The demo's pieces at a fraction of their size; CI runs the whole."""

import json
import subprocess

import pytest
from datasets import load_dataset

import mmprolong_hf.demo.run as demo


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "NUM_CARDS", {1: 10, 2: 20, 3: 10})
        demo.prepare(folder)
    return folder


def test_every_page_of_every_card_is_asked_for(folder):
    for split in ("train", "test"):
        for row in load_dataset(str(folder / "cards"), split=split):
            assert [q["evidence_pages"] for q in sorted(row["questions"], key=lambda q: q["evidence_pages"])] == [
                [page] for page in range(1, row["num_pages"] + 1)
            ]


def test_preparing_again_makes_nothing_new(folder):
    files = [*folder.rglob("*")]
    before = {path: path.stat().st_mtime_ns for path in files}
    demo.prepare(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_the_recipe_trains_and_its_checkpoint_answers(folder, root, environment):
    options = ["--max_steps", "3", "--eval_steps", "2", "--logging_steps", "1"]
    command = ["accelerate", "launch", str(root / "recipes/tiny_cpu.yaml"), *options]
    template = ["--model_card_template", str(root / "model_cards/long_context.md")]
    done = subprocess.run([*command, *template], cwd=folder.parent, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    history = json.loads((folder / "tiny_cpu/trainer_state.json").read_text())["log_history"]
    assert [entry["step"] for entry in history if "eval_loss" in entry] == [0, 2, 3]
    cards = load_dataset(str(folder / "cards"), split="test")
    scores = demo._exact_matches(folder / "tiny_cpu", cards)
    assert sum(num for _, num in scores.values()) == sum(map(len, cards["questions"]))
    demo._map_needles(folder / "tiny_cpu", cards, folder / "needle")
    report = json.loads((folder / "needle/needle.json").read_text())
    assert {record["num_pages"] for record in report["records"]} <= set(demo.NEEDLE_PAGES)
    assert (folder / "needle/heatmap.png").stat().st_size > 10_000


def test_the_guess_that_the_model_is_compared_with(folder):
    cards = load_dataset(str(folder / "cards"), split="test")
    right, num = map(sum, zip(*demo._commonest_answer(cards).values()))
    assert 0 < right < num


def test_it_says_where_to_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="run the demo from the root of the repository"):
        demo.run_demo(tmp_path / "demo")
