import numpy as np
import pytest
from datasets import Dataset
from trl import pack_dataset

from mmprolong_hf.packing import fill_packs, pack_in_order, pack_samples

MAX_LENGTH = 1000
SEEDS = range(12)


def random_lengths(seed):
    """Seeds 0 to 3: 301 samples, of all lengths, no short ones, many to a pack, nearly all equal; then 40, then one."""
    shortest, longest = ((1, 1000), (300, 1000), (1, 60), (1, 12))[seed % 4]
    return np.random.default_rng(seed).integers(shortest, longest + 1, size=(301, 40, 1)[seed // 4]).tolist()


def loads(packs, lengths):
    return [sum(lengths[index] for index in pack) for pack in packs]


@pytest.mark.parametrize("pack", [pack_samples, pack_in_order])
@pytest.mark.parametrize("seed", SEEDS)
def test_every_sample_once_and_no_pack_overfull(seed, pack):
    lengths = random_lengths(seed)
    packs = pack(lengths, MAX_LENGTH)
    assert sorted(index for pack in packs for index in pack) == list(range(len(lengths)))
    assert 0 < min(loads(packs, lengths)) <= max(loads(packs, lengths)) <= MAX_LENGTH


@pytest.mark.parametrize("seed", SEEDS)
def test_loads_do_not_depend_on_the_order_of_equal_samples(seed):
    lengths = random_lengths(seed)
    expected = sorted(loads(pack_samples(lengths, MAX_LENGTH), lengths))
    for order in (np.arange(len(lengths))[::-1], np.random.default_rng(seed).permutation(len(lengths))):
        assert sorted(loads(pack_samples(lengths, MAX_LENGTH, order=order), lengths)) == expected


def test_order_decides_between_equal_samples():
    assert pack_samples([60, 60, 30], 100) == [[0], [1, 2]]
    assert pack_samples([60, 60, 30], 100, order=[2, 1, 0]) == [[1], [0, 2]]


@pytest.mark.parametrize("seed", SEEDS)
def test_loads_equal_trl_best_fit_decreasing(seed):
    lengths = random_lengths(seed)
    rows = Dataset.from_dict({"input_ids": [[0] * length for length in lengths]})
    packed = pack_dataset(rows, MAX_LENGTH, strategy="bfd", map_kwargs={"batch_size": len(lengths)})
    assert sorted(loads(pack_samples(lengths, MAX_LENGTH), lengths)) == sorted(map(sum, packed["seq_lengths"]))


def test_best_fit_beats_dataset_order():
    lengths = random_lengths(0)
    assert len(pack_samples(lengths, MAX_LENGTH)) < len(pack_in_order(lengths, MAX_LENGTH))


@pytest.mark.parametrize("seed", SEEDS)
def test_next_fit_keeps_the_order_and_opens_a_pack_only_where_it_must(seed):
    lengths = random_lengths(seed)
    packs = pack_in_order(lengths, MAX_LENGTH)
    assert [index for pack in packs for index in pack] == list(range(len(lengths)))
    for load, following in zip(loads(packs, lengths), packs[1:]):
        assert load + lengths[following[0]] > MAX_LENGTH


def fill_one_by_one(rooms, lengths, order):
    """The definition of best fit, each pack looked at for each sample: the rooms left in the end."""
    rooms = list(rooms)
    for index in order:
        if fitting := [room for room in rooms if room >= lengths[index]]:
            rooms[rooms.index(min(fitting))] -= lengths[index]
    return sorted(rooms)


@pytest.mark.parametrize("seed", SEEDS)
def test_filling_takes_what_fits_once_and_cuts_nothing(seed):
    random = np.random.default_rng(seed)
    rooms = random.integers(0, 300, size=50).tolist()
    lengths = random.integers(*((1, 60), (40, 200), (100, 400))[seed % 3], size=400).tolist()
    order = random.permutation(400).tolist()
    taken = fill_packs(rooms, lengths, order=order)
    assert len(taken) == len(rooms)
    used = [index for more in taken for index in more]
    left_out = set(range(400)) - set(used)
    assert len(used) == len(set(used)) == 400 - len(left_out)
    assert 0 < len(left_out) < 400
    left = [room - load for room, load in zip(rooms, loads(taken, lengths))]
    assert min(left) >= 0
    # Rooms only shrink: what fits in the end would have fitted when it was tried
    assert all(lengths[index] > max(left) for index in left_out)
    assert sorted(left) == fill_one_by_one(rooms, lengths, order)


def test_one_by_one_tells_best_fit_from_first_fit():
    """Guard: filling the first pack with room for it would be seen."""
    assert fill_one_by_one([30, 10], [10, 25], [0, 1]) == [0, 5]
    assert fill_packs([30, 10], [10, 25], order=[0, 1]) == [[1], [0]]  # first fit: [[0], []]


def test_the_order_of_filling_decides_what_is_left_out():
    assert fill_packs([10], [10, 9, 10], order=[0, 1, 2]) == [[0]]
    assert fill_packs([10], [10, 9, 10], order=[1, 2, 0]) == [[1]]


def test_nothing_to_pack():
    assert pack_samples([], MAX_LENGTH) == pack_in_order([], MAX_LENGTH) == []
    assert fill_packs([], [5], order=[0]) == []
    assert fill_packs([5, 0], [], order=[]) == [[], []]


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([5, 0], "sample 1 has 0 tokens, expected at least 1; remove it"),
        ([5, 9, 1001], "sample 2 has 1001 tokens, expected at most max_length=1000; see `overlong_documents`"),
    ],
)
def test_lengths_are_checked(lengths, message):
    with pytest.raises(ValueError, match=message):
        pack_samples(lengths, MAX_LENGTH)


def test_order_must_be_a_permutation():
    with pytest.raises(ValueError, match="order is not a permutation of the 3 samples, expected each index once"):
        pack_samples([1, 2, 3], MAX_LENGTH, order=[0, 0, 2])
