"""Who may import whom (the table is in CONTRIBUTING.md), read from the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "mmprolong_hf"
OURS = "mmprolong_hf"
# What each part may import of ours; a folder stands for all of its files. Everything may import lengths and positions.
MAY_IMPORT = {
    "lengths": set(),
    "packing": set(),
    "sharing": set(),
    "balance": set(),
    "plan": {"balance", "packing"},
    "architecture": set(),
    "estimate": {"architecture"},
    "paper_samples": set(),
    "positions": set(),
    "layout": set(),
    "merged_attention": {"layout"},
    "attention": {"layout", "merged_attention"},
    "rope": set(),
    "leak": {"attention", "layout"},
    "cards": set(),
    "collator": {"layout"},
    "prompt": set(),
    "rows": {"synthesis.render"},
    "encoding": {"prompt"},
    "samples": {"encoding", "prompt"},
    "sample_encoder": {"encoding", "rows", "sharing"},
    "config": {"plan", "samples"},
    "planning": {"architecture", "config", "estimate", "plan", "sample_encoder", "samples", "sharing"},
    "models": {"attention", "config", "encoding", "rope", "sharing"},
    "sample_table": {"config", "paper_samples", "planning", "samples"},
    "loader": {"collator", "config", "plan", "sharing"},
    "recipe": {"config"},
    "resume": {"plan"},
    "tally": set(),
    "trainer": {
        "cards",
        "collator",
        "config",
        "encoding",
        "leak",
        "loader",
        "models",
        "plan",
        "planning",
        "resume",
        "rope",
        "tally",
    },
    "dry_run": {
        "architecture",
        "balance",
        "config",
        "encoding",
        "estimate",
        "models",
        "plan",
        "planning",
        "sample_table",
        "sharing",
    },
    "train": {"config", "dry_run", "encoding", "models", "recipe", "samples", "trainer"},
    "synthesis": {"synthesis"},
    "evaluation": {
        "encoding",
        "evaluation",
        "models",
        "prompt",
        "rope",
        "rows",
        "synthesis.endpoint",
        "synthesis.images",
        "synthesis.rejected",
        "synthesis.render",
        "synthesis.schema",
        "synthesis.sources",
        "synthesis.yaml_options",
    },
}
FREE = {"cli", "demo"}  # the outermost layer, which nothing imports
EVERYWHERE = {"lengths", "positions"}
NO_TORCH = ("torch", "transformers", "trl", "accelerate", "peft")


def part_of(module: str) -> str:
    return module.split(".")[0]


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module)
    return found


FILES = {
    str(path.relative_to(SOURCE).with_suffix("")).replace("/", "."): path
    for path in SOURCE.rglob("*.py")
    if path.parent != SOURCE or path.name != "__init__.py"
}


@pytest.mark.parametrize("name", FILES)
def test_imports_of_ours_follow_the_table(name):
    part = part_of(name)
    if part in FREE:
        return
    allowed = MAY_IMPORT[part] | EVERYWHERE | {part}
    for module in imports_of(FILES[name]):
        if module.startswith(f"{OURS}."):
            imported = module.removeprefix(f"{OURS}.")
            assert part_of(imported) in allowed or imported in allowed, f"{name} imports {module}"


@pytest.mark.parametrize("name", [name for name in FILES if part_of(name) in ("synthesis", "lengths", "sharing", "packing", "balance", "plan", "estimate", "architecture", "paper_samples")])  # fmt: skip
def test_synthesis_and_planning_know_no_torch(name):
    roots = {module.split(".")[0] for module in imports_of(FILES[name])}
    assert not roots & set(NO_TORCH)


def test_pymupdf_is_imported_in_one_file():
    users = [name for name, path in FILES.items() if {"pymupdf", "fitz"} & {m.split(".")[0] for m in imports_of(path)}]
    assert users == ["synthesis.pages"]


def test_the_package_itself_imports_nothing_heavy():
    code = f"import sys, {OURS}; print([m for m in {NO_TORCH!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_forbidden_import_is_seen(tmp_path):
    path = tmp_path / "x.py"
    path.write_text("from mmprolong_hf.trainer import MMProLongTrainer\nimport torch.nn\n")
    assert imports_of(path) == {"mmprolong_hf.trainer", "torch.nn"}
