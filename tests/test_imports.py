"""Who may import whom (the table is in CONTRIBUTING.md), read from the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "mmprolong_hf"
OURS = "mmprolong_hf"
# What each part may import of ours; a folder stands for all of its files. Everything may import images, lengths and positions.
MAY_IMPORT = {
    "images": set(),
    "lengths": set(),
    "packing": set(),
    "sharing": set(),
    "balance": set(),
    "plan": {"balance", "packing"},
    "architecture": set(),
    "estimate": {"architecture"},
    "layer_memory": {"architecture"},
    "memory": {"architecture", "layer_memory"},
    "checkpointing": set(),
    "tiled_mlp": {"checkpointing"},
    "paper_samples": set(),
    "positions": set(),
    "layout": set(),
    "attention_kernels": {"layout"},
    "merged_attention": {"attention_kernels", "layout"},
    "attention": {"attention_kernels", "layout", "merged_attention"},
    "attention_choice": {"attention", "layout"},
    "layer_probe": set(),
    "kernels": {"checkpointing", "layer_probe"},
    "rope": set(),
    "leak": {"attention", "layout", "loader", "plan", "sharing"},
    "old_readers": set(),
    "hub_options": set(),
    "cards": {"hub.card", "old_readers"},
    "collator": {"layout"},
    "prompt": set(),
    "rows": {"synthesis.render"},
    "pixels": set(),
    "vision_attention": set(),
    "vision_tower": {"checkpointing", "pixels", "vision_attention"},
    "encoding": {"pixels", "prompt"},
    "samples": {"encoding", "prompt"},
    "broken_pages": set(),
    "sample_encoder": {"broken_pages", "encoding", "rows", "sharing", "synthesis.rejected"},
    "config": {"attention_choice", "hub_options", "plan", "samples"},
    "levers": {
        "attention",
        "attention_choice",
        "checkpointing",
        "config",
        "kernels",
        "pixels",
        "tiled_mlp",
        "vision_attention",
        "vision_tower",
    },
    "planning": {"architecture", "config", "estimate", "plan", "sample_encoder", "samples", "sharing"},
    "models": {"attention", "config", "encoding", "hub.loading", "old_readers", "rope", "run_record", "sharing"},
    "sample_table": {"config", "paper_samples", "planning", "samples"},
    "loader": {"broken_pages", "collator", "config", "plan", "preemption", "sharing"},
    "recipe": {"config"},
    "checkpoints": set(),
    "preemption": set(),
    "resume": {"checkpoints", "pixels", "plan"},
    "fsdp": {"checkpointing"},
    "resumable": {"checkpoints", "encoding", "fsdp", "old_readers", "plan", "preemption", "resume", "rope"},
    "run_record": {"resume"},
    "publishable": {
        "cards",
        "checkpoints",
        "encoding",
        "hub.model",
        "hub.pushed",
        "hub_options",
        "resumable",
        "run_record",
    },
    "data_wait": set(),
    "tally": {"data_wait"},
    "trainer": {
        "broken_pages",
        "checkpoints",
        "collator",
        "config",
        "encoding",
        "leak",
        "levers",
        "loader",
        "models",
        "plan",
        "planning",
        "publishable",
        "resume",
        "tally",
    },
    "dry_run": {
        "architecture",
        "balance",
        "config",
        "encoding",
        "estimate",
        "memory",
        "models",
        "plan",
        "planning",
        "sample_table",
        "sharing",
    },
    "train": {
        "config",
        "dry_run",
        "encoding",
        "hub.loading",
        "models",
        "preemption",
        "recipe",
        "resume",
        "run_record",
        "samples",
        "trainer",
    },
    "doctor": {
        "architecture",
        "attention",
        "attention_choice",
        "balance",
        "checkpointing",
        "config",
        "data_wait",
        "estimate",
        "kernels",
        "layout",
        "leak",
        "loader",
        "memory",
        "plan",
        "planning",
        "recipe",
        "sample_encoder",
        "sharing",
        "train",
        "trainer",
    },
    "synthesis": {"synthesis"},
    "review": {"evaluation.metrics.statistics", "rows", "synthesis.output_folder", "synthesis.rejected"},
    "hub": {"cards", "checkpoints", "encoding", "evaluation", "review", "rope", "run_record", "synthesis"},
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
FREE = {"cli", "cli_evaluation", "cli_publishing", "demo"}  # the outermost layer, which nothing imports
EVERYWHERE = {"images", "lengths", "positions"}
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


@pytest.mark.parametrize("name", [name for name in FILES if part_of(name) in ("synthesis", "lengths", "sharing", "packing", "balance", "plan", "estimate", "layer_memory", "memory", "architecture", "paper_samples")])  # fmt: skip
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
