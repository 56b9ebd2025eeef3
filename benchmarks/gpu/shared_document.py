"""
Time and memory of a training step on long documents of page images: questions that share their document against one sample at a time.

    python benchmarks/gpu/shared_document.py [--lengths 32768 65536 131072] [--questions 1 4 8] [--seconds 540]
    python benchmarks/gpu/shared_document.py --tiny      (the same in a minute on the CPU, to see that it runs)

For one H100 or H200 with torch 2.11 or later; nothing is downloaded. Qwen2.5-VL-7B in bfloat16 with random weights, LoRA of rank 16 on
the language model's linear layers, gradient checkpointing, the vision tower frozen, the LM head on labelled tokens alone. A step is
forward and backward of every row, clipping and AdamW; its learning rate is 0, so that all steps have the same gradient. "separate" runs
the samples one after the other, "shared" the document once with all its questions behind it. With one question both are the same row.

First the attention kernel is compared with float32 on the device, and left out if it is wrong. Then every row of the table is printed
when it is measured: first the shared packs, then the separate samples, the cheapest first, as far as --seconds go. FLOPs are those of
estimate.CostModel: causal pairs only, and what checkpointing computes again is not counted. The vision tower's seconds are measured
alone, and are part of the step. If flash_attn_interface is there, FlashAttention-3 is measured after FlashAttention-2, each in half of
the time.
"""

import argparse
import importlib.util
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from peft import get_peft_model
from random_document import (
    ANSWER,
    LORA,
    PAGE_GRID,
    QUESTION,
    TINY_PAGE_GRID,
    make_config,
    make_model,
    make_samples,
    trained,
)
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from mmprolong_hf.architecture import Architecture
from mmprolong_hf.attention import choose_attention
from mmprolong_hf.attention_choice import probe_kernel
from mmprolong_hf.collator import PackCollator
from mmprolong_hf.estimate import CostModel, head_flops
from mmprolong_hf.positions import IGNORE_INDEX
from mmprolong_hf.sharing import Parts, share_prefixes

COLUMNS = (
    "document", "questions", "rows", "s a step", "of it vision, s", "s a question", "tokens/s", "MFU", "peak, GiB", "loss",
    "beside shared",
)  # fmt: skip
CUDA = torch.cuda.is_available()


@dataclass
class Cell:
    """A row of the table: so many questions about a document of so many tokens, shared or separate."""

    length: int
    samples: list[dict]
    parts: Parts
    flops: float

    @property
    def way(self) -> str:
        return "one" if len(self.samples) == 1 else "shared" if len(self.parts) == 1 else "separate"

    def packs(self) -> list[dict]:
        return [PackCollator()([[self.samples[i] for i in self.parts[part]]]) for part in range(len(self.parts))]


@dataclass
class Result:
    """What was measured of a cell: median seconds, peak GiB, the loss, and the gradient of all adapters in a row."""

    seconds: float
    peak: float
    loss: float
    gradient: torch.Tensor


def make_cells(
    config: Qwen2_5_VLConfig, lengths: list[int], questions: list[int], grid: tuple[int, int]
) -> list[Cell]:
    architecture = Architecture.from_config(config.to_dict())
    cost = CostModel.of(architecture, patches_per_image=grid[0] * grid[1], train_vision=False, lora=True)
    cells = []
    for length in lengths:
        samples = make_samples(config, length, max(questions), grid)
        for number in questions:
            for together in {1, number}:
                parts = share_prefixes(
                    [len(sample["input_ids"]) for sample in samples[:number]],
                    [0] * number,
                    [length] * number,
                    [len(sample["pixel_values"]) for sample in samples[:number]],
                    max_length=length + number * (QUESTION + ANSWER),
                    max_questions=together,
                    seed=0,
                )
                flops = cost.flops(parts.lengths.sum(), parts.pairs.sum(), parts.patches.sum())
                flops += head_flops(architecture, number * ANSWER, lora=True)
                cells.append(Cell(length, samples[:number], parts, float(flops)))
    return sorted(cells, key=lambda cell: (len(cell.parts) > 1, cell.flops))


def adapted(config: Qwen2_5_VLConfig, device: torch.device) -> Qwen2_5_VLForConditionalGeneration:
    """A model with adapters, which alone are trained, and with gradient checkpointing."""
    model = make_model(config, device)
    get_peft_model(model, LORA, autocast_adapter_dtype=False)
    model.activation_checkpointing_enable()
    return model.train()


def train_step(model, optimizer: torch.optim.Optimizer, packs: list[dict]) -> float:
    """The loss: the mean over the labelled tokens of all packs."""
    supervised = sum(int((pack["labels"] != IGNORE_INDEX).sum()) for pack in packs)
    loss = 0.0
    optimizer.zero_grad()
    for pack in packs:
        inputs = {
            name: value.to(model.device) if isinstance(value, torch.Tensor) else value for name, value in pack.items()
        }
        targets = inputs.pop("labels")[:, 1:]
        labelled = targets != IGNORE_INDEX
        hidden = model.model(**inputs).last_hidden_state[:, :-1][labelled]
        part = torch.nn.functional.cross_entropy(model.lm_head(hidden).float(), targets[labelled], reduction="sum")
        (part / supervised).backward()
        loss += part.item() / supervised
    torch.nn.utils.clip_grad_norm_(trained(model), float("inf"))
    optimizer.step()
    return loss


def now() -> float:
    """Seconds, when the device has done all; without one, of CPU time."""
    if not CUDA:
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def timed(function: Callable, *args) -> tuple[float, object]:
    """Seconds that it takes, and what it returns."""
    began, result = now(), function(*args)
    return now() - began, result


@torch.no_grad()
def vision_seconds(model: Qwen2_5_VLForConditionalGeneration, sample: dict) -> float:
    inputs = [sample[name].to(model.device) for name in ("pixel_values", "image_grid_thw")]
    return timed(model.model.get_image_features, *inputs)[0]


def measure(model, cell: Cell, repeats: int, deadline: float) -> Result | None:
    """`None` where the memory does not suffice. Further repeats are left out where the time does not."""
    optimizer, packs, seconds = torch.optim.AdamW(trained(model), lr=0.0), cell.packs(), []
    if CUDA:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        while len(seconds) < repeats and (not seconds or time.monotonic() + seconds[-1] < deadline):
            spent, loss = timed(train_step, model, optimizer, packs)
            seconds.append(spent)
    except torch.cuda.OutOfMemoryError:
        optimizer.zero_grad()
        return None
    # Without a device: the largest resident memory of the process so far
    peak = torch.cuda.max_memory_allocated() if CUDA else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    gradient = torch.cat([parameter.grad.flatten().float().cpu() for parameter in trained(model)])
    return Result(statistics.median(seconds), peak / 2**30, loss, gradient)


def run_table(model, cells: list[Cell], args: argparse.Namespace, deadline: float) -> None:
    print(f"\n| {' | '.join(COLUMNS)} |\n|---:|---:|---|{'---:|' * (len(COLUMNS) - 4)}---|")
    measure(model, cells[0], 1, deadline)  # what is set up once
    rate, vision, shared = 0.0, {}, {}
    for cell in cells:
        number, beside = len(cell.samples), ""
        begin = f"| {cell.length:,} | {number} | {cell.way} |"
        if time.monotonic() + rate * cell.flops > deadline:
            print(f"{begin} not measured: it would take about {rate * cell.flops:.0f} s", flush=True)
            continue
        if (result := measure(model, cell, args.repeats, deadline)) is None:
            print(f"{begin} out of memory", flush=True)
            continue
        if cell.length not in vision:
            vision[cell.length] = vision_seconds(model, cell.samples[0])
        rate = result.seconds / cell.flops
        if cell.way == "shared":
            shared[cell.length, number] = result
        elif (other := shared.get((cell.length, number))) is not None:
            difference = (other.gradient - result.gradient).norm() / result.gradient.norm()
            beside = f"{result.seconds / other.seconds:.1f}x the time; loss {other.loss - result.loss:+.1e}, gradient {difference:.1e} apart"
        print(
            f"{begin} {result.seconds:.2f} | {len(cell.parts) * vision[cell.length]:.2f} | {result.seconds / number:.2f} "
            f"| {cell.parts.lengths.sum() / result.seconds:,.0f} | {cell.flops / result.seconds / (args.peak_tflops * 1e12):.1%} "
            f"| {result.peak:.1f} | {result.loss:.5f} | {beside} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", help="tokens of a document (32768 65536 131072)")
    parser.add_argument("--questions", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--layers", type=int, help="of the language model, to shrink it")
    parser.add_argument("--repeats", type=int, default=1, help="steps of which the median is taken")
    parser.add_argument("--seconds", type=float, default=540, help="what would end later is not begun")
    parser.add_argument("--peak_tflops", type=float, default=989, help="dense bfloat16 peak (H100 and H200)")
    parser.add_argument("--tiny", action="store_true", help="a tiny model and short documents")
    args = parser.parse_args()
    began, device = time.monotonic(), torch.device("cuda" if CUDA else "cpu")
    config = make_config(layers=args.layers, tiny=args.tiny)
    lengths = args.lengths or ([512, 2048] if args.tiny else [32768, 65536, 131072])
    cells = make_cells(config, lengths, args.questions, TINY_PAGE_GRID if args.tiny else PAGE_GRID)
    model = adapted(config, device)
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    name = f"{torch.cuda.get_device_name() if CUDA else 'CPU'}, torch {torch.__version__}"
    kernels = ["flash_attention_2"] if CUDA else ["cpu"]
    if CUDA and importlib.util.find_spec("flash_attn_interface"):
        kernels.append("flash_attention_3")
    for done, kernel in enumerate(kernels, start=1):
        report = probe_kernel(kernel, device, model.dtype, num_heads=28, num_key_value_heads=4, head_dim=128)
        vision = choose_attention()["vision_config"]
        print(f"\n{name}, vision tower {vision}, {millions:,.1f}M parameters in {model.dtype}; {report}")
        if report.reason is None:
            run_table(model, cells, args, began + args.seconds * done / len(kernels))


if __name__ == "__main__":
    main()
