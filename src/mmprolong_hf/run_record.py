"""What a run was: its base, data, hardware and time, and how far it came. It lies beside the weights, and the card is made from it."""

import hashlib
import json
import platform
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
import yaml
from datasets import Dataset
from huggingface_hub import try_to_load_from_cache

from mmprolong_hf.resume import digest_questions

RECORD, RECIPE = "training.json", "recipe.yaml"
PACKAGES = ("torch", "transformers", "trl", "peft", "mmprolong_hf")


@dataclass(frozen=True)
class RunSource:
    """
    What a run is made from, beyond what its model says itself.

    Args:
        recipe (`Mapping`, *optional*): From [`~mmprolong_hf.recipe.resolve_recipe`]; a run from Python has none.
        datasets (`tuple[Mapping, ...]`): From [`describe_dataset`].
        revision (`str`, *optional*): Of the base model, as it was asked for.
    """

    recipe: Mapping | None = None
    datasets: tuple[Mapping, ...] = ()
    revision: str | None = None

    @property
    def recipe_text(self) -> str | None:
        """The file `recipe.yaml`."""
        return None if self.recipe is None else yaml.safe_dump(dict(self.recipe), allow_unicode=True)


def describe_dataset(documents: Dataset, name: str) -> dict:
    """
    Args:
        documents (`Dataset`): As `load_dataset` gives it.
        name (`str`): The folder or Hub id that it was loaded from.

    Returns:
        `dict` with `name` (`None` for a folder), `commit` (of the Hub), `num_documents`, and `fingerprint` of its questions and answers
        ([`~mmprolong_hf.resume.digest_questions`]).
    """
    # datasets keeps what it loads in a folder named by the commit
    kept = [Path(file["filename"]).parent.name for file in documents.cache_files]
    commit = next((folder for folder in kept if re.fullmatch(r"[0-9a-f]{40}", folder)), None)
    facts = {"num_documents": len(documents), "fingerprint": digest_questions(documents)}
    return {"name": None if Path(name).is_dir() else name, "commit": commit} | facts


def describe_base(name: str, revision: str | None = None) -> dict:
    """
    Args:
        name (`str`): Folder or Hub id.
        revision (`str`, *optional*): As it was asked for.

    Returns:
        `dict` with `name` and `commit`, both `None` for a folder: its path says nothing to another reader.
    """
    if not name or Path(name).is_dir():
        return {"name": None, "commit": None}
    config = try_to_load_from_cache(name, "config.json", revision=revision)
    return {"name": name, "commit": Path(config).parent.name if isinstance(config, str) else None}


class RunTime:
    """
    The hardware of a run and how long it had it, over all processes that went on with it. The time of steps that were lost between a
    checkpoint and a kill is not in it.

    Example:

    ```python
    >>> times = RunTime()
    >>> times.begin()
    >>> [part] = times.parts(torch.device("cpu"), 2)
    >>> part["num_devices"], part["seconds"] < 60
    (2, True)

    ```
    """

    def __init__(self):
        self._before, self._began = [], None

    def begin(self) -> None:
        """Training begins in this process."""
        self._before, self._began = [], time.monotonic()

    def go_on(self, folder: str | Path) -> None:
        """It goes on from a checkpoint; one of an earlier version has no record."""
        if Path(folder, RECORD).is_file():
            self._before = read_record(folder)["hardware"]

    def parts(self, device: torch.device, num_devices: int) -> list[dict]:
        """`device`, `num_devices` and `seconds` of each stretch on the same hardware, up to now."""
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} {device.type}"
        seconds = 0.0 if self._began is None else time.monotonic() - self._began
        now = {"device": name, "num_devices": num_devices}
        if self._before and self._before[-1].items() >= now.items():
            last = self._before[-1]
            return [*self._before[:-1], last | {"seconds": last["seconds"] + seconds}]
        return [*self._before, now | {"seconds": seconds}]


def versions() -> dict[str, str]:
    """Of Python and of what decides the numbers of a run."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def write_record(folder: str | Path, record: Mapping, recipe: str | None) -> None:
    """
    Writes `training.json`, and `recipe.yaml` where there is a recipe.

    Args:
        folder (`str` or `Path`): Of the weights.
        record (`Mapping`): From the trainer's `describe`.
        recipe (`str`, *optional*): [`RunSource.recipe_text`].
    """
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    Path(folder, RECORD).write_text(text, encoding="utf-8")
    if recipe is not None:
        Path(folder, RECIPE).write_text(recipe, encoding="utf-8")


def read_record(folder: str | Path) -> dict:
    """
    The `training.json` of a folder.

    Raises:
        ValueError: when there is none.
    """
    path = Path(folder, RECORD)
    if not path.is_file():
        raise ValueError(
            f"{folder} has no {RECORD}, which every training writes beside its weights; name the output_dir of a training, one of "
            "its checkpoints, or what `mmprolong merge` wrote"
        )
    return json.loads(path.read_text(encoding="utf-8"))


def sha256_of(text: str | None) -> str | None:
    """Of a file with this text; `None` where there is none."""
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()
