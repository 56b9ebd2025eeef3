"""
What a supervised question costs, from sizes alone, when 59,055 documents as long as the paper's are trained with 3 questions
each: one sample a row, best-fit packs in random order as TRL would make them, and this project's plan without and with shared
documents.

    python benchmarks/plan_simulation.py [--documents 59055] [--figure outputs/plan_simulation.png]

Prints Markdown tables and draws a figure. Costs are model FLOPs of Qwen2.5-VL-7B, vision tower trained, LM head apart. In a
micro-step every rank runs one row, and the next begins when the slowest is done; an optimizer step is one micro-step, which
leaves the plan least room to balance. A padded row is as long as the longest of its micro-step, and its padding counts as
work. TRL packs no images; (b) is what its method would make of these lengths. 8 questions are asked of fewer documents, so
that there are as many in all. The second table adds short samples that fill room, the third changes the window in which packs
are sorted by cost.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mmprolong_hf.architecture import QWEN2_5_VL_7B
from mmprolong_hf.balance import rank_balance
from mmprolong_hf.estimate import CostModel
from mmprolong_hf.packing import pack_samples
from mmprolong_hf.paper_samples import paper_samples
from mmprolong_hf.plan import PackingPlan
from mmprolong_hf.sharing import Parts, share_prefixes

MAX_LENGTH = 131_072
RANKS = (8, 32)
WINDOW = 16  # the recipes' balance_window
TRL_WINDOW = 1000  # rows that TRL packs together
QUESTION_TOKENS = (60, 200)  # a question, its answer and the chat template
FILL_TOKENS = (500, 8000)


@dataclass(frozen=True)
class Samples:
    """Sizes of questions with their documents: tokens, the document's number, its tokens, its vision patches."""

    lengths: np.ndarray
    prefixes: np.ndarray
    prefix_lengths: np.ndarray
    patches: np.ndarray

    def parts(self, max_questions: int) -> Parts:
        arrays = (self.lengths, self.prefixes, self.prefix_lengths, self.patches)
        return share_prefixes(*arrays, max_length=MAX_LENGTH, max_questions=max_questions, seed=0)


@dataclass(frozen=True)
class Outcome:
    """An epoch: rows, their tokens without padding, the tokens processed, and `(micro-steps, ranks)` FLOPs."""

    num_rows: int
    tokens: int
    processed: int
    costs: np.ndarray


def questions_on(num_documents: int, num_questions: int, per_document: int) -> Samples:
    sizes = paper_samples(num_documents, seed=0)
    random = np.random.RandomState(0)
    prefixes = np.arange(num_questions) // per_document
    documents = (sizes.lengths - random.randint(*QUESTION_TOKENS, size=num_documents))[prefixes]
    questions = random.randint(*QUESTION_TOKENS, size=num_questions)
    return Samples(documents + questions, prefixes, documents, (sizes.num_pages * sizes.page_patches)[prefixes])


def by_micro_step(values: np.ndarray, ranks: int) -> np.ndarray:
    """`(micro-steps, ranks)`; ranks without a row in the last one have nothing to do."""
    return np.pad(values, (0, -len(values) % ranks)).reshape(-1, ranks)


def one_a_row(samples: Samples, cost: CostModel, ranks: int, *, padded: bool) -> Outcome:
    order = np.random.RandomState(0).permutation(len(samples.lengths))
    lengths = by_micro_step(samples.lengths[order], ranks)
    patches = by_micro_step(samples.patches[order], ranks)
    rows = np.where(lengths > 0, lengths.max(axis=1, keepdims=True), 0) if padded else lengths
    costs = cost.flops(rows, rows * (rows + 1) // 2, patches)
    return Outcome(len(order), int(lengths.sum()), int(rows.sum()), costs)


def best_fit_in_random_order(samples: Samples, cost: CostModel, ranks: int) -> Outcome:
    random = np.random.RandomState(0)
    order, packs = random.permutation(len(samples.lengths)), []
    for start in range(0, len(order), TRL_WINDOW):
        window = order[start : start + TRL_WINDOW]
        packs += [window[pack] for pack in pack_samples(samples.lengths[window], MAX_LENGTH)]
    each = cost.flops(samples.lengths, samples.lengths * (samples.lengths + 1) // 2, samples.patches)
    costs = np.array([each[pack].sum() for pack in packs])[random.permutation(len(packs))]
    tokens = int(samples.lengths.sum())
    return Outcome(len(packs), tokens, tokens, by_micro_step(costs, ranks))


def plan_of(parts: Parts, cost: CostModel, ranks: int, *, num_fill: int = 0, window: int = WINDOW) -> PackingPlan:
    return PackingPlan(
        parts.lengths, MAX_LENGTH, seed=0, world_size=ranks, packs_per_step=ranks, num_fill=num_fill,
        costs=cost.flops(parts.lengths, parts.pairs, parts.patches), balance_window=window,
    )  # fmt: skip


def planned(plan: PackingPlan) -> Outcome:
    micro_steps = plan.micro_steps(epoch=0)
    tokens, processed = (
        sum(int(plan.pack_tokens(packs).sum()) for packs in epoch) for epoch in ([plan.packs(0)], micro_steps)
    )
    costs = np.array(
        [plan.pack_costs(packs) for packs in micro_steps], dtype=np.float64
    )  # the sum of whole ones overflows
    return Outcome(plan.num_packs, tokens, processed, costs)


def compare(few: Samples, many: Samples, cost: CostModel) -> dict[int, dict[str, Outcome]]:
    """For each number of ranks: what each method makes of 3 questions a document, and ours of 8 as well."""
    return {
        ranks: {
            "(a) one sample a row, padded": one_a_row(few, cost, ranks, padded=True),
            "(a) the same, not padded": one_a_row(few, cost, ranks, padded=False),
            "(b) best-fit packs, random order": best_fit_in_random_order(few, cost, ranks),
            "(c) ours, nothing shared": planned(plan_of(few.parts(1), cost, ranks)),
            "(d) ours, 3 questions share": planned(plan_of(few.parts(3), cost, ranks)),
            "(d) ours, 8 questions share": planned(plan_of(many.parts(8), cost, ranks)),
        }
        for ranks in RANKS
    }


def print_comparison(outcomes: dict[int, dict[str, Outcome]], num_questions: int) -> None:
    print(
        "| ranks | method | tokens a question | PFLOPs a question | fill | rank balance | time a question, (a) = 1 |"
    )
    print("|---:|---|---:|---:|---:|---:|---:|")
    for ranks, methods in outcomes.items():
        slowest = {name: outcome.costs.max(axis=1).sum() for name, outcome in methods.items()}
        first = next(iter(slowest.values()))
        for name, outcome in methods.items():
            print(
                f"| {ranks} | {name} | {outcome.processed / num_questions:,.0f} "
                f"| {outcome.costs.sum() / num_questions / 1e15:.2f} | {outcome.tokens / outcome.num_rows / MAX_LENGTH:.1%} "
                f"| {rank_balance(outcome.costs):.1%} | {slowest[name] / first:.3f} |"
            )


def print_filling(parts: Parts, cost: CostModel) -> None:
    """With short samples in the room that packs have left: as many of them as would fill it to the last token."""
    bare = plan_of(parts, cost, RANKS[0])
    room = bare.num_packs * MAX_LENGTH - sum(bare.lengths)
    count = room // (sum(FILL_TOKENS) // 2)
    lengths = np.random.RandomState(0).randint(*FILL_TOKENS, size=count)
    documents = lengths - QUESTION_TOKENS[0]
    short = Samples(lengths, np.arange(count), documents, 4 * documents).parts(1)
    print("\n| ranks | short samples offered | trained | fill | rank balance | time of an epoch | of a token |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for ranks in RANKS:
        plans = plan_of(parts, cost, ranks), plan_of(parts.followed_by(short), cost, ranks, num_fill=count)
        outcomes = [planned(plan) for plan in plans]
        times = [outcome.costs.max(axis=1).sum() for outcome in outcomes]
        for plan, outcome, time in zip(plans, outcomes, times, strict=True):
            trained = sum(part >= plan.num_main for pack in plan.packs(0) for part in pack)
            print(
                f"| {ranks} | {plan.num_fill:,} | {trained:,} | {plan.fill:.1%} | {rank_balance(outcome.costs):.1%} "
                f"| {time / times[0]:.2f} | {time / outcome.tokens / (times[0] / outcomes[0].tokens):.2f} |"
            )


def step_means(plan: PackingPlan) -> tuple[np.ndarray, np.ndarray]:
    """Mean length of the parts in each step: of the plan, and of as many parts a step in shuffled order."""
    lengths, packs = np.asarray(plan.lengths), plan.packs(0)
    steps = [
        [part for pack in packs[start : start + plan.packs_per_step] for part in pack]
        for start in range(0, len(packs) - plan.packs_per_step + 1, plan.packs_per_step)
    ]
    shuffled = np.random.RandomState(0).permutation(lengths)
    ends = np.cumsum([len(step) for step in steps])
    return (
        np.array([lengths[step].mean() for step in steps]),
        np.array([step.mean() for step in np.split(shuffled, ends)[: len(steps)]]),
    )


def print_windows(parts: Parts, cost: CostModel) -> None:
    print("\n| packs in a step | order of packs | rank balance | standard deviation of a step's mean part length |")
    print("|---:|---|---:|---:|")
    for ranks in RANKS:
        for window in (1, 4, WINDOW):
            plan = plan_of(parts, cost, ranks, window=window)
            own, shuffled = step_means(plan)
            if window == 1:
                print(f"| {ranks} | (parts shuffled, not packed) | | {shuffled.std():,.0f} |")
            print(
                f"| {ranks} | balance_window {window} | {rank_balance(planned(plan).costs):.1%} | {own.std():,.0f} |"
            )


def draw(outcomes: dict[int, dict[str, Outcome]], num_questions: int, path: Path) -> None:
    figure = Figure(figsize=(12, 4.2), layout="constrained", dpi=150)
    names = list(outcomes[RANKS[0]])
    panels = {
        "thousand tokens processed a question": ("{:.1f}", lambda outcome: outcome.processed / num_questions / 1e3),
        "PFLOPs a question": ("{:.2f}", lambda outcome: outcome.costs.sum() / num_questions / 1e15),
        "rank balance (mean over slowest), %": ("{:.1f}", lambda outcome: 100 * rank_balance(outcome.costs)),
    }
    for axes, (title, (style, measure)) in zip(figure.subplots(1, 3, sharey=True), panels.items(), strict=True):
        for ranks, offset, color in zip(RANKS, (-0.2, 0.2), ("#4c78a8", "#f58518"), strict=True):
            values = [measure(outcomes[ranks][name]) for name in names]
            bars = axes.barh(np.arange(len(names)) + offset, values, height=0.38, color=color, label=f"{ranks} ranks")
            axes.bar_label(bars, [style.format(value) for value in values], padding=3, fontsize=8)
        axes.set_title(title, fontsize=10)
        axes.margins(x=0.16)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()  # shared: the first method on top
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=59_055)
    parser.add_argument("--figure", type=Path, default=Path("outputs/plan_simulation.png"))
    args = parser.parse_args()
    num_questions = 3 * args.documents
    few, many = (questions_on(args.documents, num_questions, per_document) for per_document in (3, 8))
    page = int(np.median(paper_samples(args.documents, seed=0).page_patches))
    cost = CostModel.of(QWEN2_5_VL_7B, patches_per_image=page)
    outcomes = compare(few, many, cost)
    print_comparison(outcomes, num_questions)
    print_filling(few.parts(3), cost)
    print_windows(few.parts(3), cost)
    draw(outcomes, num_questions, args.figure)


if __name__ == "__main__":
    main()
