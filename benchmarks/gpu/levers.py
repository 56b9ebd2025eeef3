"""
Speed and memory of training on one long document, 32K tokens to 1M: ours against TRL's own SFTTrainer, and each lever by itself.

    python benchmarks/gpu/levers.py --out DIR                        (both, as far as --seconds go)
    python benchmarks/gpu/levers.py --out DIR --only ours stock      (the lengths; then --only levers, then --only full)
    python benchmarks/gpu/levers.py --report DIR [DIR ...]           (a Markdown table and a figure of what is there)
    python benchmarks/gpu/levers.py --out DIR --tiny                 (everything on a tiny model in a minute on the CPU)

For one H100 or H200 with torch 2.11 or later; nothing is downloaded. Qwen2.5-VL-7B in bfloat16 with random weights, LoRA of rank 16 on
the language model's linear layers ("full": every weight, AdamW in bfloat16), pages of 1,036 tokens, one question. Ours is
MMProLongTrainer, stock is SFTTrainer with its own collator on the same pages and its default gradient checkpointing; the script fails
where their tokens differ. Both run `train()`, all but the loader: batches are made before. A step is its batch's way to the device,
forward, backward, clipping and AdamW; the learning rate is 0, so that all steps have the same loss and gradient, which are compared.
A step of the same length before is not counted; its time is written apart. Of three steps (one beyond 128K) the table has the
least, the median and the most.

Ours keeps attention's outputs while memory lasts, then only the inputs of layers, then these in host memory. Levers change one
thing each of what ours was at --lever_length. Out of memory is a result. A run that would end after --seconds is not begun: its FLOPs
times what the last of its trainer took for one. MFU counts causal pairs, the vision tower and nothing twice; HFU what gradient
checkpointing computes again too. Every result is appended to DIR/results.jsonl when it is there; DIR/report.md and report.png at the end.
"""

import argparse
import importlib.util
import os
import time
from pathlib import Path
from typing import Any

import torch
from paged_document import make_processor, use_tokens
from random_document import PAGE_GRID, TINY_PAGE_GRID, make_config
from report import write_report
from results import Results
from training import CUDA, OUT_OF_MEMORY, Bench, Measurement, Run
from transformers.utils import is_flash_attn_2_available
from work import Work, pinned_bytes

from mmprolong_hf.architecture import Architecture

PARTS = ("ours", "stock", "levers", "full")
# Ours, the fastest way first.
WAYS = {
    "attention kept": {"save_attention": True},
    "attention computed again": {"save_attention": False},
    "layers' inputs in host memory": {"save_attention": False, "activation_offloading": True},
}
MOST_HOST_MEMORY = 0.9  # of all there is
MOST_OF_ESTIMATE = 1.15  # of the device's memory: the estimate is right within 15 %


def lever_changes(options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each lever by itself the other way, by name."""
    has_flash_3 = importlib.util.find_spec("flash_attn_interface") is not None
    kernels = [*has_flash_3 * ["flash_attention_3"], "flash_attention_2", "cudnn", "sdpa"]
    used = kernels[0] if options["attention_kernel"] == "auto" else options["attention_kernel"]
    changes = {f"attention_kernel {name}": {"attention_kernel": name} for name in kernels if name != used}
    for name in ("save_attention", "activation_offloading", "uint8_pixels"):
        now = options.get(name, False)
        changes[f"{name} {'off' if now else 'on'}"] = {name: not now}
    changes["liger_kernels off"] = {"liger_kernels": "off"}
    for name in ("mlp_tile", "vision_chunk"):
        changes[f"{name} off"] = {name: None}
    return changes


class Schedule:
    """
    Which runs there are, in what order, and what came of them.

    Args:
        args (`argparse.Namespace`): Of [`main`].
    """

    def __init__(self, args: argparse.Namespace):
        self.args, self.deadline = args, time.monotonic() + args.seconds
        config = make_config(layers=args.layers, tiny=args.tiny)
        grid = TINY_PAGE_GRID if args.tiny else PAGE_GRID
        processor = make_processor(grid)
        use_tokens(config, processor)
        self.architecture = Architecture.from_config(config.to_dict())
        self.bench = Bench(config, processor, grid, short=256 if args.tiny else 16384)
        common = {
            "attention_kernel": args.attention_kernel,
            "mlp_tile": 128 if args.tiny else 8192,
            "uint8_pixels": True,
        }
        # Patches. A tower that is trained holds all its blocks' activations of a chunk: 8 GiB a page
        frozen, trained = (512, 512) if args.tiny else (32768, grid[0] * grid[1])
        self.base = {"lora": common | {"vision_chunk": frozen}, "full": common | {"vision_chunk": trained}}
        self.stock_attention = ["sdpa"] + is_flash_attn_2_available() * ["flash_attention_2"]
        self.rate: dict[str, float] = {}  # seconds a FLOP, by trainer
        self.overhead = 0.0  # seconds of the last run beside its steps
        self.too_long: dict[tuple, int] = {}  # what ran out of memory, and at how many tokens
        self.results = Results(args.out, self.architecture.num_layers, args.peak_tflops)

    def run(self) -> None:
        """All of it, the cheapest and most telling first; ours and stock at a length one after the other, each first in turn."""
        only, lengths, at = self.args.only, sorted(self.args.lengths), self.args.lever_length
        short = [length for length in lengths if length <= at]
        base = self.compare(short, "lora").get(at)
        if "levers" in only:
            base = base or self.ours(at)
            for name, change in lever_changes(base).items() if base is not None else ():
                self.one(Run("ours", "lora", at, name, base | change), lever=True)
        self.compare(lengths[len(short) :], "lora")
        if "full" in only:
            self.compare(lengths, "full")

    def compare(self, lengths: list[int], training: str) -> dict[int, dict[str, Any] | None]:
        """Returns the options of ours by length."""
        options = {}
        for number, length in enumerate(lengths):
            for trainer in ("ours", "stock") if number % 2 == 0 else ("stock", "ours"):
                if training == "lora" and trainer not in self.args.only:
                    continue
                if trainer == "ours":
                    options[length] = self.ours(length, training)
                else:
                    self.stock(length, training)
        return options

    def ours(self, length: int, training: str = "lora") -> dict[str, Any] | None:
        """Runs the ways of ours until one fits; returns its options."""
        for name, way in WAYS.items():
            options = self.base[training] | way
            why_not = self.one(Run("ours", training, length, name, options))
            if why_not is None:
                return options
            if "memory" not in why_not:
                return None
        return None

    def stock(self, length: int, training: str = "lora") -> None:
        for attention in self.stock_attention:
            self.one(Run("stock", training, length, attention, {"attn_implementation": attention}))

    def one(self, run: Run, *, lever: bool = False) -> str | None:
        """Measures a run if there is time and room, and writes down what came of it; returns why it was not measured."""
        work = Work.of(self.architecture, run, self.bench.long(run.length).ours(uint8=True))
        began, result = time.monotonic(), self.why_not(run, work)
        if result is None:
            result = self.bench.measure(run, self.repeats(run.length), self.deadline)
        if isinstance(result, Measurement):
            self.rate[run.trainer] = result.median / work.hardware_flops
            self.overhead = time.monotonic() - began - result.first - sum(result.seconds)
        elif result == OUT_OF_MEMORY:
            self.too_long[_kind(run)] = run.length
        self.results.add(run, work, result, lever=lever)
        return result if isinstance(result, str) else None

    def repeats(self, length: int) -> int:
        """Steps that are timed at a length."""
        return self.args.repeats or (3 if length <= 131072 else 1)

    def why_not(self, run: Run, work: Work) -> str | None:
        """Why a run is not begun."""
        if (shorter := self.too_long.get(_kind(run))) is not None and shorter <= run.length:
            return f"not begun: {OUT_OF_MEMORY} at {shorter:,} tokens"
        if CUDA and run.trainer == "ours":
            there = torch.cuda.get_device_properties(0).total_memory
            if work.memory.total > MOST_OF_ESTIMATE * there:
                return (
                    f"not begun: the memory estimate is {work.memory.total / 2**30:,.0f} GiB of {there / 2**30:,.0f}"
                )
        if run.options.get("activation_offloading"):
            if not CUDA:
                return "not begun: there is no GPU to offload from"
            needed, there = (
                pinned_bytes(self.architecture, work.tokens),
                os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            )
            if needed > MOST_HOST_MEMORY * there:
                return f"not begun: layers' inputs take {needed / 2**30:,.0f} GiB of the host's {there / 2**30:,.0f} GiB of memory"
        rate = self.rate.get(run.trainer, max(self.rate.values(), default=0.0))
        seconds = self.overhead + (1 + self.repeats(run.length)) * rate * work.hardware_flops
        if time.monotonic() + seconds > self.deadline:
            return f"not begun: it would take about {seconds:,.0f} s"
        return None


def _kind(run: Run) -> tuple:
    return run.trainer, run.training, tuple(sorted(run.options.items(), key=str))


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder of the results")
    parser.add_argument(
        "--report", type=Path, nargs="+", help="only make the report, of the results in these folders, in the first"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--lengths", type=int, nargs="+", help="tokens (32768 65536 131072 262144 524288 1048576)")
    parser.add_argument("--lever_length", type=int, help="tokens (131072)")
    parser.add_argument("--attention_kernel", default="auto", help="of ours, where it is not the lever")
    parser.add_argument("--layers", type=int, help="of the language model, to shrink it")
    parser.add_argument("--repeats", type=int, help="steps that are timed (3 up to 131072 tokens, 1 beyond)")
    parser.add_argument("--seconds", type=float, default=540, help="what would end later is not begun")
    parser.add_argument("--peak_tflops", type=float, default=989, help="dense bfloat16 peak (H100 and H200)")
    parser.add_argument("--tiny", action="store_true", help="a tiny model and short documents")
    args = parser.parse_args(argv)
    if (args.out is None) == (args.report is None):
        parser.error("expected either --out or --report")
    args.lengths = args.lengths or ([512, 1024, 2048] if args.tiny else [2**power for power in range(15, 21)])
    args.lever_length = args.lever_length or (1024 if args.tiny else 131072)
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    if args.report is not None:
        print(write_report(args.report))
        return
    args.out.mkdir(parents=True, exist_ok=True)
    schedule = Schedule(args)
    schedule.run()
    print(write_report([args.out]))
    if schedule.results.differing:
        raise SystemExit(
            f"error: losses or gradients differ from the first run's: {'; '.join(schedule.results.differing)}"
        )


if __name__ == "__main__":
    main()
