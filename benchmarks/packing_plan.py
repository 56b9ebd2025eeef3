"""
How fast a plan is made, in how much memory, and how full its packs are, on samples as long as the paper's. Prints Markdown tables.

    python benchmarks/packing_plan.py

A row of the first table is measured in a process of its own, from the lengths of 3 questions a document to one rank's packs of an epoch.
"""

import math
import multiprocessing
import resource
import time

import numpy as np

from mmprolong_hf.architecture import QWEN2_5_VL_7B
from mmprolong_hf.estimate import CostModel
from mmprolong_hf.paper_samples import paper_samples
from mmprolong_hf.plan import PackingPlan
from mmprolong_hf.sharing import share_prefixes

MAX_LENGTH = 131_072
STRATEGIES = {"sequential": "sequential (next-fit)", "random": "random (best-fit decreasing)"}
TRL_WINDOW = 1000  # rows that `pack_dataset` packs together unless it is told otherwise
TRL_SAMPLES = 10_000  # it packs tokens, not lengths, and one Arrow column cannot hold those of 60,000 such samples
DOCUMENTS = (10_000, 100_000, 1_500_000)
QUESTIONS = 3


def plan_documents(num_documents: int, max_questions: int) -> tuple[int, int, float, float]:
    """Number of parts and of packs, the CPU seconds that one of eight ranks needs, and the process's peak memory in GB."""
    sizes, random = paper_samples(10_000, seed=0), np.random.RandomState(0)
    drawn = random.randint(10_000, size=num_documents)
    documents = sizes.lengths[drawn] + random.randint(-500, 500, size=num_documents)  # else they have few lengths
    patches = np.repeat((sizes.num_pages * sizes.page_patches)[drawn], QUESTIONS)
    prefixes, prefix_lengths = np.repeat(np.arange(num_documents), QUESTIONS), np.repeat(documents, QUESTIONS)
    lengths = prefix_lengths + random.randint(60, 200, size=len(prefixes))
    cost = CostModel.of(QWEN2_5_VL_7B, patches_per_image=int(np.median(sizes.page_patches)))

    start = time.process_time()
    parts = share_prefixes(
        lengths, prefixes, prefix_lengths, patches, max_length=MAX_LENGTH, max_questions=max_questions, seed=0
    )
    costs = cost.flops(parts.lengths, parts.pairs, parts.patches)
    plan = PackingPlan(parts.lengths, MAX_LENGTH, 0, world_size=8, packs_per_step=32, costs=costs, balance_window=16)
    plan.rank_packs(epoch=0, rank=0)
    seconds = time.process_time() - start
    return len(parts), plan.num_packs, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def print_scale() -> None:
    print("| documents | questions a part | parts | packs | CPU seconds | µs a part / log2(parts) | peak memory, GB |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for max_questions in (8, 1):
        for num_documents in DOCUMENTS:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                parts, packs, seconds, peak = pool.apply(plan_documents, (num_documents, max_questions))
            growth = 1e6 * seconds / parts / math.log2(parts)
            shared = min(max_questions, QUESTIONS)
            print(
                f"| {num_documents:,} | {shared} | {parts:,} | {packs:,} | {seconds:.2f} | {growth:.2f} | {peak:.2f} |",
                flush=True,
            )


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
    import pyarrow as pa
    from datasets import Dataset, disable_progress_bars
    from trl import pack_dataset

    disable_progress_bars()
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    tokens = pa.ListArray.from_arrays(offsets, pa.array(np.zeros(offsets[-1], dtype=bool)))
    rows = Dataset(pa.table({"input_ids": tokens}))
    options = {"batch_size": TRL_WINDOW, "keep_in_memory": True}
    return len(pack_dataset(rows, MAX_LENGTH, strategy="bfd", map_kwargs=options))


def main() -> None:
    # First: a new process reports a peak no lower than what its parent held, and TRL brings PyTorch along
    print_scale()
    print("\n| samples | method | packs | fill | seconds |")
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
