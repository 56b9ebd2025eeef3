"""
Is what the plan balances by what a pack really takes? Reckoned FLOPs beside measured CPU seconds, for packs of many shapes.

    python benchmarks/pack_cost.py [--rounds 3]

A training step (forward and backward, every weight trained) of a small Qwen2.5-VL with random weights; the least of the rounds, in
CPU seconds of one thread. "by tokens alone" is what a plan without a cost model would balance by.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from transformers import Qwen2_5_VLForConditionalGeneration

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import tiny

from mmprolong_hf.architecture import Architecture
from mmprolong_hf.attention import choose_attention
from mmprolong_hf.collator import PackCollator
from mmprolong_hf.encoding import encode_branch, encode_document
from mmprolong_hf.estimate import CostModel, head_flops
from mmprolong_hf.sharing import share_prefixes

PAGE = 28 * 14  # pixels of a side: 196 tokens
# (pages, questions that share them) of each part of a pack
PACKS = {
    "one document of 30 pages": [(30, 1)],
    "three of 10 pages": [(10, 1)] * 3,
    "thirty of 1 page": [(1, 1)] * 30,
    "one of 20 pages": [(20, 1)],
    "one of 10 pages": [(10, 1)],
    "one of 30 pages, 8 questions": [(30, 8)],
    "three of 10 pages, 8 questions": [(10, 8)] * 3,
    "one of 30 pages, 16 questions": [(30, 16)],
    "one of 20 pages, one of 10 pages": [(20, 1), (10, 1)],
}
QUESTION, ANSWER = "What is on page 3, and where else in the document is the same thing said?", "The total of 2019."


def small_model() -> Qwen2_5_VLForConditionalGeneration:
    text = {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4, "num_attention_heads": 4}
    config = tiny.config(
        **text, rope_parameters={"rope_type": "default", "rope_theta": 1e6, "mrope_section": [8, 12, 12]}
    )
    config.vision_config.hidden_size, config.vision_config.out_hidden_size = 64, 256
    torch.manual_seed(0)
    return Qwen2_5_VLForConditionalGeneration._from_config(config, attn_implementation=choose_attention()).train()


def make_pack(processor, shapes: list[tuple[int, int]]) -> tuple[dict, int, int, int]:
    """Model inputs; tokens, attended pairs and patches."""
    groups, samples = [], []
    for index, (pages, questions) in enumerate(shapes):
        numbers = range(1, pages + 1)
        document = encode_document(processor, [tiny.page(index, PAGE, PAGE)] * pages, numbers)
        group = [encode_branch(processor, document, numbers, f"{k} {QUESTION}", ANSWER) for k in range(questions)]
        groups.append(group)
        samples += [(len(s["input_ids"]), index, s["document_length"], len(s["pixel_values"])) for s in group]
    parts = share_prefixes(*zip(*samples), max_length=10**6, max_questions=64, seed=0)
    return PackCollator()(groups), int(parts.lengths.sum()), int(parts.pairs.sum()), int(parts.patches.sum())


def step_seconds(model: torch.nn.Module, pack: dict) -> float:
    began = time.process_time()
    keep = (pack["labels"][0] != -100).nonzero()[:, 0] - 1  # the head runs on labelled tokens alone, as in training
    inputs = {key: value for key, value in pack.items() if key != "labels"}
    logits = model(**inputs, logits_to_keep=keep).logits[0]
    torch.nn.functional.cross_entropy(logits, pack["labels"][0, keep + 1]).backward()
    model.zero_grad()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    model, processor = small_model(), tiny.processor(max_pixels=PAGE * PAGE)
    architecture = Architecture.from_config(model.config.to_dict())
    cost = CostModel.of(architecture, patches_per_image=4 * 196)
    packs = {name: make_pack(processor, shapes) for name, shapes in PACKS.items()}
    step_seconds(model, packs["one of 10 pages"][0])  # sets up torch
    seconds = {name: [] for name in packs}
    for _ in range(rounds):
        for name, (pack, *_) in packs.items():
            seconds[name].append(step_seconds(model, pack))
    measured = np.array([min(values) for values in seconds.values()])
    flops = np.array(
        [
            cost.flops(*sizes) + head_flops(architecture, int((pack["labels"] != -100).sum()))
            for pack, *sizes in packs.values()
        ]
    )
    tokens = np.array([float(sizes[1]) for sizes in packs.values()])
    print(
        "| pack | tokens | pairs, millions | GFLOPs | CPU seconds | seconds a GFLOP, mean = 1 | seconds a token, mean = 1 |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    by_cost, by_tokens = ((measured / x) / (measured / x).mean() for x in (flops, tokens))
    for row, (name, (_, num_tokens, num_pairs, _)) in enumerate(packs.items()):
        print(
            f"| {name} | {num_tokens:,} | {num_pairs / 1e6:.1f} | {flops[row] / 1e9:,.0f} | {measured[row]:.2f} | {by_cost[row]:.2f} | "
            f"{by_tokens[row]:.2f} |"
        )
    print(
        f"\nspread (standard deviation over mean): by cost {by_cost.std():.1%}, by tokens alone {by_tokens.std():.1%}"
    )


if __name__ == "__main__":
    main()
