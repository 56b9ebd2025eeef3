"""Markdown templates filled in: what a published checkpoint or dataset says about itself."""

from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from mmprolong_hf import __version__


def write_model_card(
    path: Path, template: str | Path, *, model_name: str, base_model: str, tags: list[str], **values: Any
) -> None:
    """
    Fills a model card template (Jinja, as huggingface_hub's own) and writes it.

    Args:
        path (`Path`): The README.md to write.
        template (`str` or `Path`): The template; `model_cards/` holds ours.
        model_name, base_model (`str`): Repository names; a local folder is not named as a base model.
        tags (`list[str]`): Tags of the card's metadata.
        values: What else the template names.

    Raises:
        ValueError: when the template does not exist.
    """
    if not Path(template).is_file():
        raise ValueError(f"model_card_template {template} does not exist; ours are in model_cards/")
    data = ModelCardData(
        model_name=model_name,
        base_model=None if Path(base_model).is_dir() else base_model or None,
        library_name="transformers",
        pipeline_tag="image-text-to-text",
        tags=tags,
    )
    card = ModelCard.from_template(data, template_path=str(template), version=__version__, **values)
    path.parent.mkdir(parents=True, exist_ok=True)
    card.save(path)
