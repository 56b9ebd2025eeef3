"""Reads options from YAML: strictly, with inheritance, into dataclasses."""

import difflib
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path

import yaml

MERGE = "tag:yaml.org,2002:merge"  # "<<"


def read_options(kind: type, values: object, where: str):
    """
    Make a dataclass of options from what YAML holds; sections become dataclasses, lists tuples.

    Args:
        kind (`type`): A dataclass.
        values: What was read.
        where (`str`): Named in errors.

    Raises:
        ValueError: for an unknown key, with the nearest known one; a value of the wrong kind; a missing key.

    Example:

    ```python
    >>> from mmprolong_hf.synthesis.executors import EngineOptions
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


class UniqueKeys(yaml.SafeLoader):
    """YAML keeps the last of several equal keys in silence; here it is an error."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep) for key, _ in node.value if key.tag != MERGE]
        twice = next((key for index, key in enumerate(keys) if key in keys[:index]), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"key {twice!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path, above: tuple[Path, ...] = ()) -> dict:
    """
    Keys and values of a file, on top of those of the file that its key `extends` names.

    Args:
        path (`Path`): The file.
        above (`tuple[Path]`, *optional*): Files that extend it, so that none extends itself.

    Raises:
        ValueError: for a file that is not there, is no YAML, holds no keys or extends itself.
    """
    if path.resolve() in above:
        raise ValueError(f"{path} extends itself, expected plans that end somewhere")
    if not path.is_file():
        raise ValueError(f"{path} is not there, expected a plan in YAML")
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), UniqueKeys)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML in UTF-8: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds {type(values).__name__}, expected keys and values")
    base = values.pop("extends", None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise ValueError(f"{path}: extends is {base!r}, expected the name of one plan beside it")
    return _merge(read_yaml(path.parent / base, (*above, path.resolve())), values)


def change_values(values: Mapping, overrides: Mapping) -> dict:
    """
    Values with some replaced.

    Args:
        values (`Mapping`): Keys and values, sections within.
        overrides (`Mapping`): Keys, with dots for sections.

    Raises:
        ValueError: if a section is none.

    Example:

    ```python
    >>> change_values({"pool": {"min_pages": 1}}, {"pool.max_pages": 9})
    {'pool': {'min_pages': 1, 'max_pages': 9}}

    ```
    """
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
