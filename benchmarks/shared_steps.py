"""
What a supervised question costs in real training steps on the CPU: a row each and padded, packed, and with shared documents.

    python benchmarks/shared_steps.py [--documents 6] [--questions 24] [--rounds 3] [--figure outputs/shared_steps.png]

A small random Qwen2.5-VL trains one step on all questions of all documents, by plain loops: forward and backward of every row, then
AdamW. All methods take the same encoded samples; the packs of "transformers' mask" and of "ours, not shared" are the same packs.
Each figure is the median of rounds in which every method runs once, in a process of its own: CPU seconds of the step, and the largest
resident memory above what the process held before it; "MiB/question" divides that by the questions in a row. Losses and gradients of all
methods must agree, or the script fails.
"""

import argparse
import ctypes
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch.nn.utils.rnn import pad_sequence
from transformers import Qwen2_5_VLForConditionalGeneration

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import tiny

from mmprolong_hf.attention import PACKED_ATTENTION
from mmprolong_hf.collator import PackCollator
from mmprolong_hf.encoding import encode_branch, encode_document
from mmprolong_hf.plan import PackingPlan
from mmprolong_hf.positions import IGNORE_INDEX
from mmprolong_hf.sharing import share_prefixes

METHODS = {
    "padded": "(a) one sample a row, padded, transformers' SDPA",
    "alone": "(a) one sample at a time, nothing padded, transformers' SDPA",
    "masked": "(b) best-fit packs in random order, transformers' SDPA with its mask",
    "packed": "(c) ours, packed, not shared",
    "shared 3": "(d) ours, 3 questions share a document",
    "shared 8": "(d) ours, 8 questions share a document",
}
TOLERANCE = 1e-5  # of the loss and of the gradient's norm, relative
MEBIBYTE = 2**20
TEXT_CONFIG = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [4, 6, 6]},
}


def make_samples(num_documents: int, num_questions: int) -> list[dict]:
    """Encoded samples, document by document, of 24 to 72 pages each, with questions and answers of unlike lengths."""
    rng, processor = random.Random(0), tiny.processor()
    samples = []
    for document in range(num_documents):
        numbers = range(1, 1 + rng.randint(24, 72))
        encoded = encode_document(processor, [tiny.page(1000 * document + number) for number in numbers], numbers)
        for _ in range(num_questions):
            question = f"What is the title of the section that starts on page {rng.choice(numbers)}?" * rng.randint(
                1, 2
            )
            answer = " ".join(str(rng.randrange(100)) for _ in range(rng.randint(2, 8)))
            samples.append(encode_branch(processor, encoded, numbers, question, answer) | {"document": document})
    return samples


def make_model(method: str) -> Qwen2_5_VLForConditionalGeneration:
    config = tiny.config(**TEXT_CONFIG)
    config.vision_config.out_hidden_size = TEXT_CONFIG["hidden_size"]
    text = "sdpa" if method in ("padded", "alone", "masked") else PACKED_ATTENTION
    torch.manual_seed(0)
    model = Qwen2_5_VLForConditionalGeneration._from_config(
        config, attn_implementation={"text_config": text, "vision_config": "sdpa"}
    )
    for parameter in model.parameters():
        if parameter.dim() > 1:  # so large that attention matters
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def padded_row(samples: list[dict]) -> dict:
    """Samples as a row each, padded to the longest, as transformers' own data collators do."""

    def pad(name: str, value: int) -> torch.Tensor:
        return pad_sequence([sample[name] for sample in samples], batch_first=True, padding_value=value)

    lengths = torch.tensor([len(sample["input_ids"]) for sample in samples])
    return {
        "input_ids": pad("input_ids", 0),
        "labels": pad("labels", IGNORE_INDEX),
        "mm_token_type_ids": pad("mm_token_type_ids", 0),
        "attention_mask": (torch.arange(int(lengths.max())) < lengths[:, None]).long(),
        "use_cache": False,
        **{name: torch.cat([sample[name] for sample in samples]) for name in ("pixel_values", "image_grid_thw")},
    }


def make_rows(method: str, samples: list[dict], batch: int, max_length: int) -> list[list]:
    """Which samples go through the model together; a list in a row is samples that share their document."""
    if method in ("padded", "alone"):
        batch, order = batch if method == "padded" else 1, random.Random(0).sample(samples, len(samples))
        return [order[i : i + batch] for i in range(0, len(order), batch)]
    parts = share_prefixes(
        [len(sample["input_ids"]) for sample in samples],
        [sample["document"] for sample in samples],
        [sample["document_length"] for sample in samples],
        max_length=max_length,
        max_questions=int(method.split()[1]) if method.startswith("shared") else 1,
        seed=0,
    )
    packs = PackingPlan(parts.lengths, max_length, seed=0).packs(epoch=0)
    return [[[samples[i] for i in parts[part]] for part in pack] for pack in packs]


def nll(model: Qwen2_5_VLForConditionalGeneration, row: dict) -> torch.Tensor:
    """Sum over the supervised tokens, on which alone the LM head runs, whatever the method."""
    targets = row.pop("labels")[:, 1:]
    hidden = model.model(**row).last_hidden_state[:, :-1]
    supervised = targets != IGNORE_INDEX
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[supervised]), targets[supervised], reduction="sum")


def measure(method: str, args: argparse.Namespace) -> dict:
    samples = make_samples(args.documents, args.questions)
    model = make_model(method).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    rows = make_rows(method, samples, args.batch, args.max_length)
    collate = padded_row if method in ("padded", "alone") else PackCollator()
    num_supervised = sum(int((sample["labels"] != IGNORE_INDEX).sum()) for sample in samples)
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # else what encoding freed would be counted as held, and used again unseen
    held = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    nll(model, collate([samples[0]])).backward()  # what torch sets up once
    model.zero_grad()
    began = time.process_time()
    loss, tokens = 0.0, 0
    for row in rows:
        inputs = collate(row)
        tokens += inputs["input_ids"].numel()
        part = nll(model, inputs) / num_supervised
        part.backward()
        loss += part.item()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), float("inf")).item()
    optimizer.step()
    return {
        "seconds": time.process_time() - began,
        "mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - held / MEBIBYTE,
        "loss": loss,
        "norm": norm,
        "questions": len(samples),
        "tokens": tokens,
        "rows": len(rows),
    }


def check_agreement(found: dict[str, list[dict]]) -> None:
    """
    Raises:
        ValueError: when a method's loss or gradient is not that of one sample a row.
    """
    for method, runs in found.items():
        for name in ("loss", "norm"):
            expected = found["padded"][0][name]
            if any(abs(run[name] / expected - 1) > TOLERANCE for run in runs):
                values = ", ".join(f"{run[name]:.7g}" for run in runs)
                raise ValueError(f"{METHODS[method]}: {name} is {values}, expected {expected:.7g} as with padded rows")


def print_table(found: dict[str, list[dict]]) -> dict[str, tuple[float, float]]:
    """Prints the table; returns each method's CPU seconds and MiB a question."""
    print(
        "| | rows | tokens/question | CPU s/question | ratio | peak MiB | MiB/question | ratio | loss | gradient norm |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    costs = {}
    for method, runs in found.items():
        run = runs[0]
        seconds, peak = (statistics.median(r[name] for r in runs) for name in ("seconds", "mebibytes"))
        costs[method] = seconds / run["questions"], peak * run["rows"] / run["questions"]
        ratios = [first / own for first, own in zip(costs["padded"], costs[method])]
        print(
            f"| {METHODS[method]} | {run['rows']} | {run['tokens'] / run['questions']:,.0f} | {costs[method][0]:.4f} | {ratios[0]:.1f} "
            f"| {peak:,.0f} | {costs[method][1]:.1f} | {ratios[1]:.1f} | {run['loss']:.6f} | {run['norm']:.5f} |"
        )
    return costs


def draw(costs: dict[str, tuple[float, float]], path: Path) -> None:
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    colors = ["#9a9a9a", "#9a9a9a", "#9a9a9a", "#7fb0d6", "#2f7ab8", "#12507f"]
    names = [name.replace(", transformers'", ",\ntransformers'") for name in METHODS.values()]
    for axes, column, title in zip(figure.subplots(1, 2, sharey=True), (0, 1), ("CPU seconds", "peak memory, MiB")):
        values = [cost[column] for cost in costs.values()]
        bars = axes.barh(names, values, color=colors)
        ratios = [values[0] / value for value in values[1:]]
        beside = [f"{ratio:.1f}x less" if ratio > 1 else f"{1 / ratio:.1f}x more" for ratio in ratios]
        labels = [f" {value:.3g}  ({words})" for value, words in zip(values[1:], beside)]
        axes.bar_label(bars, [f" {values[0]:.3g}", *labels])
        axes.set(title=f"{title} a supervised question", xlim=(0, 1.5 * max(values)))
        axes.spines[["top", "right"]].set_visible(False)
    axes.invert_yaxis()  # of both
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=6)
    parser.add_argument("--questions", type=int, default=24, help="about each document")
    parser.add_argument("--batch", type=int, default=4, help="samples padded together")
    parser.add_argument("--max_length", type=int, default=4096, help="tokens in a pack")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--figure", type=Path, default=Path("outputs/shared_steps.png"))
    parser.add_argument("--one", choices=METHODS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one, args)))
        return
    found: dict[str, list[dict]] = {method: [] for method in METHODS}
    for done in range(args.rounds):
        for method in METHODS:
            command = [sys.executable, __file__, *sys.argv[1:], "--one", method]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            found[method].append(json.loads(output))
            print(f"round {done + 1}, {method}: {found[method][-1]}", file=sys.stderr)
    check_agreement(found)
    draw(print_table(found), args.figure)
    print(f"\nlosses and gradient norms agree to {TOLERANCE:g}; figure: {args.figure}")


if __name__ == "__main__":
    main()
