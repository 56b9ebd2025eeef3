"""Where the samples of a pack lie, and which of them share a document."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, pairwise

import torch


@dataclass(frozen=True)
class Bounds:
    """
    Cumulative bounds of runs of tokens, from 0 on.

    Args:
        values (`tuple[int, ...]`): One more than there are runs.

    Example:

    ```python
    >>> bounds = Bounds.from_lengths([3, 5])
    >>> bounds.values, bounds.pairs, bounds.longest, bounds.cu_seqlens("cpu")
    ((0, 3, 8), [(0, 3), (3, 8)], 5, tensor([0, 3, 8], dtype=torch.int32))

    ```
    """

    values: tuple[int, ...]
    _on_device: dict = field(default_factory=dict, init=False, compare=False, repr=False)

    @classmethod
    def from_lengths(cls, lengths: Sequence[int]) -> "Bounds":
        return cls(tuple(accumulate(lengths, initial=0)))

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """(start, end) of every run."""
        return list(pairwise(self.values))

    @property
    def longest(self) -> int:
        """Tokens of the longest run."""
        return max(end - start for start, end in self.pairs)

    def cu_seqlens(self, device: torch.device | str) -> torch.Tensor:
        """The bounds as an int32 tensor on a device, made once: a copy in every layer would wait for the device in every layer."""
        if device not in self._on_device:
            self._on_device[device] = torch.tensor(self.values, dtype=torch.int32, device=device)
        return self._on_device[device]


@dataclass(frozen=True)
class SharedDocument:
    """
    A document in a pack, with the branches that follow it: its questions and their answers.

    Args:
        start (`int`): Its first token.
        end (`int`): The token after its last, where the first branch begins.
        stop (`int`): The token after the last branch.
    """

    start: int
    end: int
    stop: int

    @property
    def tokens(self) -> slice:
        """The document's own tokens in the pack."""
        return slice(self.start, self.end)

    @property
    def branches(self) -> slice:
        """The tokens of all its branches."""
        return slice(self.end, self.stop)


class PackLayout:
    """
    What may see what in a pack: every segment sees itself, causally, and a branch sees the whole of its document too.

    It travels through the model as it is, so that its tensors are made once a pack. A dataclass would not: FSDP with mixed
    precision builds every dataclass among a layer's inputs anew (torch's `distributed.utils._apply_to_tensors`).

    Args:
        segments (`Bounds`): A segment is a sample, or a document that is shared, or a branch of one.
        documents (`tuple[SharedDocument, ...]`): The documents that are shared, in their order.

    Example:

    ```python
    >>> layout = PackLayout.from_lengths([[3], [5, 2, 4]])  # a sample; a document of 5 tokens with branches of 2 and 4
    >>> layout.segments.values, layout.documents
    ((0, 3, 8, 10, 14), (SharedDocument(start=3, end=8, stop=14),))
    >>> layout.leaves
    [(0, 3), (8, 10), (10, 14)]

    ```
    """

    def __init__(self, segments: Bounds, documents: tuple[SharedDocument, ...] = ()):
        self.segments, self.documents = segments, documents

    @classmethod
    def from_lengths(cls, lengths: Sequence[Sequence[int]]) -> "PackLayout":
        """
        Args:
            lengths (`Sequence[Sequence[int]]`): Tokens of each part of the pack: `[sample]`, or `[document, branch, ...]`.
        """
        segments = Bounds.from_lengths([length for part in lengths for length in part])
        documents, first = [], 0
        for part in lengths:
            if len(part) > 1:
                documents.append(SharedDocument(*(segments.values[first + i] for i in (0, 1, len(part)))))
            first += len(part)
        return cls(segments, tuple(documents))

    @property
    def leaves(self) -> list[tuple[int, int]]:
        """(start, end) of every segment that no other one sees: samples and branches."""
        shared = {document.start for document in self.documents}
        return [(start, end) for start, end in self.segments.pairs if start not in shared]

    @cached_property
    def document_bounds(self) -> Bounds:
        """Of the shared documents' tokens alone, laid end to end."""
        return Bounds.from_lengths([document.end - document.start for document in self.documents])

    @cached_property
    def branch_bounds(self) -> Bounds:
        """Of each shared document's branches together, laid end to end."""
        return Bounds.from_lengths([document.stop - document.end for document in self.documents])
