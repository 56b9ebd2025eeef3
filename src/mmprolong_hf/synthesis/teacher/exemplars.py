"""The examples that a teacher is shown, from a file that a user can replace."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from ..text import fold
from .calls import ASKED_TASKS
from .fields import ParseError, read_pages
from .raw_question import RawQuestion, check_task, read_question

EXEMPLARS = Path(__file__).parents[1] / "prompts" / "exemplars.yaml"
SHOWN = 2  # in one request


@dataclass(frozen=True)
class Exemplar:
    """One example: the question, and the pages `first` to `last` of `num_pages` that its teacher saw."""

    first: int
    last: int
    num_pages: int
    question: RawQuestion


@dataclass(frozen=True)
class Exemplars:
    """Examples by task, and the text of their file, which is part of a prompt's identity."""

    by_task: Mapping[str, tuple[Exemplar, ...]]
    text: str

    def draw(self, task: str, seed: str) -> list[Exemplar]:
        """
        The examples of one request, always the same for the same seed.

        Args:
            task (`str`): One of `ASKED_TASKS`.
            seed (`str`): Tells requests apart.
        """
        return random.Random(f"exemplars {seed}").sample(self.by_task[task], SHOWN)


def load_exemplars(path: str | Path | None = None) -> Exemplars:
    """
    Read and check a file of examples.

    Args:
        path (`str` or `Path`, *optional*): YAML in the form of `prompts/exemplars.yaml`, which is read if not given.

    Raises:
        ValueError: if it cannot be read, has unknown tasks or too few examples, or one of them breaks the rules that it
            should show.

    Example:

    ```python
    >>> {task: len(examples) >= SHOWN for task, examples in load_exemplars().by_task.items()}
    {'extract-single': True, 'extract-multi': True, 'reasoning': True}

    ```
    """
    path = Path(path or EXEMPLARS)
    try:
        text = path.read_text(encoding="utf-8")
        value = yaml.load(text, Loader=yaml.BaseLoader)  # every value stays as it is written: 12.50 is no number here
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"the exemplars in {path} cannot be read ({error}), expected a YAML file") from error
    if not isinstance(value, dict) or set(value) != set(ASKED_TASKS):
        found = ", ".join(map(str, value)) if isinstance(value, dict) else "no tasks"
        raise ValueError(f"{path} holds {found}, expected exactly the tasks {', '.join(ASKED_TASKS)}")
    by_task = {}
    for task in ASKED_TASKS:
        records = value[task]
        if not isinstance(records, list) or len(records) < SHOWN:
            found = len(records) if isinstance(records, list) else 0
            raise ValueError(f"{path} has {found} examples of {task}, expected a list of at least {SHOWN}")
        by_task[task] = tuple(_read(r, task, f"{path}: example {k} of {task}") for k, r in enumerate(records, 1))
    return Exemplars(by_task, text)


def _read(record: object, task: str, where: str) -> Exemplar:
    try:
        question = read_question(record)
        shown = [record.get(name) for name in ("first", "last", "num_pages")]
        first, last, num_pages = (read_pages(page)[0] for page in shown)
        if not first <= last <= num_pages:
            raise ParseError("bad_page", f"it shows pages {first} to {last} of {num_pages}, expected pages in order")
        check_task(question, task, (first, last))
    except ParseError as error:
        raise ValueError(f"{where} cannot be used: {error}") from error
    if not question.anchor or fold(question.anchor) not in fold(question.question):
        raise ValueError(f"{where} has the anchor {question.anchor!r}, expected words of its question")
    return Exemplar(first, last, num_pages, question)
