"""What a set is mixed of, and in which order the questions of a document are drawn for it."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise

from .questions import Candidate, choose
from .sample_lengths import CHAT_HEADS
from .schema import TASKS

DEPTHS = 10  # parts of a document over which evidence is spread
SHARES = {"extract-single": 0.4, "extract-multi": 0.4, "reasoning": 0.2}  # the paper's final mixture
SHARE_UNITS = ("samples", "tokens")
SUM_TOLERANCE = 1e-6
_LENGTHS = re.compile(r"(\d+)(K?)-(\d+)(K?)")


@dataclass(frozen=True)
class MixtureOptions:
    """
    What a set is mixed of. A sample is one question behind its whole document, and its tokens are counted so.

    Args:
        shares (`Mapping[str, float]`, *optional*): Task -> share of the long samples; they add up to 1, and a task that is
            not named is left out. The paper's 40/40/20 if not given.
        share_unit (`str`, *optional*, defaults to `"samples"`): What `shares` and `lengths` are counted in, or `"tokens"`.
        questions_per_document (`int`, *optional*, defaults to `16`): At most so many samples of a document.
        token_budget (`int`, *optional*): Tokens of all samples, short ones included; all that there is if not given.
        lengths (`Mapping[str, float]`, *optional*): Range of tokens, e.g. `"32K-64K"` (K is 1,024, the upper end is not
            in it) -> share of the long samples; they add up to 1. The documents' own lengths (pool-native) if not given.
        min_tokens, max_tokens (`int`, *optional*): Shorter and longer samples are left out.
        min_pages, max_pages (`int`, *optional*): Samples of documents with fewer or more pages are left out.
        balance_depth (`bool`, *optional*, defaults to `True`): Whether evidence is spread evenly over the documents.
        unanswerable_share (`float`, *optional*, defaults to `0.05`): At most this part of each task's samples are questions
            that the document does not answer (templates ending in "-absent").
        processor (`str`, *optional*, defaults to `"qwen2_5_vl"`): Whose tokens are counted, or `"qwen3_vl"`.
        tokenizer (`str`, *optional*): Its tokenizer.json, or a Hub id; text is counted by an upper estimate if not given.
        short_share (`float`, *optional*, defaults to `0.0`): Part of all tokens that comes from `short_datasets`.
        short_datasets (`Mapping[str, Sequence[str]]`, *optional*): Folder or Hub id of a dataset of images with questions
            and answers -> its configs (none: all of them).
        short_every_turn (`bool`, *optional*, defaults to `False`): Whether the later turns of a conversation are questions
            too; only right where none refers to an earlier one.

    Raises:
        ValueError: for a share that is none, shares that do not add up to 1, an unknown task, unit, processor or range,
            a range that is empty or overlaps another, a limit below its minimum, or a short share without its dataset.

    Example:

    ```python
    >>> MixtureOptions(lengths={"32K-64K": 0.3, "64K-128K": 0.7}).length_ranges
    ((32768, 65536, 0.3, '32K-64K'), (65536, 131072, 0.7, '64K-128K'))
    >>> MixtureOptions(shares={"reasoning": 0.8})
    Traceback (most recent call last):
    ...
    ValueError: shares add up to 0.8, expected 1

    ```
    """

    shares: Mapping[str, float] = field(default_factory=lambda: dict(SHARES))
    share_unit: str = "samples"
    questions_per_document: int = 16
    token_budget: int | None = None
    lengths: Mapping[str, float] | None = None
    min_tokens: int = 0
    max_tokens: int | None = None
    min_pages: int = 1
    max_pages: int | None = None
    balance_depth: bool = True
    unanswerable_share: float = 0.05
    processor: str = "qwen2_5_vl"
    tokenizer: str | None = None
    short_share: float = 0.0
    short_datasets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    short_every_turn: bool = False

    def __post_init__(self):
        for task in self.shares:
            if task not in TASKS:
                raise ValueError(f"shares name the task {task!r}, expected some of {', '.join(TASKS)}")
        for name, known in (("share_unit", SHARE_UNITS), ("processor", CHAT_HEADS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected one of {', '.join(known)}")
        _check_shares("shares", self.shares)
        if self.lengths is not None:
            _check_shares("lengths", self.lengths)
            ranges = self.length_ranges
            for (_, high, _, name), (low, _, _, following) in pairwise(ranges):
                if high > low:
                    raise ValueError(f"lengths name ranges that overlap: {name} and {following}")
        for name, least in (("questions_per_document", 1), ("min_tokens", 0), ("min_pages", 1), ("token_budget", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} is {value}, expected at least {least}")
        for name in ("tokens", "pages"):
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if high is not None and high < low:
                raise ValueError(f"max_{name} is {high}, expected at least min_{name}={low}")
        for name in ("unanswerable_share", "short_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 0 to 1")
        if self.unanswerable_share == 1:
            raise ValueError(
                f"unanswerable_share is {self.unanswerable_share}, expected less: some questions need an answer"
            )
        if bool(self.short_share) != bool(self.short_datasets):
            raise ValueError(
                f"short_share is {self.short_share} and short_datasets {dict(self.short_datasets)}, expected both or neither"
            )
        if self.short_share == 1 and self.token_budget is None:
            raise ValueError(
                "short_share is 1 without a token_budget, expected one: nothing else says how much to take"
            )

    @property
    def length_ranges(self) -> tuple[tuple[int, int, float, str], ...]:
        """(first, last + 1, share, name) of each range of `lengths` in tokens, the shortest first; empty for pool-native."""
        return tuple(sorted((*_parse_range(text), share, text) for text, share in (self.lengths or {}).items()))

    @property
    def long_budget(self) -> int | None:
        """Tokens of the long samples; no limit if None."""
        return None if self.token_budget is None else round(self.token_budget * (1 - self.short_share))

    def short_budget(self, long_tokens: int) -> int:
        """
        Tokens of the short samples.

        Args:
            long_tokens (`int`): Tokens of the long samples that were chosen, whose counterpart this is where no
                `token_budget` says it.
        """
        if self.token_budget is not None:
            return self.token_budget - self.long_budget
        return round(long_tokens * self.short_share / (1 - self.short_share))


def _check_shares(name: str, shares: Mapping[str, float]) -> None:
    for key, share in shares.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name} give {key!r} the share {share}, expected 0 to 1")
    if abs(sum(shares.values()) - 1) > SUM_TOLERANCE:
        raise ValueError(f"{name} add up to {sum(shares.values()):g}, expected 1")


def _parse_range(text: str) -> tuple[int, int]:
    match = _LENGTHS.fullmatch(text)
    if match is None:
        raise ValueError(f"lengths name the range {text!r}, expected tokens such as 32K-64K or 32768-65536")
    low, high = (int(number) * (1024 if kilo else 1) for number, kilo in (match.group(1, 2), match.group(3, 4)))
    if high <= low:
        raise ValueError(f"lengths name the range {text!r}, which is empty")
    return low, high


def choose_questions(
    candidates: list[Candidate], count: int, num_pages: int, *, seed: str, shares: Mapping[str, float] = SHARES
) -> list[Candidate]:
    """
    A mixture of the questions of one document, in the order of their evidence.

    Each task gets its share; what a task cannot fill goes to the others. Within a task the next question is always one
    from the tenth of the document used least, and among those one of the kind used least.

    Args:
        candidates (`list[Candidate]`): Everything that may be asked.
        count (`int`): How many to keep at most.
        num_pages (`int`): Pages of the document.
        seed (`str`): Decides between equals.
        shares (`Mapping[str, float]`, *optional*): Task -> part of all questions.
    """
    left = sorted(candidates, key=lambda c: (draw_number(seed, c.question.question), c.question.question))
    rows = [(c.question.task, depth_of(c.question.evidence_pages[0], num_pages), c.question.template) for c in left]
    chosen = [left[row] for row in islice(draw_order(rows, shares), count)]
    return sorted(chosen, key=lambda c: (c.question.evidence_pages, c.question.question))


def draw_number(seed: str, question: str) -> int:
    """A number that decides between questions that are as good as each other, always the same for the same two texts."""
    return choose(range(2**32), seed, "mixture", question)


def draw_order(
    rows: Sequence[tuple[str, int, str]],
    shares: Mapping[str, float],
    others: Mapping[tuple[str, int], Counter] | None = None,
) -> Iterator[int]:
    """
    The order in which the questions of one document are drawn: any beginning of it is a mixture.

    Args:
        rows (`Sequence[tuple[str, int, str]]`): Task, depth and kind of each question; the earlier one wins where two are
            equal.
        shares (`Mapping[str, float]`): Task -> part of all questions.
        others (`Mapping[tuple[str, int], Counter]`, *optional*): How often other documents have each depth at a task's
            first, second, ... question: where this document has no preference, the rarest is drawn. It is added to.

    Yields:
        `int`: Index of the next question in `rows`, until none is left.

    Example:

    ```python
    >>> rows = [("reasoning", 0, "sum"), ("reasoning", 0, "count"), ("reasoning", 9, "sum"), ("extract-single", 5, "cell")]
    >>> list(draw_order(rows, {"extract-single": 0.5, "reasoning": 0.5}))
    [3, 0, 2, 1]

    ```
    """
    waiting: dict[str, dict[tuple[int, str], list[int]]] = defaultdict(dict)
    for row in range(len(rows) - 1, -1, -1):
        task, depth, kind = rows[row]
        waiting[task].setdefault((depth, kind), []).append(row)
    tasks, depths, kinds = Counter(), Counter(), Counter()
    while waiting:
        task = min(sorted(waiting), key=lambda t: (tasks[t] + 0.5) / max(shares.get(t, 0.0), 1e-9))
        rarest = Counter() if others is None else others[task, tasks[task]]
        groups = waiting[task]
        depth, kind = min(groups, key=lambda g: (depths[g[0]], rarest[g[0]], kinds[g[1]], groups[g][-1]))
        yield groups[depth, kind].pop()
        if not groups[depth, kind]:
            del groups[depth, kind]
        if not groups:
            del waiting[task]
        tasks[task] += 1
        depths[depth] += 1
        kinds[kind] += 1
        rarest[depth] += 1


def depth_of(page: int, num_pages: int) -> int:
    """
    Which tenth of a document a page is in, 0 to 9.

    Args:
        page (`int`): 1-based.
        num_pages (`int`): Pages of the document.

    Example:

    ```python
    >>> depth_of(1, 40), depth_of(20, 40), depth_of(40, 40)
    (0, 4, 9)

    ```
    """
    return min(DEPTHS - 1, (page - 1) * DEPTHS // num_pages)
