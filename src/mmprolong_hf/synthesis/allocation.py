"""How many samples of each kind each document gives, when a document may give only so many."""

from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Mapping, Sequence

Step = tuple[int, Hashable, int]  # (document, cell, 1 taken or -1 given back)


class Allocation:
    """
    Samples are taken one at a time, each from the document that has given least so far.

    Where every document that could give one is full, one of them exchanges: it gives back a sample of another cell, for
    which a further document makes up, over any number of documents. These are the augmenting paths of a flow from
    documents to cells, so a sample is found whenever there is any way to take it, and a cell that has failed once has
    failed for good.

    Args:
        documents (`Sequence[Mapping[Hashable, Sequence[int]]]`): Of each document, by cell, its samples in the order in which
            they are to be taken. Among documents that have given as much, the first gives.
        tokens (`Sequence[int]`): Of each sample.
        most (`int`): Samples that a document gives at most.

    Example:

    ```python
    >>> plan = Allocation([{"single": [0], "multi": [1]}, {"single": [2]}], tokens=[10, 10, 20], most=1)
    >>> plan.add("single"), plan.add("multi")  # the first document's place is needed for "multi", so the second steps in
    ([(0, 'single', 1)], [(1, 'single', 1), (0, 'single', -1), (0, 'multi', 1)])
    >>> plan.add("single"), plan.samples, plan.num_tokens
    (None, Counter({'single': 1, 'multi': 1}), 30)

    ```
    """

    def __init__(
        self, documents: Sequence[Mapping[Hashable, Sequence[int]]], tokens: Sequence[int], most: int
    ) -> None:
        self.documents, self.most = documents, most
        self.samples, self.tokens = Counter(), Counter()  # of each cell
        self.num_samples = self.num_tokens = 0
        self.row_tokens = tokens
        self._taken = [dict.fromkeys(queues, 0) for queues in documents]
        self._given = [0] * len(documents)
        # Of each cell, documents that may be able to give, by how many they have given; looked at again when they come up.
        self._ready: dict[Hashable, list[deque]] = defaultdict(lambda: [deque() for _ in range(most)])
        for number, queues in enumerate(documents):
            for cell in queues:
                self._ready[cell][0].append(number)
        # Documents that hold the first cell and could give the second; looked at again when they come up.
        self._exchanges: dict[tuple[Hashable, Hashable], deque] = defaultdict(deque)

    def add(self, cell: Hashable) -> list[Step] | None:
        """One sample more of a cell: what was done for it, or None where there is no way."""
        came_from: dict[Hashable, tuple | None] = {cell: None}
        frontier = deque([cell])
        while frontier:
            end = frontier.popleft()
            if (document := self._next_ready(end)) is not None:
                steps = [(document, end, 1)]
                while came_from[end] is not None:
                    end, document, given = *came_from[end], end
                    steps += [(document, given, -1), (document, end, 1)]
                for step in steps:
                    self._move(*step)
                return steps
            for held in self._ready:
                if held not in came_from and (document := self._next_exchange(held, end)) is not None:
                    came_from[held] = end, document
                    frontier.append(held)
        return None

    def undo(self, steps: Sequence[Step]) -> None:
        """Take back what [`add`] did last; nothing may be added after that."""
        for document, cell, by in reversed(steps):
            self._move(document, cell, -by)

    def is_full(self, document: int) -> bool:
        """Whether a document has given all that it may."""
        return self._given[document] >= self.most

    def chosen(self, document: int, cell: Hashable) -> Sequence[int]:
        """Samples that a document gives to a cell."""
        return self.documents[document][cell][: self._taken[document][cell]]

    def _can_give(self, document: int, cell: Hashable) -> bool:
        return self._taken[document].get(cell, 0) < len(self.documents[document].get(cell, ()))

    def _next_ready(self, cell: Hashable) -> int | None:
        for level, waiting in enumerate(self._ready[cell]):
            while waiting:
                document = waiting[0]
                given = self._given[document]
                if given == level and self._can_give(document, cell):
                    return document
                waiting.popleft()
                # One that is full never gives more of itself, and what it could exchange is noted elsewhere.
                if given < self.most and self._can_give(document, cell):
                    self._ready[cell][given].append(document)
        return None

    def _next_exchange(self, held: Hashable, wanted: Hashable) -> int | None:
        waiting = self._exchanges[held, wanted]
        while waiting:
            if self._taken[waiting[0]].get(held) and self._can_give(waiting[0], wanted):
                return waiting[0]
            waiting.popleft()
        return None

    def _move(self, document: int, cell: Hashable, by: int) -> None:
        rows, taken = self.documents[document][cell], self._taken[document]
        before = taken[cell]
        taken[cell] += by
        self._given[document] += by
        self.samples[cell] += by
        self.num_samples += by
        size = by * self.row_tokens[rows[max(before, taken[cell]) - 1]]
        self.tokens[cell] += size
        self.num_tokens += size
        if by > 0 and before == 0:
            for other in taken:
                if other != cell and self._can_give(document, other):
                    self._exchanges[cell, other].append(document)
        if by < 0 and before == len(rows):
            for other, count in taken.items():
                if other != cell and count:
                    self._exchanges[other, cell].append(document)
