"""The paper's ablations: every row has a plan and a recipe that parse, and differ from the base in what they say alone."""

import re
import shlex
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from mmprolong_hf.recipe import load_recipe, parse_recipe
from mmprolong_hf.synthesis.plan import load_plan

ROOT = Path(__file__).resolve().parents[1]
RECIPE, SHORT_SFT = "recipes/qwen25vl_128k_paper.yaml", "recipes/ablations/short_sft.yaml"
TEXT = (ROOT / "recipes" / "README.md").read_text(encoding="utf-8").split("## The paper's ablations")[1]
TABLES = [
    [[cell.strip(" `") for cell in line.strip("| ").split(" | ")] for line in table.splitlines()[2:]]
    for table in re.findall(r"(?:^\|.*\n)+", TEXT, flags=re.M)
]
RUNS = {run: (plan, shlex.split(train)) for run, plan, train in TABLES[0]}
CPU = ["--use_cpu", "true", "--bf16", "false"]


def differences(one: dict, other: dict, above: str = "") -> set[str]:
    """Dotted names of what differs."""
    found = set()
    for key in one.keys() | other.keys():
        left, right = one.get(key), other.get(key)
        if isinstance(left, dict) and isinstance(right, dict) and key == "mixture":
            found |= differences(left, right, f"{above}{key}.")
        elif left != right:
            found.add(f"{above}{key}")
    return found


def expected_changes(plan: str) -> set[str]:
    """What the name of a plan promises to vary."""
    if plan == "base":
        return set()
    if plan.startswith("short_"):
        return {"output", "mixture.short_share", "mixture.short_datasets"}
    lengths = {"mixture.min_pages", "mixture.max_pages"} if plan.startswith("long_biased_") else set()
    return {"output", "mixture.shares"} | lengths


def test_every_plan_is_in_the_table_and_every_row_has_its_run():
    plans = {path.relative_to(ROOT).as_posix() for path in (ROOT / "recipes/build").glob("*.yaml")}
    ours = {plan for plan in plans if "extends: base.yaml" in (ROOT / plan).read_text()} | {"recipes/build/base.yaml"}
    assert {plan for plan, _ in RUNS.values()} == ours
    assert len(RUNS) == len(TABLES[0]) == 25
    rows = Counter(row[0] for row in TABLES[1])
    assert rows == {"data": 8, "ratio": 6, "lengths": 6, "short samples": 5, "rotary base": 9}
    assert len(TABLES[2]) == 6
    named = {row[2] for row in TABLES[1]} | {row[1] for row in TABLES[2]}
    assert named == RUNS.keys() | {"none"}


@pytest.mark.parametrize("plan", sorted({plan for plan, _ in RUNS.values()}))
def test_a_plan_varies_what_its_name_says(plan):
    base, variant = (asdict(load_plan(ROOT / path)) for path in ("recipes/build/base.yaml", plan))
    name = Path(plan).stem
    assert differences(base, variant) == expected_changes(name)
    assert variant["output"] == f"data/{name}"
    said = yaml.safe_load((ROOT / plan).read_text())
    if name != "base":
        assert {key for key in said if key != "mixture"} == {"extends", "output"}  # nothing is said twice
        assert {f"mixture.{key}" for key in said["mixture"]} == expected_changes(name) - {"output"}


def test_the_mixtures_are_the_papers():
    def mixture(name):
        return load_plan(ROOT / f"recipes/build/{name}.yaml").mixture

    assert mixture("base").shares == {"extract-single": 0.4, "extract-multi": 0.4, "reasoning": 0.2}
    for extraction in (2, 4, 6, 10):
        shares = mixture(f"ratio_{extraction}_{10 - extraction}").shares
        assert shares["extract-single"] == shares["extract-multi"] == extraction / 20
        assert shares.get("reasoning", 0) == (10 - extraction) / 10
    for task in ("extract-single", "extract-multi", "reasoning", "ocr-full", "ocr-needle"):
        assert mixture(task.replace("-", "_")).shares == {task: 1.0}
    assert (mixture("base").min_pages, mixture("base").max_pages) == (32, 50)
    for task in ("extract-single", "extract-multi", "reasoning"):
        long_biased = mixture(f"long_biased_{task.replace('-', '_')}")
        assert (long_biased.shares, long_biased.min_pages, long_biased.max_pages) == ({task: 1.0}, 50, 100)
    assert [mixture(f"short_{percent}").short_share for percent in (20, 40, 60, 80, 100)] == [0.2, 0.4, 0.6, 0.8, 1.0]


def test_a_set_has_as_many_tokens_as_the_recipe_trains():
    recipe, mixture = load_recipe(ROOT / RECIPE), load_plan(ROOT / "recipes/build/base.yaml").mixture
    assert mixture.token_budget == recipe["max_steps"] * recipe["packs_per_step"] * recipe["max_length"] == 5 * 2**30
    assert mixture.max_tokens == recipe["max_length"]
    assert mixture.tokenizer == recipe["model_name_or_path"]


@pytest.mark.parametrize("run", RUNS)
def test_a_run_trains_on_its_plan_and_varies_nothing_else(run, monkeypatch):
    monkeypatch.chdir(ROOT)
    plan, words = RUNS[run]
    data, args, model = parse_recipe([*words, *CPU])
    assert data.dataset_name == load_plan(plan).output
    assert args.output_dir == f"outputs/{run}"
    names = {word.removeprefix("--") for word in words if word.startswith("--")}
    if run.endswith("_short_sft"):
        assert words[0] == SHORT_SFT
        assert names == {"model_name_or_path", "output_dir"}
        assert model.model_name_or_path == f"outputs/{run.removesuffix('_short_sft')}"
        assert RUNS[run.removesuffix("_short_sft")]  # the first half has its own row
        return
    assert words[0] == RECIPE
    rope = re.fullmatch(r"\w+_rope_(\d)e6", run)
    assert names == {"dataset_name", "output_dir"} | ({"rope_theta"} if rope else set())
    assert args.rope_theta == (1e6 * int(rope[1]) if rope else 4e6)
    base = parse_recipe([RECIPE, *CPU])[1]
    assert differences(base.to_dict(), args.to_dict()) <= {"output_dir", "rope_theta"}


def test_short_sft_is_the_recipe_from_another_start():
    first, second = load_recipe(ROOT / RECIPE), load_recipe(ROOT / SHORT_SFT)
    start = {"model_name_or_path", "dataset_name", "output_dir", "hub_model_id"}
    extension = {"extend_context", "rope_theta", "max_position_embeddings"}  # already in the checkpoint's config
    assert differences(first, second) == start | extension
    assert not extension & second.keys()


def test_the_papers_means_are_means():
    for _, row, _, at_64k, at_128k, mean in TABLES[1]:
        assert float(mean) == pytest.approx((float(at_64k) + float(at_128k)) / 2, abs=0.0101), row
    for row, _, *scores, mean in TABLES[2]:
        assert float(mean) == pytest.approx(sum(map(float, scores)) / len(scores), abs=0.0051), row
    same = {}
    for _, _, run, *numbers in TABLES[1]:  # a run that stands in several rows has one result
        assert same.setdefault(run, numbers) == numbers
