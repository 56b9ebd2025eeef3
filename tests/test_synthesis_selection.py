"""The mixture over all documents: shares, lengths, size, and that nothing is lost."""

import random
from collections import Counter

import numpy as np
import pytest

from mmprolong_hf.synthesis.mixture import MixtureOptions, choose_questions, depth_of
from mmprolong_hf.synthesis.questions import Candidate
from mmprolong_hf.synthesis.schema import Question
from mmprolong_hf.synthesis.selection import COLUMNS, select_samples

TASKS = ("extract-single", "extract-multi", "reasoning")
LENGTHS = {"32K-64K": 0.5, "64K-128K": 0.5}


def rows(num_documents, *, tasks=(4, 4, 4), tokens=lambda rng: rng.randrange(33_000, 126_000), absent=0, seed=0):
    """Questions of documents, `tasks` of each task; the last `absent` of each task have no answer."""
    rng, table = random.Random(seed), []
    for document in range(num_documents):
        length = tokens(rng)
        for task, count in zip(TASKS, tasks):
            for number in range(count):
                template = f"kind{rng.randrange(3)}" + "-absent" * (number >= count - absent)
                cells = (
                    f"{document:08x}",
                    f"{task} {number}?",
                    task,
                    template,
                    rng.randrange(10),
                    length + number,
                    40,
                )
                table.append(dict(zip(COLUMNS, cells)))
    return table


def columns(table):
    return {name: [row[name] for row in table] for name in COLUMNS}


def run(table, seed=0, **options):
    selection = select_samples(columns(table), MixtureOptions(**options), seed)
    reasons = selection.reasons
    assert len(reasons) == len(table)
    assert [index for index, reason in enumerate(reasons) if not reason] == selection.indices.tolist()
    assert selection.left_out.total() + len(selection.indices) == len(table)  # nothing is lost
    return [table[index] for index in selection.indices], selection


def count(chosen, name="task"):
    return Counter(row[name] for row in chosen)


@pytest.mark.parametrize("seed", range(25))
def test_one_document_without_a_budget_is_mixed_as_choose_questions_mixes_it(seed):
    rng = random.Random(seed)
    pool = [
        Candidate(
            Question(f"q{k}?", "a", rng.choice(TASKS), "String", (rng.randint(1, 40),), ("Text",), template=rng.choice("abc")),
            (),
            (),
        )
        for k in range(rng.randint(1, 60))
    ]  # fmt: skip
    table = [
        dict(zip(COLUMNS, ("doc", q.question, q.task, q.template, depth_of(q.evidence_pages[0], 40), 900, 40)))
        for q in (c.question for c in pool)
    ]
    most = rng.randint(1, 20)
    chosen, _ = run(table, seed=7, questions_per_document=most)
    expected = choose_questions(pool, most, 40, seed="7 doc")
    assert {row["question"] for row in chosen} == {c.question.question for c in expected}


def test_shares_are_exact_where_the_supply_allows():
    chosen, selection = run(rows(300), token_budget=40_000_000)
    total = len(chosen)
    assert total > 400
    for task, share in MixtureOptions().shares.items():
        assert abs(count(chosen)[task] - share * total) <= 1
    assert selection.achieved["shortfall"] == {}
    assert 40_000_000 - 131_072 < selection.achieved["tokens"] <= 40_000_000
    assert set(selection.left_out) == {"token_budget"}


def test_the_places_of_few_documents_are_kept_for_the_rare_task():
    # half of the documents have reasoning; all their places are needed for it
    table = [row for row in rows(40, tasks=(8, 0, 8)) if row["task"] != "reasoning" or int(row["document"], 16) % 2]
    chosen, selection = run(table, shares={"extract-single": 0.5, "reasoning": 0.5}, questions_per_document=4)
    assert count(chosen) == {"extract-single": 80, "reasoning": 80}
    assert selection.achieved["shortfall"] == {}
    greedy = Counter()  # what each document by itself would give
    for document in {row["document"] for row in table}:
        tasks = {row["task"] for row in table if row["document"] == document}
        greedy.update({task: 4 // len(tasks) for task in tasks})
    assert greedy == {"extract-single": 120, "reasoning": 40}


def test_what_is_missing_is_reported_and_goes_to_the_others():
    chosen, selection = run(rows(50, tasks=(10, 10, 0)))
    assert count(chosen) == {"extract-single": 400, "extract-multi": 400}
    assert selection.achieved["shortfall"] == {"reasoning": 160}
    assert selection.achieved["tasks"]["reasoning"] == {"samples": 0, "tokens": 0, "share": 0.0, "wanted": 0.2}


def test_samples_come_from_as_many_documents_as_possible():
    chosen, _ = run(rows(100, tokens=lambda rng: 50_000), token_budget=100 * 50_100)
    assert max(count(chosen, "document").values()) <= 2
    assert len(count(chosen, "document")) >= 95


@pytest.mark.parametrize("unit", ["samples", "tokens"])
def test_a_histogram_is_met(unit):
    def amount(chosen, test):
        return sum(row["tokens"] if unit == "tokens" else 1 for row in chosen if test(row))

    table = rows(400)
    for budget in (None, 30_000_000):
        chosen, selection = run(table, lengths=LENGTHS, share_unit=unit, token_budget=budget)
        total, half = amount(chosen, lambda row: True), amount(chosen, lambda row: row["tokens"] < 65_536)
        assert abs(half / total - 0.5) < 0.01
        for task, share in MixtureOptions().shares.items():
            assert abs(amount(chosen, lambda row, task=task: row["task"] == task) / total - share) < 0.01
        assert set(selection.achieved["shortfall"]) <= {"extract-multi"}
    pool, _ = run(table, share_unit=unit)
    assert amount(pool, lambda row: row["tokens"] < 65_536) / amount(pool, lambda row: True) < 0.45


def test_tasks_make_up_for_each_other_over_the_lengths():
    """Short documents ask for no reasoning, so the long ones ask for more; the shares hold all the same."""
    table = [row for row in rows(200) if row["task"] != "reasoning" or row["tokens"] >= 65_536]
    chosen, selection = run(table, lengths=LENGTHS, token_budget=12_000_000)
    total = len(chosen)
    assert abs(count(chosen)["reasoning"] - 0.2 * total) <= 2
    assert abs(sum(row["tokens"] < 65_536 for row in chosen) - 0.5 * total) <= 2
    assert selection.achieved["shortfall"] == {}


def test_a_range_without_samples_is_reported():
    table = rows(20, tokens=lambda rng: 40_000)
    chosen, selection = run(table, lengths=LENGTHS)
    assert len(chosen) > 0
    assert selection.achieved["shortfall"]["64K-128K"] == len(chosen) / 2


def test_the_order_of_the_rows_decides_nothing_and_the_seed_does():
    table = rows(60, absent=1)
    mixed = random.Random(1).sample(table, len(table))
    options = {"token_budget": 6_000_000, "lengths": LENGTHS}

    def names(table, seed):
        return {(row["document"], row["question"]) for row in run(table, seed=seed, **options)[0]}

    assert names(table, 0) == names(mixed, 0)
    assert names(table, 0) != names(table, 1)


def test_questions_without_an_answer_are_few():
    chosen, selection = run(rows(200, absent=2), token_budget=60_000_000, unanswerable_share=0.1)
    absent = [row for row in chosen if row["template"].endswith("-absent")]
    for task, number in count(chosen).items():
        assert abs(count(absent)[task] - 0.1 * number) <= 1
    # They never fill the place of those that have one: then the set is smaller.
    chosen, selection = run(rows(50, tasks=(4, 4, 4), absent=3), unanswerable_share=0.1)
    absent = [row for row in chosen if row["template"].endswith("-absent")]
    assert len(absent) <= 0.1 * len(chosen) + 3
    assert selection.left_out["unanswerable_share"] > 300
    assert run(rows(5, absent=1), unanswerable_share=0.0)[1].left_out["unanswerable_share"] == 15


def test_evidence_is_spread_over_all_documents():
    table = rows(1000, tasks=(6, 0, 0), tokens=lambda rng: 40_000)
    for row in table:  # most questions are about the beginning
        row["depth"] = min(row["depth"], random.Random(row["document"] + row["question"]).randrange(10))
    options = {"shares": {"extract-single": 1.0}, "token_budget": 1000 * 40_010}
    even = run(table, **options)[1].achieved["depths"]["extract-single"]
    free = run(table, balance_depth=False, **options)[1].achieved["depths"]["extract-single"]
    assert sum(even) == pytest.approx(sum(free), abs=2)
    assert min(even) > 5 * min(free)
    assert max(even) < 0.75 * max(free)


def test_each_limit_has_its_reason():
    table = rows(8)
    for row, change in zip(
        table,
        ({"tokens": 10}, {"tokens": 10**6}, {"pages": 1}, {"pages": 99}, {"task": "ocr-full"}, {"tokens": 20_000}),
    ):
        row.update(change)
    options = {"min_tokens": 1000, "max_tokens": 131_072, "min_pages": 32, "max_pages": 50, "lengths": LENGTHS}
    _, selection = run(table, **options)
    assert selection.reasons[:6] == (
        "too_few_tokens", "too_many_tokens", "too_few_pages", "too_many_pages", "task_not_wanted", "outside_lengths",
    )  # fmt: skip


def test_no_samples_at_all():
    selection = select_samples({name: [] for name in COLUMNS}, MixtureOptions(lengths=LENGTHS, share_unit="tokens"), 0)
    assert (selection.indices.tolist(), selection.achieved["samples"]) == ([], 0)


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="the table of samples has no column depth, pages"):
        select_samples({name: [] for name in COLUMNS if name not in ("depth", "pages")}, MixtureOptions(), 0)


def test_short_samples_leave_room():
    options = {"short_share": 0.25, "short_datasets": {"short": []}, "token_budget": 8_000_000}
    chosen, selection = run(rows(100), **options)
    assert 6_000_000 - 131_072 < sum(row["tokens"] for row in chosen) <= 6_000_000
    assert MixtureOptions(**options).short_budget(selection.achieved["tokens"]) == 2_000_000


def test_an_array_is_as_good_as_a_list():
    table = columns(rows(10))
    arrays = {name: np.asarray(values) for name, values in table.items()}
    options = MixtureOptions(token_budget=2_000_000)
    assert select_samples(arrays, options, 0).indices.tolist() == select_samples(table, options, 0).indices.tolist()
