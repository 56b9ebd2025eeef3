"""What of a training's folder goes to the Hub, and whether it is whole: looked at before anything is sent."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from mmprolong_hf.checkpoints import why_incomplete
from mmprolong_hf.encoding import image_limits, load_processor
from mmprolong_hf.rope import FAMILIES
from mmprolong_hf.run_record import RECIPE, RECORD, read_record

INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
ADAPTER, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
CONFIG, GENERATION, PROCESSOR, IMAGES = (
    "config.json",
    "generation_config.json",
    "processor_config.json",
    "preprocessor_config.json",
)
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
# Everything else stays: optimizer and random states, checkpoint-* folders, and training_args.bin, which is a pickle
DESCRIPTION = (CONFIG, PROCESSOR, IMAGES, *TOKENIZER, RECORD)
OPTIONAL = (
    "chat_template.jinja",
    "video_preprocessor_config.json",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    RECIPE,
)
# On the Hub, what another sharding of the weights left there
OWNED = ("model.safetensors", "model-*-of-*.safetensors", INDEX)


@dataclass(frozen=True)
class CheckpointFiles:
    """
    A checkpoint or adapter that is whole.

    Args:
        folder (`Path`): Where it is.
        names (`tuple[str, ...]`): Its files to publish.
        record (`Mapping`): Its `training.json`.
        is_adapter (`bool`): LoRA.
    """

    folder: Path
    names: tuple[str, ...]
    record: Mapping
    is_adapter: bool


def find_checkpoint(folder: str | Path) -> CheckpointFiles:
    """
    The files of a checkpoint, each looked at.

    Args:
        folder (`str` or `Path`): The `output_dir` of a training, or one of its checkpoints.

    Raises:
        ValueError: when something of it is missing, cut short, or not as training writes it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; name the output_dir of a training, or one of its checkpoints")
    if re.fullmatch(r"checkpoint-\d+", folder.name) and (reason := why_incomplete(folder)) is not None:
        raise ValueError(f"{folder} {reason}: it is incomplete, publish an earlier checkpoint")
    is_adapter = (folder / ADAPTER_CONFIG).is_file()
    weights = _adapter(folder) if is_adapter else _weights(folder)
    needed = (*DESCRIPTION, ADAPTER_CONFIG) if is_adapter else (*DESCRIPTION, GENERATION)
    if missing := [name for name in needed if not (folder / name).is_file()]:
        raise ValueError(
            f"{folder} has no {', '.join(missing)}, which a training of this version writes; go on with the training from its last "
            "checkpoint (--resume_from_checkpoint last), which writes all of them"
        )
    _check_config(folder)
    record = read_record(folder)
    _check_processor(folder, record)
    optional = tuple(name for name in (*OPTIONAL, GENERATION) if (folder / name).is_file() and name not in needed)
    return CheckpointFiles(folder, (*weights, *needed, *optional), record, is_adapter)


def _weights(folder: Path) -> tuple[str, ...]:
    if not (folder / INDEX).is_file():
        if not (folder / SINGLE).is_file():
            others = sorted(path.name for path in (*folder.glob("*.bin"), *folder.glob("pytorch_model_fsdp_*")))
            raise ValueError(
                f"{folder} holds no {SINGLE} and no {INDEX} (found {', '.join(others) or 'no weights'}); expected weights in "
                "safetensors: a sharded checkpoint of FSDP has none, the output_dir at the end of its training has"
            )
        _names_in(folder / SINGLE)
        return (SINGLE,)
    if (folder / SINGLE).is_file():
        raise ValueError(
            f"{folder} holds both {SINGLE} and {INDEX}, of which readers take one; remove the one that is old"
        )
    try:
        where = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
    except (ValueError, KeyError) as error:
        raise ValueError(f"{folder / INDEX} is no index of weights ({error!r}); save the model again") from error
    shards = sorted(set(where.values()))
    if missing := [shard for shard in shards if not (folder / shard).is_file()]:
        raise ValueError(
            f"{folder} has no {', '.join(missing)}, but {INDEX} names {len(shards)} files; copy the folder again, or publish another "
            "checkpoint"
        )
    for shard in shards:
        expected = {name for name, file in where.items() if file == shard}
        if lost := sorted(expected - _names_in(folder / shard)):
            raise ValueError(
                f"{folder / shard} does not hold {lost[0]} ({len(lost)} such), which {INDEX} says it does; the two are of different "
                "savings: publish another checkpoint"
            )
    return (*shards, INDEX)


def _adapter(folder: Path) -> tuple[str]:
    if found := sorted(path.name for path in folder.glob("model*.safetensors*")):
        raise ValueError(
            f"{folder} holds an adapter and {found[0]}, expected one of them; take away what is of another run"
        )
    if not (folder / ADAPTER).is_file():
        raise ValueError(f"{folder} has {ADAPTER_CONFIG} but no {ADAPTER}; publish a checkpoint that is whole")
    _names_in(folder / ADAPTER)
    return (ADAPTER,)


def _names_in(path: Path) -> set[str]:
    try:
        with safe_open(path, "pt") as file:
            names = set(file.keys())
    except SafetensorError as error:  # its length is compared with the header's too
        raise ValueError(f"{path} cannot be read ({error}): it is cut short or no safetensors file") from error
    if not names:
        raise ValueError(f"{path} holds no weights, expected those of the model; publish another checkpoint")
    return names


def _check_config(folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if config.get("model_type") not in FAMILIES:
        raise ValueError(
            f"{folder / CONFIG} is of a {config.get('model_type')!r} model, expected one of: {', '.join(FAMILIES)}"
        )
    text = config.get("text_config", {})
    new, old = text.get("rope_parameters"), {"rope_theta": text.get("rope_theta")} | (text.get("rope_scaling") or {})
    if new is None or new != old:
        raise ValueError(
            f"{folder / CONFIG} has rope_parameters {new} for transformers 5 and {old} for transformers 4, expected the same in both: "
            "a reader would have another context; mmprolong_hf.rope.write_both_formats writes them"
        )


def _check_processor(folder: Path, record: Mapping) -> None:
    processor = load_processor(folder)
    if processor.chat_template is None:
        raise ValueError(f"{folder} has no chat template (chat_template.jinja); copy that of the base model into it")
    found = image_limits(processor)
    old = json.loads((folder / IMAGES).read_text(encoding="utf-8"))
    for name in ("min_pixels", "max_pixels"):
        if record[name] != getattr(found, name) or record[name] != old.get(name):
            raise ValueError(
                f"{name} is {getattr(found, name)} as transformers 5 reads {IMAGES}, and {old.get(name)} as 4 does, but training had "
                f"{record[name]}; pages would have other tokens than those trained on: put back the files of the training"
            )
