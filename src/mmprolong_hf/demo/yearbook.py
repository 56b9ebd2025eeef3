"""What the demo's reports say: invented figures of an invented region, and text that agrees with them."""

import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

WORDS = Path(__file__).parent / "yearbook.yaml"
NUM_DISTRICTS = (6, 9)
NUM_TOPICS = (6, 7)
NUM_YEARS = 5


@cache
def load_words() -> dict:
    """The file of names, topics and wordings."""
    return yaml.safe_load(WORDS.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Measure:
    """
    What is counted in every district and year.

    Args:
        name (`str`): In running text, e.g. `"trees planted"`.
        unit (`str`): Of its figures.
        values (`dict[str, tuple[int, ...]]`): District -> one figure for each year.

    Example:

    ```python
    >>> Measure("trees planted", "thousand", {}).label, Measure("ambulance calls", "calls", {}).label
    ('Trees planted (thousand)', 'Ambulance calls')

    ```
    """

    name: str
    unit: str
    values: dict[str, tuple[int, ...]]

    @property
    def label(self) -> str:
        """As a column is headed: with the unit, unless the name says it."""
        text = self.name[0].upper() + self.name[1:]
        return text if self.unit in self.name else f"{text} ({self.unit})"


@dataclass(frozen=True)
class Topic:
    """One chapter: `words` are its sentences in the file, `measures` its figures, one for each of its sections."""

    title: str
    sections: tuple[str, ...]
    measures: tuple[Measure, ...]
    words: dict


@dataclass(frozen=True)
class Yearbook:
    """
    The contents of one report before it is laid out.

    Args:
        title (`str`): On the title page and in the running head.
        years (`tuple[int, ...]`): That the figures cover, ascending.
        districts (`tuple[str, ...]`): Rows of every table.
        topics (`tuple[Topic, ...]`): The chapters.
    """

    title: str
    years: tuple[int, ...]
    districts: tuple[str, ...]
    topics: tuple[Topic, ...]


def make_yearbook(seed: int) -> Yearbook:
    """
    The contents of one report.

    Args:
        seed (`int`): The same seed gives the same report.

    Example:

    ```python
    >>> book = make_yearbook(0)
    >>> len(book.topics[0].measures[0].values) == len(book.districts), make_yearbook(0) == book
    (True, True)

    ```
    """
    rng = random.Random(seed)
    words = load_words()
    last = rng.randrange(2012, 2025)
    years = tuple(range(last - NUM_YEARS + 1, last + 1))
    districts = tuple(sorted(rng.sample(words["districts"], rng.randint(*NUM_DISTRICTS))))
    topics = tuple(
        Topic(
            title=topic["title"],
            sections=tuple(topic["sections"]),
            measures=tuple(_measure(rng, districts, *measure) for measure in topic["measures"]),
            words=topic,
        )
        for topic in rng.sample(words["topics"], rng.randint(*NUM_TOPICS))
    )
    return Yearbook(f"{rng.choice(words['regions'])} Regional Yearbook {last}", years, districts, topics)


def _measure(rng: random.Random, districts: tuple[str, ...], name: str, unit: str, low: int, high: int) -> Measure:
    values = {}
    for district in districts:
        level = rng.uniform(low, high)
        trend = rng.uniform(0.93, 1.09)
        values[district] = tuple(max(1, round(level * trend**k * rng.uniform(0.94, 1.06))) for k in range(NUM_YEARS))
    return Measure(name, unit, values)


def number(value: int) -> str:
    """
    A figure as it is printed.

    Example:

    ```python
    >>> number(12040)
    '12,040'

    ```
    """
    return f"{value:,}"


class Writer:
    """
    Writes paragraphs whose every figure comes from the tables.

    Args:
        book (`Yearbook`): The report.
        rng (`random.Random`): Chooses wordings; no sentence of a topic's own is used twice in one chapter.
    """

    def __init__(self, book: Yearbook, rng: random.Random):
        self.book, self.rng, self.words = book, rng, load_words()
        self._remarks = {t.title: rng.sample(t.words["remarks"], len(t.sections)) for t in book.topics}

    def preface(self) -> list[str]:
        """What stands before the first chapter."""
        book = self.book
        names = ", ".join(topic.title.lower() for topic in book.topics)
        return [
            f"This yearbook brings together what the {len(book.districts)} districts returned for {book.years[-1]} on "
            f"{len(book.topics)} public services: {names}. It covers the years {book.years[0]} to {book.years[-1]}.",
            "Figures are counted in the district where a service is given, not where its users live. They are final "
            "unless a later yearbook says otherwise, and sums are made from the printed figures.",
        ]

    def opening(self, topic: Topic, label: str) -> str:
        """The paragraph under a chapter's heading, which leads to its summary `label`."""
        first, second = self.rng.sample(topic.measures, 2)
        parts = [*self._changes(first, 1), *self._changes(second, 1), self._reason(topic)]
        return " ".join([*parts, f"{label} sums up the chapter."])

    def overview(self, topic: Topic, measure: Measure, label: str, kind: str) -> str:
        """The paragraph that leads to a table or a figure; `kind` is `"table"` or `"figure"`."""
        district, month = self.rng.choice(self.book.districts), self.rng.choice(self.words["months"])
        remark = self._remarks[topic.title].pop().format(district=district, month=month)
        return " ".join([remark, self._total(measure), self._say(f"{kind}_mentions", label=label)])

    def extremes(self, topic: Topic, measure: Measure) -> str:
        """A paragraph on the highest and the lowest figure of the last year, each only if one district alone has it."""
        last = {district: values[-1] for district, values in measure.values.items()}
        parts = []
        for kind, value in (("highest", max(last.values())), ("lowest", min(last.values()))):
            districts = [district for district in last if last[district] == value]
            if len(districts) == 1:
                parts.append(self._say(kind, district=districts[0], unit=measure.unit, value=number(value)))
        return " ".join([*parts, self._reason(topic)])

    def trends(self, topic: Topic, measure: Measure) -> str:
        """A paragraph on how three districts came to their figures."""
        first, second, third = self._changes(measure, 3)
        return " ".join([first, second, self._reason(topic), third])

    def _say(self, kind: str, **slots) -> str:
        slots |= {name: self.rng.choice(self.words[f"{name}s"]) for name in ("month", "office")}
        text = self.rng.choice(self.words[kind]).format(first=self.book.years[0], last=self.book.years[-1], **slots)
        return text[0].upper() + text[1:]

    def _changes(self, measure: Measure, count: int) -> list[str]:
        sentences = []
        for district in self.rng.sample(self.book.districts, count):
            values = measure.values[district]
            slots = {"district": district, "measure": f"the figure for {measure.name}", "unit": measure.unit}
            sentences.append(self._say("changes", before=number(values[0]), value=number(values[-1]), **slots))
        return sentences

    def _total(self, measure: Measure) -> str:
        total = number(sum(values[-1] for values in measure.values.values()))
        return self._say("totals", count=len(measure.values), total=total, unit=measure.unit)

    def _reason(self, topic: Topic) -> str:
        return self._say("reasons", cause=self.rng.choice(topic.words["causes"]))
