import dataclasses
from collections import Counter

import numpy as np
import pytest
from test_packing import MAX_LENGTH, SEEDS, loads, random_lengths

from mmprolong_hf.packing import pack_in_order
from mmprolong_hf.plan import PackingPlan

NUM_FILL = 400


def filled_plan(seed, **changes):
    """A plan with all that a recipe can ask for: parts to fill with, costs that are no lengths, a window; 155 packs or so."""
    random = np.random.default_rng(seed)
    lengths = [*random.integers(400, 1000, size=180), *random.integers(20, 300, size=NUM_FILL)]
    fields = {"costs": np.square(lengths), "num_fill": NUM_FILL, "balance_window": 4, "packs_per_step": 8}
    return PackingPlan(lengths, MAX_LENGTH, seed=seed, **fields | changes)


def problems(packs, lengths, num_fill=0):
    """What is wrong with the packs of an epoch, as words; none for a sound plan."""
    counts = Counter(index for pack in packs for index in pack)
    checks = {
        "missing": not set(range(len(lengths) - num_fill)) <= set(counts) <= set(range(len(lengths))),
        "repeated": max(counts.values()) > 1,
        "overfull": max(loads(packs, lengths)) > MAX_LENGTH,
        "empty pack": not all(packs),
    }
    return [name for name, wrong in checks.items() if wrong]


def trained(plan, epoch, first_step=0):
    """The packs of each step from the first on, as all ranks run them; fillers left out."""
    per_rank = plan.packs_per_step // plan.world_size
    ranks = [plan.rank_packs(epoch, rank, start=first_step * per_rank) for rank in range(plan.world_size)]
    return [
        sorted(pack for packs in ranks for pack in packs[step : step + per_rank] if pack[0] >= 0)
        for step in range(0, len(ranks[0]), per_rank)
    ]


@pytest.mark.parametrize("strategy", ["random", "sequential"])
@pytest.mark.parametrize("seed", SEEDS)
def test_every_part_once_and_no_pack_overfull(seed, strategy):
    lengths = random_lengths(seed)
    plan = PackingPlan(lengths, MAX_LENGTH, seed=seed, strategy=strategy, balance_window=1 + seed)
    for epoch in range(3):
        assert problems(plan.packs(epoch), lengths) == []
        assert len(plan.packs(epoch)) == plan.num_packs
    assert plan.fill == sum(lengths) / (len(plan.packs(0)) * MAX_LENGTH)


def test_a_broken_plan_is_seen():
    """Guard: the check above finds each way in which a plan can be wrong."""
    lengths = random_lengths(0)
    sound = PackingPlan(lengths, MAX_LENGTH, seed=0).packs(0)
    assert len(sound) > 2
    assert problems(sound[1:], lengths) == ["missing"]
    assert problems([*sound, sound[0]], lengths) == ["repeated"]
    assert problems([sound[0] + sound[1], *sound[2:]], lengths) == ["overfull"]
    assert problems([*sound, []], lengths) == ["empty pack"]
    first, *rest = sound
    assert problems([[*first[:-1], rest[0][0]], *rest], lengths) == ["missing", "repeated"]


@pytest.mark.parametrize("strategy", ["random", "sequential"])
@pytest.mark.parametrize("seed", range(4))
def test_parts_to_fill_with_take_room_and_nothing_else(seed, strategy):
    plan = filled_plan(seed, strategy=strategy)
    bare = PackingPlan(plan.lengths[: plan.num_main], MAX_LENGTH, seed=seed, strategy=strategy)
    used = []
    for epoch in range(4):
        packs = plan.packs(epoch)
        assert problems(packs, plan.lengths, NUM_FILL) == []
        main = [tuple(part for part in pack if part < plan.num_main) for pack in packs]
        assert sorted(main) == sorted(map(tuple, bare.packs(epoch)))  # no pack more, and the same ones
        used.append({part for pack in packs for part in pack} - set(range(plan.num_main)))
        room = max(MAX_LENGTH - load for load in loads(packs, plan.lengths))
        left_out = set(range(plan.num_main, len(plan.lengths))) - used[-1]
        assert left_out
        assert min(plan.lengths[part] for part in left_out) > room
    assert len(set(map(frozenset, used))) == 4
    assert plan.fill > bare.fill + 0.05


def test_same_fields_same_plan_other_epoch_other_plan():
    lengths = [300, 300, 300, 300, 700, 700, 500, 500, 200, 100] * 5
    plan = PackingPlan(lengths, MAX_LENGTH, seed=3)
    assert plan == PackingPlan(np.array(lengths), MAX_LENGTH, seed=3)
    assert plan.packs(1) == PackingPlan(np.array(lengths), MAX_LENGTH, seed=3).packs(1)
    epochs = [plan.packs(epoch) for epoch in range(4)]
    members = [set(map(frozenset, packs)) for packs in epochs]
    for other in range(1, 4):
        assert epochs[0] != epochs[other]
        assert members[0] != members[other]  # not the order of packs alone: equal parts changed places
    assert epochs[0] != dataclasses.replace(plan, seed=4).packs(0)


def test_the_plan_of_a_seed_is_fixed():
    """Literals: a change here makes runs that are under way resume on other samples."""
    plan = PackingPlan([300, 300, 700, 500, 500, 200], MAX_LENGTH, seed=11)
    assert [plan.packs(0), plan.packs(1)] == [[[4, 3], [2, 1], [0, 5]], [[2, 0], [3, 4], [1, 5]]]
    plan = PackingPlan(
        [600, 800, 700, 900, 750, 100, 200, 300, 250], MAX_LENGTH, seed=11, world_size=2, packs_per_step=2,
        costs=[6, 8, 7, 9, 7.5, 1, 2, 3, 2.5], num_fill=4, balance_window=2,
    )  # fmt: skip
    assert plan.packs(0) == [[1, 6], [0], [2, 7], [3, 5], [4, 8]]
    assert plan.rank_packs(0, rank=0) == [[1, 6], [2, 7], [4, 8]]
    assert plan.rank_packs(0, rank=1) == [[0], [3, 5], [~0]]


@pytest.mark.parametrize("seed", range(4))
def test_costs_are_rounded_to_whole_numbers(seed):
    """Their sums are then the same on every machine, in whatever order they are added."""
    plan = filled_plan(seed)
    noise = np.random.default_rng(seed).uniform(-0.49, 0.49, size=len(plan.costs))
    noisy = filled_plan(seed, costs=plan.costs + noise)
    assert noisy == plan
    assert noisy.micro_steps(1) == plan.micro_steps(1)
    assert filled_plan(seed, costs=None).costs == plan.lengths
    assert filled_plan(seed, costs=None).packs(0) != plan.packs(0)  # guard: costs do decide something


@pytest.mark.parametrize("seed", SEEDS)
def test_sequential_keeps_the_order_of_the_dataset(seed):
    plan = PackingPlan(random_lengths(seed), MAX_LENGTH, seed=0, strategy="sequential", balance_window=16)
    assert plan.packs(0) == plan.packs(1) == pack_in_order(plan.lengths, MAX_LENGTH)


@pytest.mark.parametrize(("world_size", "packs_per_step"), [(1, 1), (1, 4), (2, 2), (2, 8), (3, 6), (4, 4)])
@pytest.mark.parametrize("seed", SEEDS)
def test_ranks_together_run_the_plan(seed, world_size, packs_per_step):
    plan = PackingPlan(random_lengths(seed), MAX_LENGTH, seed, world_size, packs_per_step, balance_window=1 + seed % 3)
    ranks = [plan.rank_packs(1, rank) for rank in range(world_size)]
    assert {len(packs) for packs in ranks} == {plan.micro_steps_per_epoch}
    assert plan.micro_steps(1) == [list(packs) for packs in zip(*ranks)]
    packs = plan.packs(1)
    steps = [packs[i : i + packs_per_step] for i in range(0, len(packs), packs_per_step)]
    assert trained(plan, 1) == [sorted(step) for step in steps]
    assert len(steps) == plan.steps_per_epoch
    fillers = [pack for packs in ranks for pack in packs if pack[0] < 0]
    assert len(fillers) == -plan.num_packs % world_size
    for filler in fillers:
        source = [~entry for entry in filler]
        assert min(source) >= 0
        assert source in packs


def test_ranks_have_packs_of_like_cost_at_a_time():
    plan = filled_plan(0, world_size=4)
    costs = [plan.pack_costs(packs) for packs in plan.micro_steps(0)]
    for first, second in zip(costs[::2], costs[1::2]):  # the two micro-steps of a step
        assert first.min() >= second.max()


def test_fillers_copy_the_cheapest_pack_and_cost_what_it_costs():
    lengths, costs = [900, 800, 700], [1, 3, 2]  # the longest is the cheapest
    plan = PackingPlan(lengths, MAX_LENGTH, 0, world_size=2, packs_per_step=2, costs=costs)
    assert [pack for packs in plan.micro_steps(0) for pack in packs if pack[0] < 0] == [[~0]]
    assert plan.pack_costs([[~0], [1, 2]]).tolist() == [1, 5]
    assert plan.pack_tokens([[~0], [1, 2]]).tolist() == [900, 1500]


def test_fillers_train_nothing_twice():
    """Guard: were fillers written as plain indices, the epoch would hold parts twice and the check would see it."""
    lengths = random_lengths(1)
    world_size = PackingPlan(lengths, MAX_LENGTH, seed=0).num_packs - 1
    plan = PackingPlan(lengths, MAX_LENGTH, seed=0, world_size=world_size, packs_per_step=world_size)
    packs = [pack for rank in range(world_size) for pack in plan.rank_packs(0, rank)]
    assert problems([pack for pack in packs if pack[0] >= 0], lengths) == []
    as_parts = [[max(entry, ~entry) for entry in pack] for pack in packs]
    assert problems(as_parts, lengths) == ["repeated"]


@pytest.mark.parametrize("strategy", ["random", "sequential"])
def test_a_step_has_the_same_packs_for_every_world_size(strategy):
    one, *more = [trained(filled_plan(7, world_size=size, strategy=strategy), epoch=2) for size in (1, 2, 4, 8)]
    assert len(one) > 10
    assert more == [one, one, one]


@pytest.mark.parametrize(("before", "after"), [(1, 8), (8, 1), (2, 4), (8, 2)])
def test_resumed_on_other_ranks_an_epoch_loses_nothing_and_repeats_nothing(before, after):
    first, second = filled_plan(3, world_size=before), filled_plan(3, world_size=after)
    assert first.num_packs % 8  # so the last step is short, and 8 ranks need fillers
    assert any(pack[0] < 0 for packs in filled_plan(3, world_size=8).micro_steps(1) for pack in packs)
    for step in range(first.steps_per_epoch):
        steps = trained(first, 1)[:step] + trained(second, 1, first_step=step)
        assert steps == trained(first, 1)
        assert problems([pack for packs in steps for pack in packs], first.lengths, NUM_FILL) == []


def test_resumed_by_micro_steps_an_epoch_would_repeat_parts():
    """Guard: what the ranks before counted are no micro-steps of the ranks after; the check above would see it."""
    first, second = filled_plan(3, world_size=8), filled_plan(3, world_size=2)
    done, left = (
        [p for packs in plan.micro_steps(1)[run] for p in packs if p[0] >= 0]
        for plan, run in ((first, slice(6)), (second, slice(6, None)))
    )
    assert problems(done + left, first.lengths, NUM_FILL) == ["repeated"]


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_resume_from_every_micro_step_equals_the_tail(world_size):
    plan = PackingPlan(random_lengths(1), MAX_LENGTH, seed=1, world_size=world_size, packs_per_step=4)
    for rank in range(world_size):
        whole = plan.rank_packs(1, rank)
        for start in range(plan.micro_steps_per_epoch + 1):
            assert plan.rank_packs(1, rank, start) == whole[start:]


def test_a_plan_does_not_follow_its_arguments():
    """A plan is looked up by its fields: a caller that changes its array must not change a plan under way."""
    lengths = np.array(random_lengths(0))
    plan = PackingPlan(lengths, MAX_LENGTH, seed=0)
    packs = plan.packs(0)
    lengths[:] = 1
    assert plan.packs(0) == packs
    assert hash(plan) == hash(PackingPlan(random_lengths(0), MAX_LENGTH, seed=0))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lengths": []}, "lengths has 0 parts, 0 of them to fill with, expected at least one more"),
        ({"num_fill": 1}, "lengths has 1 parts, 1 of them to fill with, expected at least one more; was every doc"),
        (
            {"num_fill": -1},
            "there are 1 lengths, 1 costs, num_fill=-1 .* expected a cost for each length, no negative",
        ),
        ({"costs": [1, 2]}, "there are 1 lengths, 2 costs, num_fill=0 .* expected a cost for each length"),
        ({"balance_window": 0}, "num_fill=0 and balance_window=0; expected .* a window of at least 1"),
        ({"lengths": [5, 9, 1001]}, "sample 2 has 1001 tokens, expected at most max_length=1000"),
        ({"strategy": "bfd"}, "strategy is 'bfd', expected one of random, sequential"),
        ({"world_size": 3, "packs_per_step": 8}, "packs_per_step is 8 with 3 ranks, expected a positive multiple"),
        ({"packs_per_step": 0}, "packs_per_step is 0 with 1 ranks"),
        ({"world_size": 0}, "packs_per_step is 1 with 0 ranks"),
    ],
)
def test_fields_are_checked(fields, message):
    with pytest.raises(ValueError, match=message):
        PackingPlan(**{"lengths": [5], "max_length": MAX_LENGTH, "seed": 0} | fields)


def test_a_place_outside_the_plan_is_refused():
    plan = PackingPlan([5, 900], MAX_LENGTH, seed=0, world_size=2, packs_per_step=2)
    with pytest.raises(ValueError, match="rank is 2, expected 0 to 1"):
        plan.rank_packs(0, rank=2)
    with pytest.raises(ValueError, match="start is 4, expected 0 to the 1 micro-steps"):
        plan.rank_packs(0, rank=0, start=4)
