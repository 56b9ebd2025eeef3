"""
The whole way of the data on a folder of real PDFs: build, load, stream, train, with both kinds of teacher.

    python benchmarks/real_documents.py FOLDER [--steps 4]

The model teacher is a script on this machine (tests/scripted_teacher.py) that is asked over HTTP as a model would be. What is
trained is the demo's tiny model, by the demo's recipe, with pages of four tokens: it shows that a set can be trained on, not what
is learnt.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

from datasets import load_dataset

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from scripted_server import ScriptedServer
from scripted_teacher import Known, Teacher, learn

from mmprolong_hf.demo.model import make_tiny_model
from mmprolong_hf.synthesis.pipeline import build_dataset
from mmprolong_hf.synthesis.plan import BuildPlan, folder_plan
from mmprolong_hf.synthesis.rejected import RejectedDocument
from mmprolong_hf.synthesis.sources import find_pdfs
from mmprolong_hf.synthesis.yaml_options import read_options

TASKS = {"extract-single": 12, "extract-multi": 8, "reasoning": 6}
DPI = 144


def learn_readable(folder: Path) -> list[Known]:
    known = []
    for item in find_pdfs(str(folder)):
        try:
            known += learn([item["path"]], dpi=DPI)
        except RejectedDocument as rejected:
            print(f"the teacher cannot read {item['source']}: {rejected}")
    return known


def build_with_teacher(folder: Path, output: Path) -> None:
    with ScriptedServer(Teacher(learn_readable(folder))) as server:
        values = {
            "pdfs": str(folder),
            "output": str(output),
            "pages": {"dpi": DPI},
            "teacher": {"model": "a-teacher", "base_url": server.url},
            "asking": {"tasks": TASKS},
        }
        print(build_dataset(read_options(BuildPlan, values, "the benchmark")))


def check_loads(output: Path) -> None:
    """`load_dataset` as it is, and the same rows streamed."""
    whole = load_dataset(str(output), split="train").select_columns(["doc_id", "num_pages", "questions"])
    streamed = load_dataset(str(output), split="train", streaming=True)
    for row, other in zip(whole, islice(streamed, len(whole)), strict=True):
        assert row == {name: other[name] for name in row}
    print(
        f"loaded and streamed alike: {len(whole)} documents, {sum(len(row['questions']) for row in whole)} questions"
    )


def train(output: Path, model: Path, steps: int) -> None:
    checkpoint = output.with_name(f"{output.name}_trained")
    options = {
        "dataset_name": output,
        "model_name_or_path": model,
        "output_dir": checkpoint,
        "max_length": 4096,
        "max_steps": steps,
        "warmup_steps": 0,
        "logging_steps": 1,
        "eval_strategy": "no",
        "eval_on_start": "false",
    }
    command = [sys.executable, "-m", "accelerate.commands.launch", "recipes/tiny_cpu.yaml"]
    command += [word for key, value in options.items() for word in (f"--{key}", str(value))]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    history = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
    print("trained; loss of each step:", ", ".join(f"{entry['loss']:.3f}" for entry in history if "loss" in entry))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=4)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="real-documents-") as scratch:
        scratch = Path(scratch)
        make_tiny_model(scratch / "model")
        changes = {"output": str(scratch / "extractive"), "pages": {"dpi": DPI}}
        print(build_dataset(folder_plan(args.folder, changes)))
        build_with_teacher(args.folder, scratch / "teacher")
        for name in ("extractive", "teacher"):
            print(f"\n{name}")
            check_loads(scratch / name)
            train(scratch / name, scratch / "model", args.steps)


if __name__ == "__main__":
    main()
