import dataclasses
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from datasets import Dataset
from trl import pack_dataset

from mmprolong_hf.packing import pack_samples
from mmprolong_hf.plan import PackingPlan

MAX_LENGTH = 1000
SEEDS = range(12)


def random_lengths(seed):
    """Seeds 0 to 3: 301 samples, of all lengths, no short ones, many to a pack, nearly all equal; then 40, then one."""
    shortest, longest = ((1, 1000), (300, 1000), (1, 60), (1, 12))[seed % 4]
    return np.random.default_rng(seed).integers(shortest, longest + 1, size=(301, 40, 1)[seed // 4]).tolist()


def problems(packs, lengths, max_length=MAX_LENGTH):
    """What is wrong with the packs of an epoch, as words; none for a sound plan."""
    counts = Counter(index for pack in packs for index in pack)
    found = []
    if set(counts) != set(range(len(lengths))):
        found.append("missing")
    if max(counts.values()) > 1:
        found.append("repeated")
    if any(sum(lengths[index] for index in pack) > max_length for pack in packs):
        found.append("overfull")
    if not all(packs):
        found.append("empty pack")
    return found


def loads(packs, lengths):
    return sorted(sum(lengths[index] for index in pack) for pack in packs)


@pytest.mark.parametrize("strategy", ["random", "sequential"])
@pytest.mark.parametrize("seed", SEEDS)
def test_every_sample_once_and_no_pack_overfull(seed, strategy):
    lengths = random_lengths(seed)
    plan = PackingPlan(lengths, MAX_LENGTH, seed=seed, strategy=strategy)
    for epoch in range(3):
        assert problems(plan.packs(epoch), lengths) == []
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


@pytest.mark.parametrize("seed", SEEDS)
def test_loads_do_not_depend_on_the_order_of_equal_samples(seed):
    lengths = random_lengths(seed)
    expected = loads(pack_samples(lengths, MAX_LENGTH), lengths)
    for order in (np.arange(len(lengths))[::-1], np.random.default_rng(seed).permutation(len(lengths))):
        assert loads(pack_samples(lengths, MAX_LENGTH, order=order), lengths) == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_loads_equal_trl_best_fit_decreasing(seed):
    lengths = random_lengths(seed)
    rows = Dataset.from_dict({"input_ids": [[0] * length for length in lengths]})
    packed = pack_dataset(rows, MAX_LENGTH, strategy="bfd", map_kwargs={"batch_size": len(lengths)})
    assert loads(pack_samples(lengths, MAX_LENGTH), lengths) == sorted(map(sum, packed["seq_lengths"]))


def test_best_fit_beats_dataset_order():
    lengths = random_lengths(0)
    assert (
        PackingPlan(lengths, MAX_LENGTH, seed=0).num_packs
        < PackingPlan(lengths, MAX_LENGTH, seed=0, strategy="sequential").num_packs
    )


def test_same_fields_same_plan_other_epoch_other_plan():
    lengths = [300, 300, 300, 300, 700, 700, 500, 500, 200, 100] * 5
    plan = PackingPlan(lengths, MAX_LENGTH, seed=3)
    assert plan == PackingPlan(np.array(lengths), MAX_LENGTH, seed=3)
    assert plan.packs(1) == PackingPlan(np.array(lengths), MAX_LENGTH, seed=3).packs(1)
    epochs = [plan.packs(epoch) for epoch in range(4)]
    members = [{frozenset(pack) for pack in packs} for packs in epochs]
    for other in range(1, 4):
        assert epochs[0] != epochs[other]
        assert members[0] != members[other]  # not the order of packs alone: equal samples changed places
        assert len(epochs[0]) == len(epochs[other]) == plan.num_packs
    assert epochs[0] != dataclasses.replace(plan, seed=4).packs(0)


def test_the_plan_of_a_seed_is_fixed():
    """A literal: a change here makes runs that are under way resume on other samples."""
    plan = PackingPlan([300, 300, 700, 500, 500, 200], MAX_LENGTH, seed=11)
    assert [plan.packs(0), plan.packs(1)] == [[[4, 3], [2, 1], [0, 5]], [[2, 0], [3, 4], [1, 5]]]


@pytest.mark.parametrize("seed", SEEDS)
def test_sequential_keeps_the_order_of_the_dataset(seed):
    lengths = random_lengths(seed)
    plan = PackingPlan(lengths, MAX_LENGTH, seed=0, strategy="sequential")
    packs = plan.packs(0)
    assert packs == plan.packs(1)
    assert [index for pack in packs for index in pack] == list(range(len(lengths)))
    for pack, following in pairwise(packs):
        assert sum(lengths[i] for i in pack) + lengths[following[0]] > MAX_LENGTH


@pytest.mark.parametrize(("world_size", "packs_per_step"), [(1, 1), (1, 4), (2, 2), (2, 8), (3, 6), (4, 4)])
@pytest.mark.parametrize("seed", SEEDS)
def test_ranks_together_run_the_plan(seed, world_size, packs_per_step):
    lengths = random_lengths(seed)
    plan = PackingPlan(lengths, MAX_LENGTH, seed=seed, world_size=world_size, packs_per_step=packs_per_step)
    ranks = [plan.rank_packs(1, rank) for rank in range(world_size)]
    assert {len(packs) for packs in ranks} == {plan.micro_steps_per_epoch}
    dealt = [packs[micro_step] for micro_step in range(plan.micro_steps_per_epoch) for packs in ranks]
    fillers = [pack for pack in dealt if pack[0] < 0]
    trained = [pack for pack in dealt if pack[0] >= 0]
    for start in range(0, plan.num_packs, packs_per_step):
        step = slice(start, start + packs_per_step)
        assert sorted(trained[step]) == sorted(plan.packs(1)[step])
    assert len(trained) == plan.num_packs

    assert len(fillers) < world_size
    assert plan.steps_per_epoch == -(-len(dealt) // packs_per_step)
    for filler in fillers:
        assert all(entry < 0 for entry in filler)
        source = [~entry for entry in filler]
        assert source in plan.packs(1)
        assert sum(lengths[index] for index in source) == loads(plan.packs(1), lengths)[0]


def test_fillers_train_nothing_twice():
    """Guard: were fillers written as plain indices, the epoch would hold samples twice and the check would see it."""
    lengths = random_lengths(1)
    world_size = PackingPlan(lengths, MAX_LENGTH, seed=0).num_packs - 1
    plan = PackingPlan(lengths, MAX_LENGTH, seed=0, world_size=world_size, packs_per_step=world_size)
    packs = [pack for rank in range(world_size) for pack in plan.rank_packs(0, rank)]
    assert problems([pack for pack in packs if pack[0] >= 0], lengths) == []
    as_samples = [[max(entry, ~entry) for entry in pack] for pack in packs]
    assert problems(as_samples, lengths) == ["repeated"]


@pytest.mark.parametrize("strategy", ["random", "sequential"])
def test_a_step_has_the_same_packs_for_every_world_size(strategy):
    lengths = random_lengths(0)

    def steps(world_size):
        plan = PackingPlan(lengths, MAX_LENGTH, 7, world_size, packs_per_step=8, strategy=strategy)
        per_rank = 8 // world_size
        ranks = [plan.rank_packs(2, rank) for rank in range(world_size)]
        return [
            sorted(pack for packs in ranks for pack in packs[step * per_rank : (step + 1) * per_rank] if pack[0] >= 0)
            for step in range(plan.steps_per_epoch)
        ]

    assert len(steps(1)) > 3
    assert steps(1) == steps(2) == steps(4) == steps(8)


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_resume_from_every_micro_step_equals_the_tail(world_size):
    plan = PackingPlan(random_lengths(1), MAX_LENGTH, seed=1, world_size=world_size, packs_per_step=4)
    for rank in range(world_size):
        whole = plan.rank_packs(1, rank)
        for start in range(plan.micro_steps_per_epoch + 1):
            assert plan.rank_packs(1, rank, start) == whole[start:]


def test_nothing_to_pack():
    assert pack_samples([], MAX_LENGTH) == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lengths": []}, "lengths has 0 parts, 0 of them to fill with, expected at least one more"),
        ({"lengths": [5, 0]}, "sample 1 has 0 tokens, expected at least 1"),
        (
            {"lengths": [5, 9, 1001]},
            "sample 2 has 1001 tokens, expected at most max_length=1000; see `overlong_documents`",
        ),
        ({"strategy": "bfd"}, "strategy is 'bfd', expected one of random, sequential"),
        ({"world_size": 3, "packs_per_step": 8}, "packs_per_step is 8 with 3 ranks, expected a positive multiple"),
        ({"packs_per_step": 0}, "packs_per_step is 0 with 1 ranks"),
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


def test_order_must_be_a_permutation():
    with pytest.raises(ValueError, match="order is not a permutation of the 3 samples"):
        pack_samples([1, 2, 3], MAX_LENGTH, order=[0, 0, 2])
