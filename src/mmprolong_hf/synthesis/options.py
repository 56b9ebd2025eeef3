"""What a plan says of pages and questions."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .images import IMAGE_FORMATS
from .questions import known_kinds
from .schema import TASKS

STORES = ("images", "pdf")


@dataclass(frozen=True)
class PageOptions:
    """
    How pages are rendered and stored.

    Args:
        dpi (`int`, *optional*, defaults to `144`): Pixels per inch of the page images; the paper's.
        store (`str`, *optional*, defaults to `"images"`): What a row holds: `"images"`, which everything can read, or the `"pdf"`,
            the compact form: pages are rendered when a sample is loaded, to the same bytes.
        image_format (`str`, *optional*, defaults to `"jpeg"`): One of `images.IMAGE_FORMATS`.
        elements (`bool`, *optional*, defaults to `False`): Whether to publish titles, paragraphs, tables, ... of every page too.
        time_limit (`float`, *optional*, defaults to `300.0`): Seconds that reading one document may take.
        memory_gb (`float`, *optional*, defaults to `4.0`): GiB of memory that reading one document may take.

    Raises:
        ValueError: for a number below its minimum, or an unknown store or format.

    Example:

    ```python
    >>> PageOptions(store="pdf").dpi
    144
    >>> PageOptions(store="png")
    Traceback (most recent call last):
    ...
    ValueError: store is 'png', expected one of images, pdf

    ```
    """

    dpi: int = 144
    store: str = "images"
    image_format: str = "jpeg"
    elements: bool = False
    time_limit: float = 300.0
    memory_gb: float = 4.0

    def __post_init__(self):
        if self.dpi < 1:
            raise ValueError(f"dpi is {self.dpi}, expected at least 1")
        for name in ("time_limit", "memory_gb"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected more than 0")
        for name, known in (("store", STORES), ("image_format", IMAGE_FORMATS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected one of {', '.join(known)}")


@dataclass(frozen=True)
class QuestionOptions:
    """
    Which questions a document gets, before the mixture chooses among them.

    Args:
        per_task (`dict[str, int]`, *optional*): Task -> most questions of a document that are kept for the mixture; a task that is
            not named is not asked. 32 of each of the paper's three if not given; of `"ocr-full"` and `"ocr-needle"` none.
        kinds (`tuple[str]`, *optional*): Only these kinds of extractive question, see `questions.known_kinds`; all if not given.

    Raises:
        ValueError: for an unknown task or kind, or a number below 1.

    Example:

    ```python
    >>> QuestionOptions(per_task={"ocr-full": 1}).kinds is None
    True
    >>> QuestionOptions(kinds=("table-summ",))
    Traceback (most recent call last):
    ...
    ValueError: unknown kind of question 'table-summ', expected some of section-page...section-title-on-page...

    ```
    """

    per_task: Mapping[str, int] = field(
        default_factory=lambda: {"extract-single": 32, "extract-multi": 32, "reasoning": 32}
    )
    kinds: tuple[str, ...] | None = None

    def __post_init__(self):
        for task, count in self.per_task.items():
            if task not in TASKS:
                raise ValueError(f"per_task names the task {task!r}, expected some of {', '.join(TASKS)}")
            if count < 1:
                raise ValueError(f"per_task has {count} for {task}, expected at least 1")
        for kind in self.kinds or ():
            if kind not in known_kinds():
                raise ValueError(f"unknown kind of question {kind!r}, expected some of {', '.join(known_kinds())}")
