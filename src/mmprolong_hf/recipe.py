"""A recipe is YAML that is also a Python program, so that `accelerate launch recipes/NAME.yaml` runs it; here it is read, strictly."""

import difflib
import types
import typing
from collections.abc import Sequence
from pathlib import Path

import yaml
from transformers import HfArgumentParser
from trl import ModelConfig

from mmprolong_hf.config import DataArguments, MMProLongConfig

ARGUMENTS = (DataArguments, MMProLongConfig, ModelConfig)
# The one line that makes YAML a program is, to YAML, a key that begins so.
PROGRAM_KEY = "if __name__"
# What another who trains a recipe again has elsewhere, or does not want
LOCAL = {"push_to_hub", "resume_from_checkpoint", "model_card_template", "dry_run", "run_name", "logging_dir", "report_to", "project", "trackio_space_id", "trackio_static_space_id", "trackio_bucket_id"}  # fmt: skip


class _UniqueKeys(yaml.SafeLoader):
    """YAML keeps the last of several equal keys in silence; here it is an error."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep) for key, _ in node.value]
        twice = next((key for index, key in enumerate(keys) if key in keys[:index]), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"key {twice!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def load_recipe(path: str | Path) -> dict:
    """
    Reads a recipe, without the line that makes it a program.

    Raises:
        ValueError: when the file does not exist, is not YAML, or is no mapping.

    Example:

    ```python
    >>> path = Path(getfixture("tmp_path")) / "r.yaml"
    >>> _ = path.write_text('if __name__ == "__main__": main(); r\"\"\"\\nmax_length: 4096\\n# \"\"\"\\n')
    >>> load_recipe(path)
    {'max_length': 4096}

    ```
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"recipe {path} does not exist")
    try:
        recipe = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"recipe {path} is not valid YAML in UTF-8: {error}") from error
    if not isinstance(recipe, dict):
        raise ValueError(f"recipe {path} holds a {type(recipe).__name__}, expected a mapping of keys to values")
    return {key: value for key, value in recipe.items() if not str(key).startswith(PROGRAM_KEY)}


def check_recipe(recipe: dict, name: str) -> None:
    """
    Raises:
        ValueError: for an unknown key, naming the nearest known one, or a value of the wrong type.

    Example:

    ```python
    >>> check_recipe({"max_lenght": 4096}, "r.yaml")
    Traceback (most recent call last):
    ...
    ValueError: r.yaml: unknown key 'max_lenght', did you mean 'max_length'?
    >>> check_recipe({"learning_rate": "1e-5"}, "r.yaml")
    Traceback (most recent call last):
    ...
    ValueError: r.yaml: learning_rate is '1e-5' (str), expected float; YAML reads 1e-5 and 4.0e6 as text, write 1.0e-5 and 4.0e+6

    ```
    """
    hints = {key: hint for arguments in ARGUMENTS for key, hint in typing.get_type_hints(arguments).items()}
    known = {field for arguments in ARGUMENTS for field in arguments.__dataclass_fields__}
    for key, value in recipe.items():
        if key not in known:
            raise ValueError(f"{name}: unknown key {key!r}{_nearest(str(key), known)}")
        if not _fits(value, hints[key]):
            expected = hints[key].__name__ if isinstance(hints[key], type) else str(hints[key]).replace("typing.", "")
            note = "; YAML reads 1e-5 and 4.0e6 as text, write 1.0e-5 and 4.0e+6" if isinstance(value, str) else ""
            raise ValueError(f"{name}: {key} is {value!r} ({type(value).__name__}), expected {expected}{note}")


def _nearest(key: str, known: set[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f", did you mean {near[0]!r}?" if near else "; `mmprolong train --help` lists the known ones"


def _fits(value: object, hint: object) -> bool:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is typing.Literal:
        return value in parts
    if isinstance(hint, type) and issubclass(hint, str) and hint is not str:  # an enum of strings
        return value in [member.value for member in hint]
    expected = origin or hint
    if expected is typing.Any:
        return True
    if expected is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if expected is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, expected)


def parse_recipe(argv: Sequence[str]) -> tuple[DataArguments, MMProLongConfig, ModelConfig]:
    """
    Resolves `[RECIPE] [--config RECIPE] [--key value ...]` into the dataclasses; what is on the command line wins.

    Args:
        argv (`Sequence[str]`): Without the program's name; the first may be the recipe's path.

    Raises:
        ValueError: as [`load_recipe`] and [`check_recipe`], and for an unknown `--key`.
    """
    parser, rest, _ = _parser(argv)
    *parsed, unknown = parser.parse_args_into_dataclasses(args=rest, return_remaining_strings=True)
    if unknown:
        known = {field for arguments in ARGUMENTS for field in arguments.__dataclass_fields__}
        raise ValueError(f"unknown option {unknown[0]!r}{_nearest(unknown[0].lstrip('-'), known)}")
    _, args, model = parsed
    if model.model_name_or_path is None:
        raise ValueError("model_name_or_path is missing: name a checkpoint folder or a model on the Hub")
    if args.model_card_template is not None:
        args.model_card_template = _find_template(args.model_card_template, _split(argv)[0])
    return tuple(parsed)


def resolve_recipe(argv: Sequence[str]) -> dict:
    """
    What a recipe and a command line say together, for another to train the same: without what belongs to one machine or one account
    (`LOCAL`, and where it is published), and with the last names of folders: where they lie says who trained, and nobody else has them.

    Args:
        argv (`Sequence[str]`): As for [`parse_recipe`], which has accepted it.

    Example:

    ```python
    >>> said = {"model_name_or_path": "/home/me/base", "dataset_name": "org/set", "output_dir": "/scratch/run", "hub_model_id": "me/run"}
    >>> path = Path(getfixture("tmp_path")) / "r.yaml"
    >>> _ = path.write_text(yaml.safe_dump(said))
    >>> resolve_recipe([str(path), "--learning_rate", "2e-5", "--no_share_documents"])
    {'dataset_name': 'org/set', 'learning_rate': 2e-05, 'model_name_or_path': 'base', 'output_dir': 'run', 'share_documents': False}

    ```
    """
    parser, rest, recipe = _parser(argv)
    words = {word.split("=", 1)[0] for word in rest}
    said = recipe.keys() | {action.dest for action in parser._actions if words.intersection(action.option_strings)}
    values = vars(parser.parse_args(rest))
    kept = [name for name in sorted(said) if not name.startswith("hub_") and name not in LOCAL]
    return {name: Path(values[name]).name if _is_folder(name, values[name]) else values[name] for name in kept}


def _is_folder(key: str, value: object) -> bool:
    return key == "output_dir" or (
        isinstance(value, str) and "/" in value and (value[0] in "/~." or Path(value).exists())
    )


def _parser(argv: Sequence[str]) -> tuple[HfArgumentParser, list[str], dict]:
    """The parser, with a recipe's values as its defaults; what is left of the command line; and the recipe."""
    path, rest = _split(argv)
    parser = HfArgumentParser(ARGUMENTS, allow_abbrev=False)
    recipe = {} if path is None else load_recipe(path)
    check_recipe(recipe, str(path))
    for action in parser._actions:  # argparse's set_defaults leaves `required` as it is
        if action.dest in recipe:
            action.default, action.required = recipe[action.dest], False
    return parser, rest, recipe


def _split(argv: Sequence[str]) -> tuple[str | None, list[str]]:
    """The path of the recipe, and the other words."""
    rest = [word for arg in argv for word in (arg.split("=", 1) if arg.startswith("--config=") else [arg])]
    path = rest.pop(0) if rest and not rest[0].startswith("--") else None
    if "--config" in rest:
        at = rest.index("--config")
        if at + 1 == len(rest):
            raise ValueError("--config needs the path of a recipe")
        path = rest[at + 1]
        del rest[at : at + 2]
    return path, rest


def _find_template(template: str, recipe: str | None) -> str:
    # A recipe of the repository names its template from the repository's root, wherever it is launched from.
    folders = [Path(), *(Path(recipe).resolve().parents[:3] if recipe is not None else ())]
    for folder in folders:
        if (folder / template).is_file():
            return str(folder / template)
    raise ValueError(f"model_card_template {template} does not exist (looked in {', '.join(map(str, folders))})")
