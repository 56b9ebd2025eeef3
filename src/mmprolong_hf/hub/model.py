"""A checkpoint or an adapter to the Hub: whole, with nothing but what is needed to use it, and a card that tells what it is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub.utils import HFValidationError, validate_repo_id

from mmprolong_hf.hub.card import Card
from mmprolong_hf.hub.model_card import published_card
from mmprolong_hf.hub.model_files import ADAPTER_CONFIG, OWNED, CheckpointFiles, find_checkpoint
from mmprolong_hf.hub.push import check_repo_id, push
from mmprolong_hf.hub.pushed import Pushed


@dataclass(frozen=True)
class ModelPlan:
    """
    What a publication would push.

    Args:
        repo_id (`str`): Where to.
        files (`Mapping[str, Path | bytes]`): Path in the repository -> file or content, without the README.md.
        card (`Card`): The README.md.
        message (`str`): Of the commit.
        owned (`tuple[str, ...]`): Patterns of files that an earlier push left, as for [`~mmprolong_hf.hub.push.push`].
    """

    repo_id: str
    files: Mapping[str, Path | bytes]
    card: Card
    message: str
    owned: tuple[str, ...]

    def __str__(self) -> str:
        sizes = {name: len(c) if isinstance(c, bytes) else c.stat().st_size for name, c in self.files.items()}
        lines = [str(self.card), *(f"{size:>14,}  {name}" for name, size in sizes.items())]
        return "\n".join(
            [*lines, f"{len(sizes)} files, {sum(sizes.values()):,} bytes, and README.md to {self.repo_id}"]
        )


def plan_model(
    folder: str | Path, repo_id: str, *, evaluations: Sequence[str | Path] = (), base_model: str | None = None
) -> ModelPlan:
    """
    What [`publish_model`] would push; it needs no network.

    Args:
        folder, repo_id, evaluations, base_model: As [`publish_model`] takes them.

    Raises:
        ValueError: as [`publish_model`], but for what the Hub refuses.
    """
    check_repo_id(repo_id)
    checkpoint = find_checkpoint(folder)
    _check_base(checkpoint, base_model)
    card = published_card(checkpoint, repo_id, evaluations, base_model)
    files = {name: checkpoint.folder / name for name in checkpoint.names}
    if checkpoint.is_adapter:
        files[ADAPTER_CONFIG] = _with_base(checkpoint, base_model)
    message = f"{'Adapter' if checkpoint.is_adapter else 'Model'} of step {checkpoint.record['step']}"
    return ModelPlan(repo_id, files, card, message, () if checkpoint.is_adapter else OWNED)


def publish_model(
    folder: str | Path,
    repo_id: str,
    *,
    evaluations: Sequence[str | Path] = (),
    base_model: str | None = None,
    private: bool | None = None,
    revision: str | None = None,
) -> Pushed:
    """
    Publishes what a training wrote: weights in safetensors, config, processor, its record and recipe, and a card. No state of an
    optimizer, no other checkpoint, no pickle. All of it is looked at before anything is sent, and lands in one commit.

    Args:
        folder (`str` or `Path`): The `output_dir` of a training, one of its complete checkpoints, or what `mmprolong merge` wrote.
            No file of it is changed.
        repo_id (`str`): "name/repository".
        evaluations (`Sequence[str | Path]`): Folders of runs of `mmprolong evaluate` of this checkpoint, for the card.
        base_model (`str`, *optional*): Hub id of the base, where training read it from a local folder.
        private (`bool`, *optional*), revision (`str`, *optional*): As for [`~mmprolong_hf.hub.push.push`].

    Raises:
        ValueError: as [`~mmprolong_hf.hub.model_files.find_checkpoint`], [`~mmprolong_hf.hub.model_card.published_card`] and
            [`~mmprolong_hf.hub.push.push`]; when an adapter's base has no Hub id, or two.
    """
    plan = plan_model(folder, repo_id, evaluations=evaluations, base_model=base_model)
    return push(
        repo_id,
        "model",
        plan.files,
        plan.card,
        owned=plan.owned,
        message=plan.message,
        private=private,
        revision=revision,
    )


def _check_base(checkpoint: CheckpointFiles, base_model: str | None) -> None:
    trained_on = checkpoint.record["base_model"]["name"]
    if base_model is not None:
        try:
            validate_repo_id(base_model)
        except HFValidationError as error:
            raise ValueError(f"base_model is {base_model!r}, expected a Hub id ({error})") from error
        if trained_on is not None and trained_on != base_model:
            raise ValueError(f"base_model is {base_model!r}, but the training was of {trained_on!r}; leave it out")
    if checkpoint.is_adapter and trained_on is None and base_model is None:
        local = json.loads((checkpoint.folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
        raise ValueError(
            f"the adapter's base is a local folder ({local['base_model_name_or_path']}), where nobody else finds it; name the Hub id of "
            "the same weights as base_model (--base_model), or publish the base first"
        )


def _with_base(checkpoint: CheckpointFiles, base_model: str | None) -> bytes:
    """The adapter's config, naming its base by its Hub id and commit."""
    base = checkpoint.record["base_model"]
    config = json.loads((checkpoint.folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    config |= {"base_model_name_or_path": base["name"] or base_model, "revision": base["commit"]}
    return (json.dumps(config, indent=2, sort_keys=True) + "\n").encode()
