"""
How fast metrics are on long strings: edit distance as the harnesses compute it, a table filled cell by cell in Python, beside ours.

    python benchmarks/metrics.py [--lengths 40 400 2000]

Prints scores a second of ANLS on random strings of so many characters, each side measured in the same run, the best of three.
"""

import argparse
import random
import string
import time
from collections.abc import Callable

from mmprolong_hf.evaluation.metrics import anls
from mmprolong_hf.evaluation.metrics.anls import similarity

SECONDS = 1.0  # at least, of each measurement


def cell_by_cell(one: str, other: str) -> float:
    """1 - distance / longest, by the textbook's table (Wagner and Fischer 1974)."""
    above = list(range(len(other) + 1))
    for row, a in enumerate(one, 1):
        line = [row]
        for column, b in enumerate(other, 1):
            line.append(min(above[column] + 1, line[-1] + 1, above[column - 1] + (a != b)))
        above = line
    return 1 - above[-1] / max(len(one), len(other), 1)


def rate(function: Callable[[str, str], float], pairs: list[tuple[str, str]]) -> float:
    best = 0.0
    for _ in range(3):
        began, done = time.process_time(), 0
        while time.process_time() - began < SECONDS / 3:
            function(*pairs[done % len(pairs)])
            done += 1
        best = max(best, done / (time.process_time() - began))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[40, 400, 2000])
    lengths = parser.parse_args().lengths
    letters, rng = string.ascii_lowercase + " ", random.Random(0)
    print("| characters | cell by cell, a second | ours, a second | ratio | ours without rapidfuzz | ratio |")
    print("|---:|---:|---:|---:|---:|---:|")
    for length in lengths:
        pairs = [tuple("".join(rng.choices(letters, k=length)) for _ in range(2)) for _ in range(4)]
        assert all(abs(cell_by_cell(*pair) - similarity(*pair)) < 1e-12 for pair in pairs)
        slow, fast = rate(cell_by_cell, pairs), rate(similarity, pairs)
        native, anls.Levenshtein = anls.Levenshtein, None
        fallback = rate(similarity, pairs)
        anls.Levenshtein = native
        print(
            f"| {length:,} | {slow:,.1f} | {fast:,.0f} | {fast / slow:,.0f} | {fallback:,.0f} | {fallback / slow:,.0f} |"
        )


if __name__ == "__main__":
    main()
