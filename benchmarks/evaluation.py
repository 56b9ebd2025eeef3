"""
An evaluation of real documents from end to end: asked, killed in the middle, gone on with, reported; by a model here and by a server.

    python benchmarks/evaluation.py FOLDER [--documents 3] [--lengths 4096 8192]

FOLDER holds PDFs. The questions are those of the extractive teacher, the model is tiny with random weights, and the server is a
script on this machine that is asked over HTTP and counts its prompts' tokens with the model's processor: what is shown is that nothing
is lost and that documents are read once, not what is answered. Prints, for both, whether the killed run's report is the uninterrupted one's byte for byte.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import tiny
from test_evaluation_server_prompts import counting_server

from mmprolong_hf.evaluation.answers import read_lines
from mmprolong_hf.synthesis.pipeline import build_dataset
from mmprolong_hf.synthesis.plan import folder_plan

REPORT = ("scores.jsonl", "report.json", "report.md", "accuracy.png", "model_index.yaml")
PIXELS = 12845056  # of Qwen2.5-VL's own limit: pages are not shrunk


def make_world(folder: Path, scratch: Path, count: int) -> None:
    """A set of the smallest PDFs with their questions, and a tiny model."""
    pdfs = sorted(folder.glob("*.pdf"), key=lambda path: path.stat().st_size)
    (scratch / "list.txt").write_text("\n".join(str(path.resolve()) for path in pdfs[: count + 2]))
    changes = {"pdfs": str(scratch / "list.txt"), "output": str(scratch / "set")}
    print(build_dataset(folder_plan(folder, changes)))
    tiny.save_checkpoint(scratch / "model", max_pixels=PIXELS)


def write_plan(scratch: Path, name: str, lengths: list[int], **engine: object) -> Path:
    path = scratch / f"{name}.yaml"
    documents = {"name": "reports", "dataset": str(scratch / "set"), "split": "train", "lengths": lengths}
    values = {"model": str(scratch / "model"), "pages": str(scratch / "pages"), "max_new_tokens": 4}
    path.write_text(yaml.safe_dump(values | {"output": str(scratch / name), "documents": [documents]} | engine))
    return path


def start(plan: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "mmprolong_hf.cli", "evaluate", str(plan)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def show(name: str, scratch: Path, lengths: list[int], **engine: object) -> None:
    whole, killed = (write_plan(scratch, f"{name}_{kind}", lengths, **engine) for kind in ("whole", "killed"))
    began = time.perf_counter()
    assert start(whole).wait() == 0
    seconds = time.perf_counter() - began
    records = read_lines(scratch / whole.stem / "answers.jsonl")
    run = start(killed)
    while run.poll() is None and len(read_lines(scratch / killed.stem / "answers.jsonl")) < len(records) // 2:
        time.sleep(0.05)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    left = len(read_lines(scratch / killed.stem / "answers.jsonl"))
    assert start(killed).wait() == 0
    same = all(
        (scratch / whole.stem / file).read_bytes() == (scratch / killed.stem / file).read_bytes() for file in REPORT
    )
    print(
        f"\n{name}: {len(records)} questions in {seconds:.0f} s, {sum(r['error'] is not None for r in records)} failed"
    )
    print(f"killed after {left}, gone on with: the same report: {same}")
    if all(record["prefilled_tokens"] is not None for record in records):
        prompts, computed = (sum(r[column] for r in records) for column in ("prompt_tokens", "prefilled_tokens"))
        print(
            f"{prompts:,} tokens before answers, {computed:,} of them computed: {prompts / computed:.1f} times fewer"
        )
    assert same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--documents", type=int, default=3)
    parser.add_argument("--lengths", type=int, nargs="+", default=[4096, 8192])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="evaluation-") as scratch:
        scratch = Path(scratch)
        make_world(args.folder, scratch, args.documents)
        show("transformers", scratch, args.lengths)
        with counting_server(tiny.processor(max_pixels=PIXELS)) as server:
            endpoint = {"model": "scripted", "base_url": server.url}
            show("server", scratch, args.lengths, engine="server", server={"endpoint": endpoint})


if __name__ == "__main__":
    main()
