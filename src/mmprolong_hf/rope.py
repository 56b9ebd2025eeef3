"""Longer context for Qwen2.5-VL and Qwen3-VL: a new config, and a checkpoint folder that old and new readers understand."""

import copy
import json
import math
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import snapshot_download
from transformers import AutoConfig, PreTrainedConfig


@dataclass(frozen=True)
class Family:
    """
    What a family is published with, and what it is extended to when the caller names no numbers.

    Args:
        native_rope_theta (`float`): Base of the published checkpoints; a larger one in a config means it was extended before.
        rope_theta (`float` or `None`): Base after extension; `None` keeps the present one.
        max_position_embeddings (`int` or `None`): Window in tokens after extension; `None` keeps the present one.
    """

    native_rope_theta: float
    rope_theta: float | None
    max_position_embeddings: int | None


# Qwen2.5-VL: the base of MMProLong (arXiv 2605.13831), 1e6 -> 4e6. Qwen3-VL is published with 262,144 positions: kept as it is.
FAMILIES = {
    "qwen2_5_vl": Family(native_rope_theta=1.0e6, rope_theta=4.0e6, max_position_embeddings=131072),
    "qwen3_vl": Family(native_rope_theta=5.0e6, rope_theta=None, max_position_embeddings=None),
}
# The text of Qwen2.5-VL was trained on 32,768 positions; the 128000 of its published config is no basis for a factor.
YARN_FACTOR = 4.0
YARN_ORIGINAL_MAX_POSITION_EMBEDDINGS = 32768


def extend_context(
    config: PreTrainedConfig,
    *,
    max_position_embeddings: int | None = None,
    rope_theta: float | None = None,
    rope_type: str = "default",
    factor: float | None = None,
    original_max_position_embeddings: int | None = None,
) -> PreTrainedConfig:
    """
    Return a copy of a Qwen2.5-VL or Qwen3-VL config whose rotary embedding reaches a longer context.

    The copy has to be given to `from_pretrained(path, config=...)`: a model computes its frequencies once, when it is built.

    Args:
        config (`PreTrainedConfig`): The published config (`AutoConfig.from_pretrained(path)`). It is not changed.
        max_position_embeddings (`int`, *optional*): Window in tokens. Qwen2.5-VL: 131,072; Qwen3-VL: as it is (262,144).
        rope_theta (`float`, *optional*): Base of the frequencies. `rope_type="default"`: 4e6 for Qwen2.5-VL, as it is for
            Qwen3-VL; `rope_type="yarn"`: as it is.
        rope_type (`str`): `"default"` changes the base alone; `"yarn"` is YaRN (arXiv 2309.00071).
        factor (`float`, *optional*): YaRN's ratio of the new window to the old one, 4.0 if not given.
        original_max_position_embeddings (`int`, *optional*): Positions that the text was trained on before YaRN, 32,768 if
            not given; `factor` times this is the window.

    Raises:
        ValueError: for a model in place of a config, an unknown family, a config that was extended before, an
            `mrope_section` that is missing or does not fill half a head, a window or base smaller than the present one, a
            factor below 1 or at odds with the window, and YaRN's arguments without `rope_type="yarn"`.

    Example:

    ```python
    >>> from transformers import Qwen2_5_VLConfig
    >>> rope = {"rope_type": "default", "rope_theta": 1.0e6, "mrope_section": [16, 24, 24]}
    >>> config = Qwen2_5_VLConfig(text_config={"rope_parameters": rope})
    >>> extend_context(config).text_config.rope_parameters
    {'rope_type': 'default', 'rope_theta': 4000000.0, 'mrope_section': [16, 24, 24]}
    >>> extend_context(config, rope_type="yarn").text_config.rope_parameters["factor"]
    4.0
    >>> config.text_config.rope_parameters["rope_theta"], config.text_config.max_position_embeddings
    (1000000.0, 32768)

    ```
    """
    family, text = _check_config(config), config.text_config
    present = text.max_position_embeddings
    window = _target("max_position_embeddings", max_position_embeddings, family.max_position_embeddings, present)
    # A "type" left over from the v4 format would win over "rope_type" in v4 readers, and turn YaRN off again.
    rope = {key: value for key, value in text.rope_parameters.items() if key != "type"}
    if rope_type == "yarn":
        rope |= _yarn(window, factor, original_max_position_embeddings)
        rope["rope_theta"] = _target("rope_theta", rope_theta, None, rope["rope_theta"])
    elif rope_type != "default":
        raise ValueError(f"rope_type is {rope_type!r}, expected 'default' or 'yarn'")
    elif factor is not None or original_max_position_embeddings is not None:
        raise ValueError("factor and original_max_position_embeddings belong to YaRN: pass rope_type='yarn' with them")
    else:
        rope["rope_theta"] = _target("rope_theta", rope_theta, family.rope_theta, rope["rope_theta"])

    extended = copy.deepcopy(config)
    extended.text_config.max_position_embeddings = window
    extended.text_config.rope_parameters = rope
    return extended


def _check_config(config: PreTrainedConfig) -> Family:
    """The family of a config that can be extended; a ValueError for any other."""
    if not isinstance(config, PreTrainedConfig):
        raise ValueError(
            f"extend_context takes a config, got {type(config).__name__}: a live model keeps the frequencies it was built "
            "with, so extend AutoConfig.from_pretrained(path) and load with from_pretrained(path, config=extended)"
        )
    if config.model_type not in FAMILIES:
        raise ValueError(f"model_type is {config.model_type!r}, expected one of {', '.join(FAMILIES)}")
    family, text = FAMILIES[config.model_type], config.text_config
    rope = text.rope_parameters
    if "mrope_section" not in rope:
        raise ValueError(
            f"rope_parameters {rope} has no mrope_section, and the model would silently take its own default: "
            "keep the published one when you replace the dict"
        )
    head_dim = text.head_dim if config.model_type == "qwen3_vl" else text.hidden_size // text.num_attention_heads
    if sum(rope["mrope_section"]) != head_dim // 2:
        raise ValueError(
            f"mrope_section {rope['mrope_section']} sums to {sum(rope['mrope_section'])}, expected half of the head size "
            f"{head_dim}, {head_dim // 2}"
        )
    if rope["rope_type"] != "default" or rope["rope_theta"] > family.native_rope_theta:
        raise ValueError(
            f"the config is already extended (rope_type {rope['rope_type']!r}, rope_theta {rope['rope_theta']:g}; published "
            f"with 'default', {family.native_rope_theta:g}): use it as it is, or start from the published config"
        )
    return family


def _target(name: str, asked: float | None, default: float | None, present: float) -> float:
    """The number asked for, else the family's, else the present one; never one below the present."""
    target = next(number for number in (asked, default, present) if number is not None)
    if not math.isfinite(target):
        raise ValueError(f"{name} is {target}, expected a finite number")
    if target < present:
        raise ValueError(f"{name}={target} is smaller than the config's own {present}: name a larger one")
    return target


def _yarn(window: int, factor: float | None, original: int | None) -> dict:
    """YaRN's keys of `rope_parameters`."""
    factor = YARN_FACTOR if factor is None else factor
    original = YARN_ORIGINAL_MAX_POSITION_EMBEDDINGS if original is None else original
    if factor < 1:
        raise ValueError(f"factor is {factor}, expected at least 1: YaRN lengthens a context")
    if factor * original != window:
        raise ValueError(
            f"factor {factor} times original_max_position_embeddings {original} is {factor * original:g}, but "
            f"max_position_embeddings is {window}: make them agree"
        )
    return {"rope_type": "yarn", "factor": float(factor), "original_max_position_embeddings": original}


def write_both_formats(folder: str | os.PathLike) -> None:
    """
    Add the keys that transformers 4 reads to the `config.json` that transformers 5 saved; what 5 reads stays equal.

    Version 5 writes `rope_parameters` alone, which version 4 does not know. From 4.52 on it takes `rope_theta` and
    `rope_scaling` of both families from `text_config` wherever there is one, so they are written there. At the top level no
    reader of a nested config sees them, and version 5.23 fails on YaRN's: it looks for a window beside them.

    Args:
        folder (`str` or `os.PathLike`): A checkpoint that `save_pretrained` wrote.

    Raises:
        ValueError: when `config.json` has no `text_config.rope_parameters`.

    Example:

    ```python
    >>> from transformers import Qwen2_5_VLConfig
    >>> rope = {"rope_type": "default", "rope_theta": 1.0e6, "mrope_section": [16, 24, 24]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     extend_context(Qwen2_5_VLConfig(text_config={"rope_parameters": rope})).save_pretrained(folder)
    ...     write_both_formats(folder)
    ...     text = json.loads(Path(folder, "config.json").read_text())["text_config"]
    >>> text["rope_theta"], text["rope_scaling"]
    (4000000.0, {'mrope_section': [16, 24, 24], 'rope_type': 'default'})

    ```
    """
    path = Path(folder, "config.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    if "rope_parameters" not in content.get("text_config", {}):
        raise ValueError(
            f"{path} has no text_config.rope_parameters: save it with transformers 5 (save_pretrained) first"
        )
    saved = AutoConfig.from_pretrained(folder).to_dict()

    # No "type" beside "rope_type": v4 needs only the latter, and v5 would keep the former in rope_parameters.
    rope = dict(content["text_config"]["rope_parameters"])
    content["text_config"] |= {"rope_theta": rope.pop("rope_theta"), "rope_scaling": rope}
    partial = path.with_name("config.json.partial")
    partial.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    partial.replace(path)
    assert AutoConfig.from_pretrained(folder).to_dict() == saved, f"{path} reads differently with the v4 keys"


def extend_checkpoint(source: str | os.PathLike, destination: str | os.PathLike, **options) -> PreTrainedConfig:
    """
    Copy a checkpoint with an extended `config.json`; every other file stays byte for byte the same.

    The copy appears under its name only when it is complete. Files are copied, not linked: a later `save_pretrained` into
    the copy writes in place, and would change the source through a link.

    Args:
        source (`str` or `os.PathLike`): A checkpoint folder, or the id of a model on the Hub.
        destination (`str` or `os.PathLike`): Folder to write; it must not exist.
        options: Keyword arguments of [`extend_context`].

    Returns:
        `PreTrainedConfig`: The extended config.

    Raises:
        ValueError: when the destination exists, and for everything that [`extend_context`] refuses.

    Example:

    ```python
    >>> from transformers import Qwen2_5_VLConfig
    >>> rope = {"rope_type": "default", "rope_theta": 1.0e6, "mrope_section": [16, 24, 24]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Qwen2_5_VLConfig(text_config={"rope_parameters": rope}).save_pretrained(f"{folder}/base")
    ...     config = extend_checkpoint(f"{folder}/base", f"{folder}/long")
    ...     AutoConfig.from_pretrained(f"{folder}/long").text_config.max_position_embeddings
    131072

    ```
    """
    destination = Path(destination)
    if destination.exists():
        raise ValueError(f"{destination} exists: name a new folder, or remove that one")
    if Path(source).resolve() in destination.resolve().parents:
        raise ValueError(f"{destination} lies inside {source}: name a folder apart from it")
    config = extend_context(AutoConfig.from_pretrained(source), **options)  # before gigabytes are fetched or copied
    folder = source if Path(source).is_dir() else snapshot_download(str(source))
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=f".{destination.name}-") as temporary:
        partial = shutil.copytree(folder, Path(temporary, "checkpoint"))
        config.save_pretrained(partial)
        write_both_formats(partial)
        partial.rename(destination)
    return config
