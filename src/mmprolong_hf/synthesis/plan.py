"""The plan of a build: a YAML file whose sections are the options of its stages."""

import difflib
import hashlib
import json
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import yaml

from .endpoint import EndpointOptions
from .engine import EngineOptions
from .mixture import MixtureOptions
from .options import PageOptions, QuestionOptions
from .pool.options import PoolOptions
from .teacher.model import TeacherOptions
from .verification import VerifyOptions

# What else decides what a build writes
LIBRARIES = ("pymupdf", "pypdfium2", "py3langid", "rapidfuzz")
# Of datatrove's executors the build decides these itself
EXECUTOR_OPTIONS = ("tasks", "workers", "logging_dir")
MERGE = "tag:yaml.org,2002:merge"  # "<<"


@dataclass(frozen=True)
class BuildPlan:
    """
    Everything that a build is told.

    Args:
        pdfs (`str`): Folder of PDFs, searched with its sub-folders, or a .txt, .jsonl or .parquet list of paths.
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
    return read_options(BuildPlan, _change(_read(Path(path), ()), overrides or {}), str(path))


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
    return read_options(BuildPlan, _change(values, overrides), "the plan for a folder")


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
            found[key.strip()] = yaml.load(value, _UniqueKeys)
        except yaml.YAMLError as error:
            raise ValueError(f"--set {key.strip()} is given {value!r}, which is no YAML: {error}") from error
    return found


def read_options(kind: type, values: object, where: str):
    """
    Make a dataclass of options from what YAML holds; sections become dataclasses, lists tuples.

    Args:
        kind (`type`): A dataclass.
        values: What was read.
        where (`str`): Named in errors.

    Raises:
        ValueError: as [`load_plan`].

    Example:

    ```python
    >>> read_options(EngineOptions, {"workers": 4}, "engine").workers
    4
    >>> read_options(EngineOptions, {"worker": 4}, "engine")
    Traceback (most recent call last):
    ...
    ValueError: engine: unknown key 'worker', did you mean 'workers'?

    ```
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{where} is {values!r}, expected keys and values")
    hints, known = typing.get_type_hints(kind), {f.name: f for f in fields(kind)}
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected some of {', '.join(known)}"
            raise ValueError(f"{where}: unknown key {key!r}, {hint}")
    read = {key: _value(hints[key], value, f"{where}: {key}") for key, value in values.items()}
    needed = [f.name for f in known.values() if f.default is MISSING and f.default_factory is MISSING]
    if missing := [name for name in needed if name not in read]:
        raise ValueError(f"{where} has no {' and no '.join(missing)}; expected at least {', '.join(needed)}")
    try:
        return kind(**read)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


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


class _UniqueKeys(yaml.SafeLoader):
    """YAML keeps the last of several equal keys in silence; here it is an error."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep) for key, _ in node.value if key.tag != MERGE]
        twice = next((key for index, key in enumerate(keys) if key in keys[:index]), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"key {twice!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _read(path: Path, above: tuple[Path, ...]) -> dict:
    if path.resolve() in above:
        raise ValueError(f"{path} extends itself, expected plans that end somewhere")
    if not path.is_file():
        raise ValueError(f"{path} is not there, expected a plan in YAML")
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML in UTF-8: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds {type(values).__name__}, expected keys and values")
    base = values.pop("extends", None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise ValueError(f"{path}: extends is {base!r}, expected the name of one plan beside it")
    return _merge(_read(path.parent / base, (*above, path.resolve())), values)


def _change(values: Mapping, overrides: Mapping) -> dict:
    changed = dict(values)
    for key, value in overrides.items():
        *sections, last = key.split(".")
        section = changed
        for name in sections:
            inner = section.get(name) or {}
            if not isinstance(inner, Mapping):
                raise ValueError(f"{key} cannot be set: {name} is {inner!r}, expected keys and values")
            section[name] = dict(inner)
            section = section[name]
        section[last] = value
    return changed


# Of these a variant replaces the whole: merged shares would not add up
_WHOLE = ("shares", "lengths", "per_task", "short_datasets")


def _merge(base: Mapping, changes: Mapping) -> dict:
    merged = dict(base)
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping) and key not in _WHOLE:
            value = _merge(base[key], value)
        merged[key] = value
    return merged


def _value(hint: object, value: object, where: str, has: str = "is") -> object:
    """A value as the type of its field wants it; `has` stands between where it was found and what it is."""
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    if value is None:
        if types.NoneType in options:
            return None
        raise ValueError(f"{where} is empty, expected a value")
    (kind,) = (option for option in options if option is not types.NoneType)
    if is_dataclass(kind):
        return read_options(kind, value, where)
    origin, parts = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin in (tuple, Sequence):
        if not isinstance(value, list | tuple):
            raise ValueError(f"{where} {has} {value!r}, expected a list")
        return tuple(_value(parts[0], item, where, "has") for item in value)
    if issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise ValueError(f"{where} {has} {value!r}, expected keys and values")
        if not parts:
            return dict(value)
        return {
            _value(parts[0], key, where, "has the key"): _value(parts[1], item, f"{where}: {key}")
            for key, item in value.items()
        }
    return _scalar(kind, value, f"{where} {has} {value!r}")


def _scalar(kind: type, value: object, found: str) -> object:
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        # YAML reads no, 1 and 2024-01-01 as a truth, a number and a day
        quote = "; quote it" if kind is str and not isinstance(value, list | tuple | Mapping) else ""
        raise ValueError(f"{found}, expected {'text' if kind is str else kind.__name__}{quote}")
    if kind is float and not math.isfinite(value):
        raise ValueError(f"{found}, expected a finite number")
    return value
