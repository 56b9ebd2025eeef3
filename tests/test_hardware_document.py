"""docs/hardware.md: its commands are recipes that parse, and its numbers are what their dry runs say."""

import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from mmprolong_hf.dry_run import dry_run
from mmprolong_hf.recipe import parse_recipe
from mmprolong_hf.train import load_documents, load_fill

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs/hardware.md").read_text()
ROWS = {
    row[0]: row[2:]
    for row in re.findall(r"^\| (\d x [^|]+) \| ([^|]+) \| (\d+) GiB \| ([\d.]+) \|$", TEXT, flags=re.M)
}
COMMANDS = dict(re.findall(r"^\*\*(\d x [^*]+)\.\*\*.*?```\n(accelerate launch [^\n]+)\n```", TEXT, flags=re.M | re.S))


@cache
def planned(hardware: str) -> str:
    _, recipe, *words = shlex.split(COMMANDS[hardware].partition("--config_file")[2])
    return dry_run(*parse_recipe([str(ROOT / recipe), *words, "--dry_run"]), load_documents, load_fill)


def test_every_row_has_its_command():
    assert len(ROWS) == 6
    assert ROWS.keys() == COMMANDS.keys()


@pytest.mark.parametrize("hardware", COMMANDS)
def test_commands_name_real_files_and_keys(hardware, monkeypatch):
    monkeypatch.chdir(ROOT)
    words = shlex.split(COMMANDS[hardware])
    assert words[:3] == ["accelerate", "launch", "--config_file"]
    assert Path(words[3]).is_file()
    _, args, model = parse_recipe([*words[4:], "--use_cpu", "true", "--bf16", "false"])
    assert args.num_gpus == int(hardware[0])
    assert model.use_peft == (args.num_gpus == 1)


@pytest.mark.parametrize("hardware", ROWS)
def test_numbers_are_those_of_the_dry_run(hardware):
    memory, hours = ROWS[hardware]
    assert re.search(rf"^memory per GPU +{memory} GiB on each of", planned(hardware), flags=re.M)
    assert re.search(rf"^GPU-hours .*: {re.escape(hours)} h on", planned(hardware), flags=re.M)


def test_the_doctors_command_parses(monkeypatch):
    monkeypatch.chdir(ROOT)
    (line,) = re.findall(r"^mmprolong doctor (.*)$", TEXT, flags=re.M)
    parse_recipe([*shlex.split(line), "--use_cpu", "true", "--bf16", "false"])


@pytest.mark.parametrize("name", ["qwen25vl_128k", "qwen25vl_128k_paper", "qwen3vl_128k"])
def test_the_memory_in_a_recipes_header_is_that_of_its_dry_run(name):
    recipe = ROOT / f"recipes/{name}.yaml"
    (memory,) = re.findall(r"^# Hardware .*\((\d+) GiB each by estimate\)", recipe.read_text(), flags=re.M)
    plan = dry_run(*parse_recipe([str(recipe), "--dry_run"]), load_documents, load_fill)
    assert re.search(rf"^memory per GPU +{memory} GiB on each of 8 GPUs", plan, flags=re.M)
