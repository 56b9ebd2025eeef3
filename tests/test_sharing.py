import numpy as np
import pytest

from mmprolong_hf.sharing import Parts, share_prefixes

SEEDS = range(8)
MAX_LENGTH = 120


def random_samples(seed):
    """Documents of 0 to 90 tokens with up to 12 questions, in mixed order: lengths, prefixes, prefix lengths, patches."""
    random = np.random.default_rng(seed)
    documents = random.integers(0, 91, size=20)
    prefixes = random.permutation(np.repeat(np.arange(20), random.integers(1, 13, size=20)))
    prefix_lengths = documents[prefixes]
    return prefix_lengths + random.integers(1, 30, size=len(prefixes)), prefixes, prefix_lengths, 4 * prefix_lengths


def count_pairs(document, branches, siblings_seen=False):
    """The mask itself: a token sees what is before it, if that is the document's or of its own branch."""
    owner = np.repeat(np.arange(len(branches) + 1), [document, *branches])
    mask = (owner[None] == 0) | (owner[None] == owner[:, None]) | siblings_seen
    return int(np.tril(mask).sum())


def branches_of(parts, index, samples):
    lengths, _, prefix_lengths, _ = samples
    own = parts[index]
    return prefix_lengths[own[0]], lengths[own] - prefix_lengths[own]


@pytest.mark.parametrize("max_questions", [1, 3, 16])
@pytest.mark.parametrize("seed", SEEDS)
def test_every_sample_once_and_no_part_too_large(seed, max_questions):
    samples = random_samples(seed)
    parts = share_prefixes(*samples, max_length=MAX_LENGTH, max_questions=max_questions, seed=seed)
    assert sorted(parts.samples) == list(range(len(samples[0])))
    assert [index for part in range(len(parts)) for index in parts[part]] == parts.samples.tolist()
    assert parts.lengths.max() <= MAX_LENGTH
    assert 1 <= parts.num_samples.min() <= parts.num_samples.max() <= max_questions
    assert all(len(set(samples[1][parts[part]])) == 1 for part in range(len(parts)))


@pytest.mark.parametrize("max_questions", [1, 3, 16])
@pytest.mark.parametrize("seed", SEEDS)
def test_tokens_pairs_and_patches_are_those_of_the_mask(seed, max_questions):
    samples = random_samples(seed)
    parts = share_prefixes(*samples, max_length=MAX_LENGTH, max_questions=max_questions, seed=seed)
    for part in range(len(parts)):
        document, branches = branches_of(parts, part, samples)
        assert parts.lengths[part] == document + branches.sum()
        assert parts.pairs[part] == count_pairs(document, branches)
        assert parts.patches[part] == samples[3][parts[part][0]]


def test_a_mask_that_shows_siblings_has_other_pairs():
    """Guard: the count above depends on what a branch may see."""
    parts = share_prefixes([60, 70], [0, 0], [50, 50], max_length=MAX_LENGTH, max_questions=2, seed=0)
    assert parts.pairs[0] == count_pairs(50, [10, 20]) == count_pairs(50, [20, 10])
    assert count_pairs(50, [10, 20], siblings_seen=True) == 80 * 81 // 2 == parts.pairs[0] + 10 * 20


@pytest.mark.parametrize("max_questions", [3, 16])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_document_is_split_only_where_its_questions_do_not_fit(seed, max_questions):
    samples = random_samples(seed)
    parts = share_prefixes(*samples, max_length=MAX_LENGTH, max_questions=max_questions, seed=seed)
    prefixes = [samples[1][parts[part][0]] for part in range(len(parts))]
    assert prefixes == sorted(prefixes)
    splits = [part for part in range(1, len(parts)) if prefixes[part] == prefixes[part - 1]]
    assert len(splits) > 3
    for part in splits:
        full = parts.num_samples[part - 1] == max_questions
        assert full or parts.lengths[part - 1] + branches_of(parts, part, samples)[1][0] > MAX_LENGTH


def test_questions_that_do_not_fit_begin_another_part():
    samples = [80, 90, 70, 60], [7, 7, 7, 7], [50] * 4
    parts = share_prefixes(*samples, max_length=100, max_questions=8, seed=3)
    assert [parts[i] for i in range(len(parts))] == [[3, 1], [0, 2]]
    assert parts.lengths.tolist() == [100, 100]


def test_one_question_a_part_is_the_plain_samples_in_their_order():
    lengths, prefixes, prefix_lengths, patches = random_samples(0)
    prefixes, prefix_lengths = np.sort(prefixes), np.zeros_like(prefix_lengths)
    parts = share_prefixes(lengths, prefixes, prefix_lengths, patches, max_length=MAX_LENGTH, max_questions=1, seed=5)
    assert parts.samples.tolist() == list(range(len(lengths)))
    assert parts.lengths.tolist() == lengths.tolist()
    assert parts.pairs.tolist() == (lengths * (lengths + 1) // 2).tolist()


def test_the_seed_decides_the_order_of_questions():
    samples = [60 + i for i in range(8)], [0] * 8, [50] * 8
    orders = {
        tuple(share_prefixes(*samples, max_length=400, max_questions=8, seed=seed)[0]) for seed in (0, 1, 2, 0, 1, 2)
    }
    assert len(orders) == 3


def test_the_parts_of_a_seed_are_fixed():
    """A literal: a change here makes runs that are under way resume on other samples."""
    parts = share_prefixes(
        [60, 61, 62, 63, 64, 95], [0, 0, 0, 1, 0, 1], [50] * 6, max_length=100, max_questions=3, seed=11
    )
    assert parts.samples.tolist() == [4, 2, 0, 1, 5, 3]
    assert parts.bounds.tolist() == [0, 3, 4, 5, 6]
    assert parts.lengths.tolist() == [86, 61, 95, 63]


def test_following_parts_keep_their_samples():
    first, second = (
        share_prefixes(*random_samples(seed), max_length=MAX_LENGTH, max_questions=4, seed=0) for seed in (1, 2)
    )
    both, count = first.followed_by(second), len(first.samples)
    assert len(both) == len(first) + len(second)
    for part in range(len(both)):
        source, index, offset = (first, part, 0) if part < len(first) else (second, part - len(first), count)
        assert both[part] == [offset + sample for sample in source[index]]
        for name in ("lengths", "pairs", "patches", "num_samples"):
            assert getattr(both, name)[part] == getattr(source, name)[index]


def test_no_samples_no_parts():
    parts = share_prefixes([], [], [], max_length=MAX_LENGTH, max_questions=8, seed=0)
    assert isinstance(parts, Parts)
    assert len(parts) == len(parts.num_samples) == 0


@pytest.mark.parametrize(
    ("samples", "max_questions", "message"),
    [
        (([9], [0], [5]), 0, "max_questions is 0, expected at least 1"),
        (([9, 5], [0, 0], [5, 5]), 8, "sample 1 has 5 tokens, 5 of them in its prefix; expected a question after it"),
        (
            ([9, 9, 9], [3, 1, 3], [5, 5, 6]),
            8,
            "prefix 3 has [56] tokens in sample [02] and [56] in sample [02], expected one length for each prefix",
        ),
        (([9, 9], [0, 0], [5, 6]), 1, "expected one length for each prefix"),  # in different parts, too
    ],
)
def test_samples_are_checked(samples, max_questions, message):
    with pytest.raises(ValueError, match=message):
        share_prefixes(*samples, max_length=MAX_LENGTH, max_questions=max_questions, seed=0)
