"""The plan of a build: a YAML file whose sections are the options of its stages."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import yaml

from .endpoint import EndpointOptions
from .executors import EngineOptions
from .mixture import MixtureOptions
from .options import PageOptions, QuestionOptions
from .pool.options import PoolOptions
from .teacher.model import TeacherOptions
from .verification import VerifyOptions
from .yaml_options import UniqueKeys, change_values, read_options, read_yaml

# What else decides what a build writes
LIBRARIES = ("pymupdf", "pypdfium2", "py3langid", "rapidfuzz")
# Of datatrove's executors the build decides these itself
EXECUTOR_OPTIONS = ("tasks", "workers", "logging_dir")


@dataclass(frozen=True)
class BuildPlan:
    """
    Everything that a build is told.

    Args:
        pdfs (`str`): Folder of PDFs, searched with its sub-folders, or a .txt, .jsonl or .parquet list of paths; the last two may
            tell the `url` and `license` of each, which go into its row and the card.
        output (`str`): Dataset folder to write.
        work (`str`, *optional*): Folder for what the stages leave; plans that name the same one share every stage in which
            they do not differ. If not given it lies beside the output, and is removed when that is complete.
        seed (`int`, *optional*, defaults to `0`): Of everything that is chosen.
        test_fraction (`float`, *optional*, defaults to `0.0`): Part of the documents that goes to the test split.
        max_usd (`float`, *optional*): What the models may cost; no limit if not given.
        replies (`str`, *optional*): File of the models' replies and what they cost; `<output>.replies.sqlite` if not given. It
            is never removed: what is paid for is not asked again.
        pool (`PoolOptions`, *optional*): Which documents.
        pages (`PageOptions`, *optional*): How they are rendered and stored.
        questions (`QuestionOptions`, *optional*): What is asked.
        teacher (`EndpointOptions`, *optional*): The model that asks; without one the extractive teacher does.
        asking (`TeacherOptions`, *optional*): What it is asked for.
        scans (`EndpointOptions`, *optional*): The model that reads scanned pages.
        verify (`VerifyOptions`, *optional*): What a question must pass, and the model that judges.
        mixture (`MixtureOptions`, *optional*): What the set is mixed of.
        engine (`EngineOptions`, *optional*): Where it runs.

    Raises:
        ValueError: for options that exclude each other, or a task that is asked or mixed and not kept.

    Example:

    ```python
    >>> plan = BuildPlan("pdfs", "my-set", pool=PoolOptions(min_pages=32, max_pages=50))
    >>> plan.work_folder, plan.replies_file
    (PosixPath('.my-set.work'), PosixPath('my-set.replies.sqlite'))

    ```
    """

    pdfs: str
    output: str
    work: str | None = None
    seed: int = 0
    test_fraction: float = 0.0
    max_usd: float | None = None
    replies: str | None = None
    pool: PoolOptions = field(default_factory=PoolOptions)
    pages: PageOptions = field(default_factory=PageOptions)
    questions: QuestionOptions = field(default_factory=QuestionOptions)
    teacher: EndpointOptions | None = None
    asking: TeacherOptions = field(default_factory=TeacherOptions)
    scans: EndpointOptions | None = None
    verify: VerifyOptions = field(default_factory=VerifyOptions)
    mixture: MixtureOptions = field(default_factory=MixtureOptions)
    engine: EngineOptions = field(default_factory=EngineOptions)

    def __post_init__(self):
        if not 0.0 <= self.test_fraction < 1.0:
            raise ValueError(f"test_fraction is {self.test_fraction}, expected at least 0 and less than 1")
        if (self.pool.scanned == "keep") != (self.scans is not None):
            raise ValueError(
                f"pool.scanned is {self.pool.scanned!r} and scans {'missing' if self.scans is None else 'given'}; expected both "
                "'keep' and the model that reads the scans, or neither"
            )
        if self.max_usd is not None and not self.endpoints:
            raise ValueError(f"max_usd is {self.max_usd}, but no model is asked; name a teacher or leave it out")
        if self.max_usd is not None and self.engine.kind != "local":
            raise ValueError(
                f"max_usd is {self.max_usd} and engine kind {self.engine.kind!r}: machines cannot share a budget; use 'local', whose "
                "processes only wait for the models"
            )
        if self.endpoints and self.engine.kind == "jobs":
            raise ValueError(
                "engine kind is 'jobs' and a model is asked: replies are kept in a database, and locks on a bucket do not reach other "
                "Jobs; use 'local', whose processes only wait for the models, or ask none"
            )
        if taken := [name for name in EXECUTOR_OPTIONS if name in self.engine.options]:
            raise ValueError(
                f"engine.options has {', '.join(taken)}, which the build decides itself; expected other options of the executor, "
                "and how many documents are read at a time in engine.workers"
            )
        self._check_tasks()

    def _check_tasks(self) -> None:
        """What is asked for or mixed must be among the questions that are kept."""
        wanted = {"mixture.shares": (self.mixture.shares, "the mixture would have none of its questions")}
        if self.teacher is not None:
            wanted["asking.tasks"] = (self.asking.tasks, "its questions would be paid for and thrown away")
        for name, (tasks, consequence) in wanted.items():
            missing = [task for task, amount in tasks.items() if amount > 0 and task not in self.questions.per_task]
            if missing:
                raise ValueError(
                    f"{name} has {missing[0]}, which questions.per_task has not ({', '.join(self.questions.per_task)}): "
                    f"{consequence}; name it in both or in neither"
                )

    @property
    def endpoints(self) -> tuple[EndpointOptions, ...]:
        """Every model that is asked."""
        asked = (self.teacher, self.verify.judge and self.verify.judge.endpoint, self.scans)
        return tuple(endpoint for endpoint in asked if endpoint)

    @property
    def work_folder(self) -> Path:
        """Where the stages work."""
        output = Path(self.output)
        return Path(self.work) if self.work else output.with_name(f".{output.name}.work")

    @property
    def replies_file(self) -> Path:
        """Where replies are kept."""
        output = Path(self.output)
        return Path(self.replies) if self.replies else output.with_name(f"{output.name}.replies.sqlite")


def load_plan(path: str | Path, overrides: Mapping | None = None) -> BuildPlan:
    """
    Read a plan. `extends: other.yaml` (beside it) is read first, and the plan says only what it changes.

    Args:
        path (`str` or `Path`): The YAML file.
        overrides (`Mapping`, *optional*): Keys, with dots for sections (`"pool.min_pages"`), that replace the file's.

    Raises:
        ValueError: for an unknown key, with the nearest known one; a value of the wrong kind; a missing key.
    """
    return read_options(BuildPlan, change_values(read_yaml(Path(path)), overrides or {}), str(path))


def folder_plan(pdfs: str | Path, overrides: Mapping) -> BuildPlan:
    """
    The plan for a folder of PDFs of any length, with the extractive teacher.

    Args:
        pdfs (`str` or `Path`): The folder.
        overrides (`Mapping`): As for [`load_plan`]; at least `output`.

    Raises:
        ValueError: as [`load_plan`].

    Example:

    ```python
    >>> folder_plan("pdfs", {"output": "my-set"}).pool.min_pages
    1

    ```
    """
    values = {"pdfs": str(pdfs), "pool": {"min_pages": 1}}
    return read_options(BuildPlan, change_values(values, overrides), "the plan for a folder")


def parse_changes(changes: Iterable[str]) -> dict:
    """
    What was given as KEY=VALUE on a command line; a value is read as YAML.

    Args:
        changes (`Iterable[str]`): E.g. `"pool.min_pages=32"`.

    Raises:
        ValueError: for anything without "=", or whose value is no YAML.

    Example:

    ```python
    >>> parse_changes(["pool.min_pages=32", "mixture.shares={reasoning: 1.0}"])
    {'pool.min_pages': 32, 'mixture.shares': {'reasoning': 1.0}}

    ```
    """
    found = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise ValueError(f"--set is given {change!r}, expected KEY=VALUE")
        try:
            found[key.strip()] = yaml.load(value, UniqueKeys)
        except yaml.YAMLError as error:
            raise ValueError(f"--set {key.strip()} is given {value!r}, which is no YAML: {error}") from error
    return found


def shown_name(name: str) -> str:
    """
    A file, a folder or a Hub id as others may read it: without the folders that lead to it on this machine.

    Args:
        name (`str`): As the plan has it.

    Example:

    ```python
    >>> shown_name("Qwen/Qwen2.5-VL-7B-Instruct"), shown_name("/usr/share/my-examples.yaml"), shown_name("../set")
    ('Qwen/Qwen2.5-VL-7B-Instruct', 'my-examples.yaml', 'set')

    ```
    """
    path = Path(name)
    return path.name if path.is_absolute() or name.startswith((".", "~")) or path.exists() else name


def fingerprint(*parts: object) -> str:
    """
    Twelve digits that change with anything given, with this package's own text and with the libraries that read PDFs.

    Args:
        *parts: Options and names.
    """
    plain = [asdict(part) if is_dataclass(part) else part for part in parts]
    text = json.dumps([_code(), plain], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@cache
def _code() -> str:
    digest = hashlib.sha256("".join(version(name) for name in LIBRARIES).encode())
    for path in sorted(Path(__file__).parent.rglob("*")):
        if path.suffix in (".py", ".yaml", ".md"):
            digest.update(path.read_bytes())
    return digest.hexdigest()
