"""Loading a checkpoint with its context extended, and choosing which of its parts are trained."""

from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedConfig, PreTrainedModel

from mmprolong_hf.attention import choose_attention
from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.rope import FAMILIES, extend_context


def load_model(name_or_path: str, args: MMProLongConfig, **kwargs) -> PreTrainedModel:
    """
    A checkpoint with its context extended as `args` say: on the config, before the weights load, since a model keeps the
    frequencies it was built with.

    Args:
        name_or_path (`str`): Hub id or folder of a Qwen2.5-VL or Qwen3-VL checkpoint.
        args (`MMProLongConfig`): Its `extend_context` and the fields after it.
        kwargs: Passed to `from_pretrained`; `attn_implementation` is chosen if not among them.

    Raises:
        ValueError: for another family, and as [`~mmprolong_hf.rope.extend_context`].
    """
    config = load_config(name_or_path, args, revision=kwargs.get("revision"))
    kwargs.setdefault("attn_implementation", choose_attention())
    return AutoModelForImageTextToText.from_pretrained(name_or_path, config=config, **kwargs)


def load_config(name_or_path: str, args: MMProLongConfig, revision: str | None = None) -> PreTrainedConfig:
    """The config that [`load_model`] builds the model with."""
    config = AutoConfig.from_pretrained(name_or_path, revision=revision)
    if config.model_type not in FAMILIES:
        raise ValueError(f"{name_or_path} is a {config.model_type!r} model, expected one of: {', '.join(FAMILIES)}")
    if not args.extend_context:
        return config
    return extend_context(
        config,
        max_position_embeddings=args.max_position_embeddings,
        rope_theta=args.rope_theta,
        rope_type=args.rope_type,
        factor=args.rope_factor,
        original_max_position_embeddings=args.original_max_position_embeddings,
    )


def freeze(model: PreTrainedModel, args: MMProLongConfig) -> None:
    """Turns off the gradients of the parts that `args` freezes."""
    visual = model.model.visual
    merger = [p for name, p in visual.named_parameters() if "merger" in name]
    tower = [p for name, p in visual.named_parameters() if "merger" not in name]
    language = [*model.model.language_model.parameters(), *model.lm_head.parameters()]
    for frozen, parameters in (
        (args.freeze_vision_tower, tower),
        (args.freeze_merger, merger),
        (args.freeze_language_model, language),
    ):
        if frozen:
            for parameter in parameters:
                parameter.requires_grad_(False)
