"""Samples that documents can give, against the condition that says what is possible at all."""

import random
from itertools import combinations

from mmprolong_hf.synthesis.allocation import Allocation

CELLS = ("a", "b", "c")


def world(seed):
    """Documents with a few samples of some cells, and how many each may give."""
    rng, documents, row = random.Random(seed), [], 0
    for _ in range(rng.randint(1, 6)):
        queues = {}
        for cell in rng.sample(CELLS, rng.randint(1, 3)):
            queues[cell] = list(range(row, row := row + rng.randint(1, 3)))
        documents.append(queues)
    return documents, [rng.randint(1, 99) for _ in range(row)], rng.randint(1, 3)


def possible(documents, most, counts):
    """Whether so many of each cell can be given together: by each set of cells no more than its documents can give (Hall)."""
    return all(
        sum(counts[cell] for cell in cells)
        <= sum(min(most, sum(len(queues.get(cell, ())) for cell in cells)) for queues in documents)
        for size in range(1, len(CELLS) + 1)
        for cells in combinations(CELLS, size)
    )


def test_a_sample_is_found_exactly_when_there_is_a_way():
    exchanged = 0
    for seed in range(400):
        documents, tokens, most = world(seed)
        plan, rng = Allocation(documents, tokens, most), random.Random(seed)
        counts = dict.fromkeys(CELLS, 0)
        for _ in range(25):
            cell = rng.choice(CELLS)
            more = counts | {cell: counts[cell] + 1}
            steps = plan.add(cell)
            assert (steps is not None) == possible(documents, most, more), (seed, cell, counts)
            counts = counts if steps is None else more
            exchanged += steps is not None and len(steps) > 1
        given = [[(cell, len(plan.chosen(d, cell))) for cell in queues] for d, queues in enumerate(documents)]
        assert all(sum(count for _, count in cells) <= most for cells in given)
        assert {c: sum(n for cells in given for cell, n in cells if cell == c) for c in CELLS} == counts
        rows = [row for d, queues in enumerate(documents) for cell in queues for row in plan.chosen(d, cell)]
        assert (plan.num_samples, plan.num_tokens) == (len(rows), sum(tokens[row] for row in rows))
        assert sum(plan.tokens.values()) == plan.num_tokens
    assert exchanged > 80  # else nothing but the simple case was seen


def test_the_document_that_gave_least_gives_next():
    plan = Allocation([{"a": [0, 1, 2]}, {"a": [3]}, {"a": [4, 5]}], [1] * 6, most=3)
    assert [plan.add("a")[0][0] for _ in range(6)] == [0, 1, 2, 0, 2, 0]
    assert plan.add("a") is None
    assert plan.is_full(0)
    assert not plan.is_full(1)


def test_an_exchange_can_be_undone():
    plan = Allocation([{"a": [0], "b": [1]}, {"a": [2]}], [10, 20, 40], most=1)
    plan.add("a")
    steps = plan.add("b")
    assert (len(steps), plan.num_tokens) == (3, 60)
    plan.undo(steps)
    assert (plan.chosen(0, "a"), plan.chosen(0, "b"), plan.chosen(1, "a"), plan.num_tokens) == ([0], [], [], 10)
