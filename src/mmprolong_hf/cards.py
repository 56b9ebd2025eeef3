"""The card of a checkpoint: a template filled in with the record of its run."""

import json
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, StrictUndefined, TemplateError

from mmprolong_hf.hub.card import Card, digests
from mmprolong_hf.old_readers import OLDEST_TRANSFORMERS

# What the Hub says of the bases of the recipes; of any other a recipe says it (model_license), or nothing is said
LICENSES = {"Qwen/Qwen2.5-VL-7B-Instruct": "apache-2.0", "Qwen/Qwen3-VL-8B-Instruct": "apache-2.0"}
EVALUATION = "Evaluation"  # the section
NOT_MEASURED = (
    "\nNothing was measured. `mmprolong evaluate PLAN` measures a checkpoint, and `mmprolong publish model FOLDER REPO_ID --evaluation RUN` "
    "puts its results here.\n\n"
)


def read_template(path: str | Path) -> str:
    """
    The text of a template.

    Raises:
        ValueError: when it does not exist.
    """
    if not Path(path).is_file():
        raise ValueError(f"model_card_template {path} does not exist; ours are in model_cards/")
    return Path(path).read_text(encoding="utf-8")


def _devices(hardware: list[Mapping]) -> str:
    return ", then ".join(f"{part['num_devices']} x {part['device']}" for part in hardware)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:,.1f}" if seconds >= 3600 else f"{seconds / 3600:.2g}"


_ENVIRONMENT = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
_ENVIRONMENT.filters |= {"devices": _devices, "hours": _hours}


def model_card(record: Mapping, name: str, base_model: str | None = None) -> Card:
    """
    The card of a checkpoint of which nothing was measured yet.

    Args:
        record (`Mapping`): Its `training.json`, with a template.
        name (`str`): How it is loaded: its Hub id.
        base_model (`str`, *optional*): Hub id of the base, where the record names none.

    Raises:
        ValueError: when the template is broken, or names what the record does not have.
    """
    base = record["base_model"]["name"] or base_model
    adapter = record["adapter"]
    values = {
        "name": name,
        "base": base,
        "lora": adapter is not None and not adapter["merged"],
        "oldest_transformers": OLDEST_TRANSFORMERS[record["family"]],
        "vllm_overrides": json.dumps({"text_config": {"rope_parameters": record["rope_parameters"]}}),
        "seconds": sum(part["seconds"] for part in record["hardware"]),
        "device_seconds": sum(part["seconds"] * part["num_devices"] for part in record["hardware"]),
    }
    try:
        text = _ENVIRONMENT.from_string(record["card_template"]).render(record, **values)
    except TemplateError as error:
        raise ValueError(f"model_card_template cannot be filled in ({error}); mend it") from error
    card = Card.parse(text)
    card.metadata |= _metadata(record, base)
    card.sections[EVALUATION] = NOT_MEASURED
    return card


def local_card(record: Mapping, name: str) -> Card:
    """The card that lies beside the weights: it notes what it was made like, so that publishing keeps what is edited in it."""
    card = model_card(record, name)
    card.record = digests(card)
    return card


def _metadata(record: Mapping, base: str | None) -> dict:
    adapter = record["adapter"]
    metadata = {}
    if base is not None:
        relation = "adapter" if adapter is not None and not adapter["merged"] else "finetune"
        metadata |= {"base_model": base, "base_model_relation": relation}
    if names := [dataset["name"] for dataset in record["datasets"] if dataset["name"] is not None]:
        metadata["datasets"] = names
    if record["license"] is not None:
        metadata["license"] = record["license"]
    return metadata
