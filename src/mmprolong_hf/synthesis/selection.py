"""The mixture over all documents: which samples make the set, so that its shares, lengths and size are those asked for."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .achieved import describe_selection
from .allocation import Allocation
from .mixture import MixtureOptions, draw_number, draw_order
from .questions import ABSENT, choose
from .weights import Cell, weigh_cells

COLUMNS = ("document", "question", "task", "template", "depth", "tokens", "pages")


@dataclass(frozen=True)
class Selection:
    """
    What was chosen, and why the rest was not.

    Args:
        indices (`np.ndarray` of shape `(num_chosen,)`): Rows of the table, ascending.
        reasons (`tuple[str, ...]`): Of each row of the table; empty where it was chosen.
        achieved (`dict`): `samples`, `tokens`, `documents`; of each task and range of `lengths` its `samples`, `tokens`,
            `share` and `wanted` share; `depths` (task -> samples in each tenth of a document); `histogram` (tokens ->
            samples); `shortfall` (what is below its share, or the budget, by how much).
    """

    indices: np.ndarray
    reasons: tuple[str, ...]
    achieved: dict

    @property
    def left_out(self) -> Counter:
        """Reason -> rows."""
        return Counter(reason for reason in self.reasons if reason)


def select_samples(table: Mapping[str, Sequence], options: MixtureOptions, seed: int) -> Selection:
    """
    Choose the samples of a set.

    Shares are met exactly, to rounding, where the documents allow it: a document with few questions of many kinds keeps
    its places for the rare ones. What a task or a range of lengths cannot fill goes to the others and is reported.
    Without a `token_budget` everything is taken up to `questions_per_document`, or, with `lengths`, the largest set that
    has these. With one, samples are taken from as many documents as possible, until the next would exceed it. The order
    of the rows decides nothing.

    Args:
        table (`Mapping[str, Sequence]`): Columns of equal length, a row for each question: `document` (id), `question`
            (text), `task`, `template`, `depth` (0 to 9, of its first evidence), `tokens` (of the sample), `pages` (of the
            document).
        options (`MixtureOptions`): What is wanted.
        seed (`int`): Decides between equals.

    Raises:
        ValueError: if a column is missing.

    Example:

    ```python
    >>> table = {
    ...     "document": ["a", "a", "b"], "question": ["1?", "2?", "3?"], "task": ["reasoning", "extract-single", "reasoning"],
    ...     "template": ["sum", "cell", "sum"], "depth": [0, 5, 9], "tokens": [900, 900, 700], "pages": [2, 2, 1],
    ... }
    >>> options = MixtureOptions(shares={"extract-single": 0.5, "reasoning": 0.5}, token_budget=2000)
    >>> selection = select_samples(table, options, seed=0)
    >>> selection.indices.tolist(), selection.left_out, selection.achieved["tokens"]
    ([1, 2], Counter({'token_budget': 1}), 1600)

    ```
    """
    if missing := [name for name in COLUMNS if name not in table]:
        raise ValueError(f"the table of samples has no column {', '.join(missing)}; expected {', '.join(COLUMNS)}")
    ranges = tuple(r for r in options.length_ranges if r[2] > 0)
    reasons = _unfit(table, options, ranges)
    documents = _queues(table, np.flatnonzero(reasons == ""), options, ranges, seed)
    allocation = Allocation(documents, table["tokens"], options.questions_per_document)
    ended, capped = _fill(allocation, options, ranges)
    for number, queues in enumerate(documents):
        for cell, rows in queues.items():
            left = rows[len(allocation.chosen(number, cell)) :]
            full, unanswerable = allocation.is_full(number), cell in capped
            reasons[left] = "document_full" if full else "unanswerable_share" if unanswerable else ended
    indices = np.flatnonzero(reasons == "")
    assert len(indices) == allocation.num_samples, "a sample was left out without a reason"
    return Selection(indices, tuple(reasons.tolist()), describe_selection(table, indices, options))


def _unfit(table: Mapping[str, Sequence], options: MixtureOptions, ranges: tuple) -> np.ndarray:
    """The reason of each row that does not even come into question, and empty text for the others."""
    tokens, pages = np.asarray(table["tokens"], dtype=np.int64), np.asarray(table["pages"], dtype=np.int64)
    wanted = {task for task, share in options.shares.items() if share > 0}
    most_tokens, most_pages = (np.inf if most is None else most for most in (options.max_tokens, options.max_pages))
    tests = {
        "task_not_wanted": np.array([task not in wanted for task in table["task"]], dtype=bool),
        "too_few_tokens": tokens < options.min_tokens,
        "too_many_tokens": tokens > most_tokens,
        "too_few_pages": pages < options.min_pages,
        "too_many_pages": pages > most_pages,
    }
    if ranges:
        inside = [(tokens >= low) & (tokens < high) for low, high, *_ in ranges]
        tests["outside_lengths"] = ~np.any(inside, axis=0)
    return np.select(list(tests.values()), list(tests), default="").astype(object)


def _queues(
    table: Mapping[str, Sequence], fit: np.ndarray, options: MixtureOptions, ranges: tuple, seed: int
) -> list[dict[Cell, list[int]]]:
    """Of each document, in an order that the seed decides: its rows by cell, in the order in which they are to be taken."""
    starts = [low for low, *_ in ranges]
    members: dict[str, list[int]] = defaultdict(list)
    for row in fit.tolist():
        members[table["document"][row]].append(row)
    others: dict[tuple[str, int], Counter] = defaultdict(Counter)
    documents = []
    for name in sorted(members, key=lambda name: (choose(range(2**32), seed, "document", name), name)):
        rows = members[name]
        kinds = {
            row: (table["task"][row], int(table["depth"][row]) if options.balance_depth else 0, table["template"][row])
            for row in rows
        }
        text = table["question"]
        rows.sort(
            key=lambda row: (draw_number(f"{seed} {name}", text[row]), text[row], kinds[row], table["tokens"][row])
        )
        queues: dict[Cell, list[int]] = defaultdict(list)
        for place in draw_order([kinds[row] for row in rows], options.shares, others):
            row = rows[place]
            part = int(np.searchsorted(starts, table["tokens"][row], side="right")) - 1 if starts else 0
            queues[part, kinds[row][0], kinds[row][2].endswith(ABSENT)].append(row)
        documents.append(dict(queues))
    return documents


def _fill(allocation: Allocation, options: MixtureOptions, ranges: tuple) -> tuple[str, set[Cell]]:
    """
    Sample after sample to the cell that is farthest below its weight (the rule of Webster).

    Returns:
        `tuple[str, set[Cell]]`: What ended it, empty if nothing was left; and the cells that would have gone beyond
        `unanswerable_share`.
    """
    cells = sorted({cell for queues in allocation.documents for cell in queues}, key=lambda cell: cell[1:] + cell[:1])
    weights, limit = weigh_cells(allocation, cells, options, ranges)
    by_tokens = options.share_unit == "tokens"
    amounts = allocation.tokens if by_tokens else allocation.samples
    budget = np.inf if options.long_budget is None else options.long_budget
    half = 0.5 * (sum(allocation.row_tokens) / max(len(allocation.row_tokens), 1) if by_tokens else 1.0)
    tasks, unanswerable = Counter(), Counter()
    waiting = [
        ((amounts[cell] + half) / weights[cell], place, cell) for place, cell in enumerate(cells) if cell in weights
    ]
    heapq.heapify(waiting)
    held_back = defaultdict(list)  # of each task, until it has more questions that are answered
    ended = ""
    while waiting and not ended:
        entry = heapq.heappop(waiting)
        _, place, cell = entry
        task = cell[1]
        if cell[2] and unanswerable[task] + 0.5 > options.unanswerable_share * (tasks[task] + 1):
            held_back[task].append(entry)
            continue
        steps = allocation.add(cell)
        if steps is None:
            continue
        over_budget = allocation.num_tokens > budget
        if over_budget or (allocation.num_tokens if by_tokens else allocation.num_samples) > limit:
            allocation.undo(steps)
            ended = "token_budget" if over_budget else "lengths_met"
            continue
        tasks[task] += 1
        unanswerable[task] += cell[2]
        heapq.heappush(waiting, ((amounts[cell] + half) / weights[cell], place, cell))
        for entry in held_back.pop(task, ()) if not cell[2] else ():
            heapq.heappush(waiting, entry)
    return ended, {cell for cell in cells if cell[2] and cell not in weights} | {
        cell for entries in held_back.values() for _, _, cell in entries
    }
