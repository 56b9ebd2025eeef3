"""
What a training step of Qwen2.5-VL-7B holds on a GPU as the pack grows, by the estimate of `--dry_run`, and what fits where.

    python benchmarks/memory_growth.py [--lengths 32768 131072 1048576]

No GPU is needed, and none is used: the estimate is checked against counted allocations of small models (tests/test_memory.py).
A figure is what the fastest setting that fits needs: attention outputs kept (s), else computed again, else hidden states offloaded
to the host as well (o). All have MLPs in tiles, pages in chunks and as bytes.
"""

import argparse

from mmprolong_hf.architecture import QWEN2_5_VL_7B
from mmprolong_hf.memory import memory_per_gpu

GIBIBYTE = 2**30
RESERVE = 3 * GIBIBYTE  # the CUDA context, communication, fragments
HARDWARE = {"1 x 24 GB": (1, 24e9), "1 x 80 GB": (1, 80e9), "1 x 141 GB": (1, 141e9), "8 x 80 GB": (8, 80e9)}
LEVERS = {"mlp_tile": 4096, "uint8_pixels": True}
LORA = LEVERS | {"lora_rank": 64, "train_vision": False, "vision_chunk": 16384}
METHODS = {
    "LoRA, tower frozen": LORA,
    "full, tower frozen": LEVERS | {"train_vision": False, "vision_chunk": 16384},
    "full": LEVERS | {"vision_chunk": 4096},
}
# One GPU holds no float32 states of a 7B model: bfloat16 weights, and moments of 8 bits in pages on the host
STATES = {1: {"optimizer": "paged_adamw_8bit"}, 8: {"weight_bytes": 4}}
SPEEDS = {
    " s": {"save_attention": True},
    "": {},
    " s o": {"save_attention": True, "offload": True},
    " o": {"offload": True},
}


def cell(method: str, num_gpus: int, size: float, length: int) -> str:
    states = {} if method.startswith("LoRA") else STATES[num_gpus]
    pack = {"pack_tokens": length, "pack_patches": 4 * length, "supervised_tokens": 512}
    for mark, speed in SPEEDS.items():
        setup = METHODS[method] | states | speed | {"num_gpus": num_gpus}
        total = memory_per_gpu(QWEN2_5_VL_7B, **pack, **setup).total + RESERVE
        if total <= size:
            return f"{total / GIBIBYTE:.0f}{mark}"
    return f"({total / GIBIBYTE:.0f} o)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[2**power for power in range(15, 21)])
    args = parser.parse_args()
    print("| GPUs | training |" + "".join(f" {length // 1024}K |" for length in args.lengths))
    print("|---|---|" + "---:|" * len(args.lengths))
    for name, (num_gpus, size) in HARDWARE.items():
        for method in METHODS:
            cells = "".join(f" {cell(method, num_gpus, size, length)} |" for length in args.lengths)
            print(f"| {name} | {method} |{cells}")


if __name__ == "__main__":
    main()
