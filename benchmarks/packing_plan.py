"""
How fast a plan is made and how full its packs are, on samples as long as the paper's. Prints a Markdown table.

    python benchmarks/packing_plan.py
"""

import time

import numpy as np
import pyarrow as pa
from datasets import Dataset, disable_progress_bars
from trl import pack_dataset

from mmprolong_hf.packing import PackingPlan
from mmprolong_hf.paper_samples import paper_samples

MAX_LENGTH = 131_072
STRATEGIES = {"sequential": "sequential (next-fit)", "random": "random (best-fit decreasing)"}
TRL_WINDOW = 1000  # rows that `pack_dataset` packs together unless it is told otherwise
TRL_SAMPLES = 10_000  # it packs tokens, not lengths, and one Arrow column cannot hold those of 60,000 such samples


def print_row(lengths: np.ndarray, method: str, num_packs: int, seconds: str) -> None:
    fill = lengths.sum() / (num_packs * MAX_LENGTH)
    print(f"| {len(lengths):,} | {method} | {num_packs:,} | {fill:.1%} | {seconds} |", flush=True)


def plan_epoch(lengths: np.ndarray, strategy: str) -> tuple[int, float]:
    """Number of packs, and the seconds that one of eight ranks needs for a new plan and its packs of an epoch."""
    start = time.perf_counter()
    plan = PackingPlan(lengths, MAX_LENGTH, seed=0, world_size=8, packs_per_step=32, strategy=strategy)
    plan.rank_packs(epoch=0, rank=0)
    return plan.num_packs, time.perf_counter() - start


def trl_packs(lengths: np.ndarray) -> int:
    """Rows that TRL's own best-fit decreasing makes of samples this long; one bit stands for a token."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    tokens = pa.ListArray.from_arrays(offsets, pa.array(np.zeros(offsets[-1], dtype=bool)))
    rows = Dataset(pa.table({"input_ids": tokens}))
    options = {"batch_size": TRL_WINDOW, "keep_in_memory": True}
    return len(pack_dataset(rows, MAX_LENGTH, strategy="bfd", map_kwargs=options))


def main() -> None:
    disable_progress_bars()
    print("| samples | method | packs | fill | seconds |")
    print("|---:|---|---:|---:|---:|")
    for num_samples in (10_000, 60_000):
        lengths = paper_samples(num_samples, seed=0).lengths
        print_row(lengths, "one sample a row", num_samples, "")
        for strategy, method in STRATEGIES.items():
            num_packs, seconds = plan_epoch(lengths, strategy)
            print_row(lengths, method, num_packs, f"{seconds:.2f}")
        if num_samples == TRL_SAMPLES:  # not timed: most of its time goes into moving tokens
            print_row(lengths, f"TRL bfd, windows of {TRL_WINDOW:,}", trl_packs(lengths), "")


if __name__ == "__main__":
    main()
