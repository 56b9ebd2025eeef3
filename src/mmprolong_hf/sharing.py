"""Which questions of a document share it in a pack. Pure functions over integers, no data is read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Parts:
    """
    The parts that packs are made of: a sample alone, or a document with the samples that share it.

    Args:
        samples (`np.ndarray` of shape `(num_samples,)`): Every sample once, part by part.
        bounds (`np.ndarray` of shape `(num_parts + 1,)`): Where each part begins in `samples`.
        lengths (`np.ndarray` of shape `(num_parts,)`): Tokens of each part, its document counted once.
        pairs (`np.ndarray` of shape `(num_parts,)`): Pairs of a query and a key that it sees, in one head of one layer.
        patches (`np.ndarray` of shape `(num_parts,)`): Vision patches of its pages, counted once.
    """

    samples: np.ndarray
    bounds: np.ndarray
    lengths: np.ndarray
    pairs: np.ndarray
    patches: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> list[int]:
        """The samples of a part."""
        return self.samples[self.bounds[index] : self.bounds[index + 1]].tolist()

    @property
    def num_samples(self) -> np.ndarray:
        """`(num_parts,)`: how many samples share each part's document."""
        return np.diff(self.bounds)

    def followed_by(self, other: "Parts") -> "Parts":
        """
        These parts and then the other's, whose samples are counted on from these.

        Example:

        ```python
        >>> alone = share_prefixes([7, 9], [0, 1], [5, 5], max_length=10, max_questions=1, seed=0)
        >>> both = alone.followed_by(alone)
        >>> [both[i] for i in range(len(both))]
        [[0], [1], [2], [3]]

        ```
        """
        return Parts(
            samples=np.concatenate([self.samples, len(self.samples) + other.samples]),
            bounds=np.concatenate([self.bounds, len(self.samples) + other.bounds[1:]]),
            lengths=np.concatenate([self.lengths, other.lengths]),
            pairs=np.concatenate([self.pairs, other.pairs]),
            patches=np.concatenate([self.patches, other.patches]),
        )


def share_prefixes(
    lengths: Sequence[int],
    prefixes: Sequence[int],
    prefix_lengths: Sequence[int],
    patches: Sequence[int] | None = None,
    *,
    max_length: int,
    max_questions: int,
    seed: int | None,
) -> Parts:
    """
    Puts samples that begin with the same tokens into parts, in which these are computed once.

    A part takes the samples of a prefix in an order that the seed decides, until it has `max_questions` of them or the next does
    not fit; then another part of the same prefix begins. Every epoch has the same parts, so that all epochs have equally many packs.

    Args:
        lengths (`Sequence[int]`): Tokens of each sample, its prefix included.
        prefixes (`Sequence[int]`): The same number for samples that begin alike.
        prefix_lengths (`Sequence[int]`): Tokens of that beginning.
        patches (`Sequence[int]`, *optional*): Vision patches in it; none if not given.
        max_length (`int`): Most tokens in a part.
        max_questions (`int`): Most samples in a part; with 1 every sample stands alone.
        seed (`int` or `None`): Of the order of the samples of a prefix; with `None` they keep their own.

    Returns:
        `Parts`: In the order in which their prefixes are numbered.

    Raises:
        ValueError: if `max_questions` is below 1, or a prefix takes the whole of its sample or has two lengths.

    Example: two questions about a document of 50 tokens, one about another, at most 100 tokens.

    ```python
    >>> parts = share_prefixes([70, 90, 60], [0, 1, 0], [50, 80, 50], max_length=100, max_questions=8, seed=0)
    >>> [parts[i] for i in range(len(parts))], parts.lengths
    ([[2, 0], [1]], array([80, 90]))
    >>> parts.pairs  # 50 * 51 / 2 of the document; of each question 50 with it, and its own
    array([3040, 4095])

    ```
    """
    if max_questions < 1:
        raise ValueError(f"max_questions is {max_questions}, expected at least 1")
    lengths, prefixes, prefix_lengths = (np.asarray(x, dtype=np.int64) for x in (lengths, prefixes, prefix_lengths))
    patches = np.zeros_like(lengths) if patches is None else np.asarray(patches, dtype=np.int64)
    branches = lengths - prefix_lengths
    if (branches < 1).any():
        sample = int(np.argmax(branches < 1))
        raise ValueError(
            f"sample {sample} has {lengths[sample]} tokens, {prefix_lengths[sample]} of them in its prefix; expected a question "
            "after it"
        )
    # RandomState, not default_rng: NumPy promises that its stream never changes (NEP 19)
    order = np.arange(len(lengths))
    if max_questions > 1 and seed is not None:
        order = np.random.RandomState(seed).permutation(len(lengths))
    order = order[np.argsort(prefixes[order], kind="stable")]
    differing = (np.diff(prefixes[order]) == 0) & (np.diff(prefix_lengths[order]) != 0)
    if differing.any():
        one, other = order[np.argmax(differing) :][:2]
        raise ValueError(
            f"prefix {prefixes[one]} has {prefix_lengths[one]} tokens in sample {one} and {prefix_lengths[other]} in sample "
            f"{other}, expected one length for each prefix; number them anew"
        )
    begins = _part_begins(prefixes[order], prefix_lengths[order], branches[order], max_length, max_questions)
    bounds = np.append(begins, len(order))
    first = order[begins]
    document, own = prefix_lengths[first], branches[order]
    total = np.add.reduceat(own, begins) if len(order) else own
    own_pairs = np.add.reduceat(own * (own + 1) // 2, begins) if len(order) else own
    return Parts(
        samples=order,
        bounds=bounds,
        lengths=document + total,
        pairs=document * (document + 1) // 2 + total * document + own_pairs,
        patches=patches[first],
    )


def make_parts(*columns: Sequence[int], num_fill: int = 0, max_questions: int, **options) -> Parts:
    """
    [`share_prefixes`], with samples at the end that only fill room: these stand alone, in parts of their own at the end.

    Args:
        columns, max_questions, options: As in [`share_prefixes`].
        num_fill (`int`, *optional*, defaults to `0`): So many of the last samples only fill room.

    Example:

    ```python
    >>> options = {"max_length": 100, "max_questions": 8, "seed": 0}
    >>> parts = make_parts([70, 60, 40, 40], [0, 0, 1, 1], [50, 50, 30, 30], [0] * 4, num_fill=2, **options)
    >>> [parts[i] for i in range(len(parts))]
    [[1, 0], [2], [3]]

    ```
    """
    num_main = len(columns[0]) - num_fill
    main, fill = ([np.asarray(column)[run] for column in columns] for run in (slice(num_main), slice(num_main, None)))
    parts = share_prefixes(*main, max_questions=max_questions, **options)
    return parts.followed_by(share_prefixes(*fill, max_questions=1, **options)) if num_fill else parts


def _part_begins(prefixes, prefix_lengths, branches, max_length: int, max_questions: int) -> np.ndarray:
    """Positions at which a part begins, of samples sorted by prefix."""
    begins: list[int] = []
    last, count, used = None, 0, 0
    for position, (prefix, length, branch) in enumerate(
        zip(prefixes.tolist(), prefix_lengths.tolist(), branches.tolist())
    ):
        if prefix != last or count >= max_questions or used + branch > max_length:
            begins.append(position)
            last, count, used = prefix, 0, length
        count, used = count + 1, used + branch
    return np.array(begins, dtype=np.int64)
