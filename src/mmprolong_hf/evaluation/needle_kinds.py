"""The kinds of needles: what is drawn into a page, what is asked, and which answer is right."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from string import Formatter

import yaml

from mmprolong_hf.evaluation.metrics.needle import NOT_ANSWERABLE
from mmprolong_hf.evaluation.needle_stamps import COLORS, SHAPES

KINDS = ("text", "keyvalue", "table", "image", "multi", "distractor", "none")
KEYS = ("animal", "bird", "city", "color", "drink", "flower", "fruit", "instrument", "metal", "river", "sport", "tool")
WORDS = (
    "anchor", "banjo", "basil", "bronze", "cactus", "candle", "cedar", "cobalt", "copper", "falcon", "fennel", "garnet",
    "ginger", "hammer", "harbor", "heron", "jasmine", "kettle", "lantern", "lemon", "magnet", "maple", "marble", "meadow",
    "nectar", "oyster", "pepper", "pigeon", "quartz", "ribbon", "saddle", "salmon", "spruce", "thimble", "tulip", "velvet",
    "violet", "walnut", "willow", "zither",
)  # fmt: skip
COLORED_SHAPES = tuple(f"{color} {shape}" for color, shape in product(COLORS, SHAPES))
_WORD_LISTS = {"words": WORDS, "shapes": COLORED_SHAPES}  # what needle_kinds.yaml calls them


@dataclass(frozen=True)
class Needle:
    """
    What is hidden in a haystack of pages, and how it is asked for.

    Args:
        text (`str`): What is drawn; `{key}`, `{value}` and `{page}` (1-based in the haystack) are filled in. With
            `kind="table"` it is a row, with `|` between its cells.
        question (`str`): What is asked; `{key}` and `{page}` are filled in.
        keys (`tuple[str]`): What needles are told apart by; each is used once in a haystack.
        values (`tuple[str]`, *optional*): What may be the answer; codes of seven digits if `None`.
        size (`float`): Height of what is drawn as a fraction of the page's height; 1.0 replaces the whole page.
        kind (`str`): `"text"` and `"keyvalue"` draw the text; `"table"` makes it a row of a small table, `"image"` draws
            the value, a colored shape, beside the text; `"multi"` hides several values of one key, all of which must be
            named; `"distractor"` also hides needles with other keys; `"none"` hides another key than it asks for.
        header (`str`): First row of a table.
        num_hidden (`int`): Needles, or rows of the table, that are hidden for one question; above 1 with `"table"`,
            `"multi"` and `"distractor"` only.

    Raises:
        ValueError: for an unknown kind, a size outside (0, 1], a text without `{value}`, an unknown placeholder, too few keys
            or values for one question, or a `num_hidden` that the kind does not have.

    Example:

    ```python
    >>> load_needle("text").text.format(key="fruit", value="lemon")
    'The secret fruit is lemon.'
    >>> Needle(text="The secret is out.", question="What is the secret?")
    Traceback (most recent call last):
    ...
    ValueError: text is 'The secret is out.', expected a {value} in it

    ```
    """

    text: str
    question: str
    keys: tuple[str, ...] = KEYS
    values: tuple[str, ...] | None = WORDS
    size: float = 0.02
    kind: str = "text"
    header: str = ""
    num_hidden: int = 1

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}, expected one of {', '.join(KINDS)}")
        if not 0 < self.size <= 1:
            raise ValueError(f"size is {self.size}, expected a fraction of the page's height above 0 and at most 1")
        least = 2 if self.kind in ("multi", "distractor") else 1
        if self.num_hidden < least or (self.num_hidden > 1 and self.kind not in ("table", "multi", "distractor")):
            only = f"at least {least}" if self.kind in ("table", "multi", "distractor") else "1"
            raise ValueError(f"num_hidden is {self.num_hidden}, expected {only} of kind {self.kind!r}")
        num_values = self.num_hidden if self.values is None else len(self.values)
        if len(self.keys) < num_keys(self) or num_values < self.num_hidden:
            raise ValueError(
                f"there are {len(self.keys)} keys and {num_values} values, expected at least {num_keys(self)} and "
                f"{self.num_hidden} for one question"
            )
        if "{value}" not in self.text and self.kind != "image":
            raise ValueError(f"text is {self.text!r}, expected a {{value}} in it")
        for name, known in (("text", {"key", "value", "page"}), ("question", {"key", "page"})):
            found = {field for _, field, _, _ in Formatter().parse(getattr(self, name)) if field is not None}
            if found - known:
                raise ValueError(f"{name} holds {sorted(found - known)}, expected only {sorted(known)} in braces")


@dataclass(frozen=True)
class NeedleQuestion:
    """
    One question of a haystack, from [`deal_questions`].

    Args:
        depth (`float`): Of the first of what is hidden.
        key (`str`): Asked for.
        answer (`str` or `tuple[str, ...]`): The right answer; a tuple must be named in full.
        hidden (`tuple`): What is drawn, each with the (key, value) pairs that it shows; only a table shows several.
    """

    depth: float
    key: str
    answer: str | tuple[str, ...]
    hidden: tuple[tuple[tuple[str, str], ...], ...]


def load_needle(kind: str = "text", size: float | None = None) -> Needle:
    """
    A kind of needle as `needle_kinds.yaml` words it.

    Args:
        kind (`str`): One of `KINDS`.
        size (`float`, *optional*): Height as a fraction of the page's height; the kind's own if not given.

    Raises:
        ValueError: for an unknown kind, or as [`Needle`].

    Example:

    ```python
    >>> load_needle("table").header
    'Item | Code'

    ```
    """
    kinds = yaml.safe_load(Path(__file__).with_name("needle_kinds.yaml").read_text(encoding="utf-8"))
    if kind not in kinds:
        raise ValueError(f"kind is {kind!r}, expected one of {', '.join(kinds)}")
    fields = {
        name: _WORD_LISTS[value] if name in ("keys", "values") and value else value
        for name, value in kinds[kind].items()
    }
    return Needle(**fields | {"kind": kind} | ({} if size is None else {"size": size}))


def deal_questions(needle: Needle, depths: Sequence[float], rng: random.Random) -> list[NeedleQuestion]:
    """
    Keys and values for a question at each depth, none of them twice as long as there are enough, and never in one question.

    Args:
        needle (`Needle`): What is hidden.
        depths (`Sequence[float]`): 0 to 1.
        rng (`random.Random`): Deals.

    Example:

    ```python
    >>> question, _ = deal_questions(load_needle("multi"), [0.0, 1.0], random.Random(0))
    >>> question.key, question.answer
    ('nectar', ('9746862', '5370335', '2044878'))

    ```
    """
    keys_each, values_each = num_keys(needle), needle.num_hidden
    keys = _deal(needle.keys, keys_each * len(depths), rng)
    num_values = values_each * len(depths)
    if needle.values is None:
        values = [str(code) for code in rng.sample(range(1_000_000, 10_000_000), num_values)]
    else:
        values = _deal(needle.values, num_values, rng)
    return [
        _question(
            needle.kind,
            depth,
            keys[row * keys_each : (row + 1) * keys_each],
            values[row * values_each : (row + 1) * values_each],
            rng,
        )
        for row, depth in enumerate(depths)
    ]


def num_keys(needle: Needle) -> int:
    """How many keys one question needs; it needs `num_hidden` values."""
    return {"table": needle.num_hidden, "distractor": needle.num_hidden, "none": 2}.get(needle.kind, 1)


def _question(kind: str, depth: float, keys: list[str], values: list[str], rng: random.Random) -> NeedleQuestion:
    if kind == "multi":
        return NeedleQuestion(depth, keys[0], tuple(values), tuple(((keys[0], value),) for value in values))
    if kind == "none":
        return NeedleQuestion(depth, keys[1], NOT_ANSWERABLE, (((keys[0], values[0]),),))
    pairs = list(zip(keys, values))
    if kind == "table":
        return NeedleQuestion(depth, keys[0], values[0], (tuple(rng.sample(pairs, len(pairs))),))
    return NeedleQuestion(depth, keys[0], values[0], tuple((pair,) for pair in pairs))


def _deal(words: Sequence[str], num: int, rng: random.Random) -> list[str]:
    shuffled = rng.sample(words, len(words))
    return [shuffled[i % len(shuffled)] for i in range(num)]
