"""
Two ways to attend from branches to the document they share: once for all of them, merged, or each with a copy of its keys.

    python benchmarks/branch_attention.py [--documents 4096 16384 65536] [--branches 1 4 16] [--branch 64] [--heads 2] [--rounds 2]

Forward and backward of one attention layer in float32, each figure from a process of its own and the least of the rounds, in which all
take their turns: CPU seconds, and the largest resident memory above what the process held before (queries, keys and values).
"branches alone" is what is left of them without the document's own attention, which is the same both ways and is measured as a sample
without branches. Separate samples cost the same each: one is measured, and its time counted once for every branch. On a
busy machine the branches of a very long document drown in the noise of its own attention (they may even come out below 0).
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

MEBIBYTE = 2**20
COLUMNS = ("seconds", "mebibytes")
ALONE, SEPARATE = ("merged", 0), ("separate", 1)  # (way, branches): a document without branches; a sample of its own


def measure(way: str, document: int, branches: int, args: argparse.Namespace) -> dict:
    import torch

    from mmprolong_hf.attention import concatenated_attention
    from mmprolong_hf.attention_kernels import CpuKernel
    from mmprolong_hf.layout import PackLayout
    from mmprolong_hf.merged_attention import MergedAttention

    part = [document + args.branch] if way == "separate" else [document] + [args.branch] * branches
    layout = PackLayout.from_lengths([part])
    torch.manual_seed(0)
    shapes = [(sum(part), heads, args.head_dim) for heads in (args.heads, args.key_value_heads, args.key_value_heads)]
    query, key, value = (torch.randn(shape, requires_grad=True) for shape in shapes)
    small = [torch.randn(2, *shape[1:], requires_grad=True) for shape in shapes]
    MergedAttention.apply(
        *small, PackLayout.from_lengths([[1, 1]]), None, CpuKernel()
    ).sum().backward()  # sets up torch
    held, began = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize(), time.process_time()
    if way == "copied":
        out = concatenated_attention(*(tensor.transpose(0, 1)[None] for tensor in (query, key, value)), layout)[0]
    else:
        out = MergedAttention.apply(query, key, value, layout, None, CpuKernel())
    out.square().sum().backward()
    return {
        "seconds": time.process_time() - began,
        "mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - held / MEBIBYTE,
        "norms": [x.norm().item() for x in (out[document:], query.grad[document:], key.grad, value.grad)],
    }


def check_equal(merged: dict, copied: dict) -> None:
    """
    Raises:
        ValueError: when the branches' output or a gradient differs by more than float32 explains.
    """
    if any(abs(ours / theirs - 1) > 1e-4 for ours, theirs in zip(merged["norms"], copied["norms"])):
        raise ValueError(f"norms of output and gradients are {merged['norms']} merged, expected {copied['norms']}")


def measure_document(document: int, args: argparse.Namespace) -> dict[tuple[str, int], dict]:
    """The least seconds and memory of each way and number of branches."""
    cells = [ALONE, SEPARATE, *((way, branches) for branches in args.branches for way in ("merged", "copied"))]
    found: dict[tuple[str, int], list[dict]] = {cell: [] for cell in cells}
    for _ in range(args.rounds):
        for way, branches in cells:
            command = [sys.executable, __file__, *sys.argv[1:], "--one", way, str(document), str(branches)]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            found[way, branches].append(json.loads(output))
    for branches in args.branches:
        check_equal(found["merged", branches][0], found["copied", branches][0])
    return {cell: {name: min(run[name] for run in runs) for name in COLUMNS} for cell, runs in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, nargs="+", default=[4096, 16384, 65536], help="tokens")
    parser.add_argument("--branches", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--branch", type=int, default=64, help="tokens in a branch")
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--key_value_heads", type=int, default=1)
    parser.add_argument("--head_dim", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--one", nargs=3, metavar=("WAY", "DOCUMENT", "BRANCHES"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one[0], int(args.one[1]), int(args.one[2]), args)))
        return
    print(
        "| document | branches | s: merged | copied | separate | branches alone: merged | copied | MiB: merged | copied | separate |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for document in args.documents:
        found = measure_document(document, args)
        for branches in args.branches:
            seconds, peak = (
                [found[cell][name] for cell in (("merged", branches), ("copied", branches), SEPARATE)]
                for name in COLUMNS
            )
            seconds[2] *= branches
            rest = [value - found[ALONE]["seconds"] for value in seconds[:2]]
            columns = [f"{value:.2f}" for value in (*seconds, *rest)] + [f"{value:,.0f}" for value in peak]
            print(f"| {document:,} | {branches} | {' | '.join(columns)} |", flush=True)


if __name__ == "__main__":
    main()
