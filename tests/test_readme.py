"""What the documents say is compared with what is there."""

import ast
import re
import shlex
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from mmprolong_hf.cli import app
from mmprolong_hf.recipe import parse_recipe
from mmprolong_hf.synthesis.plan import load_plan

DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "recipes/README.md",
    "CHANGELOG.md",
    "benchmarks/RESULTS.md",
    "docs/hardware.md",
    "docs/tutorial.md",
)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_paths_that_are_named_exist(root, name):
    text = (root / name).read_text()
    paths = re.findall(r"`((?:recipes|benchmarks|tests|src|model_cards|dataset_builders)/[\w./-]+\.\w+)`", text)
    missing = [path for path in paths if not (root / path).exists()]
    assert missing == []


def test_every_recipe_has_its_row(root):
    text = (root / "recipes/README.md").read_text()
    for path in (root / "recipes").glob("*.yaml"):
        assert f"| `{path.name}` |" in text
    for path in (root / "recipes/accelerate").glob("*.yaml"):
        assert f"| `{path.name}` |" in text


def test_make_targets_exist(root):
    listed = subprocess.run(["make"], cwd=root, capture_output=True, text=True, check=True).stdout
    for name in DOCUMENTS:
        for target in re.findall(r"(?:`|^)make ([a-z-]+)", (root / name).read_text(), flags=re.M):
            assert f"make {target} " in listed, (name, target)


def test_commands_of_the_cli_exist(root):
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    known |= {group.name for group in app.registered_groups}
    for name in DOCUMENTS:
        used = set(re.findall(r"`?mmprolong ([a-z]+)", (root / name).read_text()))
        assert used <= known, (name, used - known)


@pytest.mark.parametrize("command", ["build", "extend", "doctor", "needle", "demo", "review", "restore", "publish"])
def test_each_command_has_help(command):
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_launch_lines_name_real_recipes_and_keys(root, monkeypatch):
    monkeypatch.chdir(root)
    lines = re.findall(r"^accelerate launch (.*)$", (root / "README.md").read_text(), flags=re.M)
    assert len(lines) >= 2
    for line in lines:
        words = shlex.split(line)
        if words[0] == "--config_file":
            assert (root / words[1]).is_file()
            words = words[2:]
        parse_recipe([*words, "--use_cpu", "true", "--bf16", "false"])


def test_python_in_the_readme_imports_what_exists(root):
    for block in re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(), flags=re.S):
        imports = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.ImportFrom)]
        code = "\n".join(ast.unparse(node) for node in imports)
        subprocess.run([sys.executable, "-c", code], check=True)


def test_the_plan_in_the_readme_is_a_plan(root, tmp_path):
    (block,) = re.findall(r"```yaml\n(.*?)```", (root / "README.md").read_text(), flags=re.S)
    (tmp_path / "plan.yaml").write_text(block)
    plan = load_plan(tmp_path / "plan.yaml")
    assert plan.verify.judge.checks == ("evidence_only", "closed_book")
    assert plan.mixture.token_budget == 5 * 2**30


def test_the_extras_exist(root):
    project = (root / "pyproject.toml").read_text()
    for extra in re.findall(r"\[([a-z-]+)\]'?`", (root / "README.md").read_text()):
        assert re.search(rf"^{extra} = \[", project, flags=re.M), extra


def test_ci_runs_the_two_commands(root):
    lines = (root / ".ci/run").read_text().splitlines()
    assert [line for line in lines if line.startswith("make ")] == ["make demo", "make test"]
