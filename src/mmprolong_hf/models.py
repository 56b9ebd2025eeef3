"""Loading a checkpoint with its context extended, and choosing which of its parts are trained."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled
from peft import LoraConfig, PeftConfig, PeftModel
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedConfig, PreTrainedModel, ProcessorMixin
from trl import ModelConfig, get_peft_config

from mmprolong_hf.attention import PACKED_ATTENTION, choose_attention
from mmprolong_hf.config import MMProLongConfig
from mmprolong_hf.encoding import image_limits, load_processor, save_processor
from mmprolong_hf.hub.loading import from_hub
from mmprolong_hf.old_readers import write_for_old_readers
from mmprolong_hf.rope import FAMILIES, extend_context, write_both_formats
from mmprolong_hf.run_record import RECIPE, RECORD, read_record, write_record
from mmprolong_hf.sharing import Parts

# Matched against whole module paths: the vision tower has layers of the same names.
LANGUAGE_LINEARS = r".*\.language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
# What is read of a model on the Hub; in folders of it may be checkpoints of its training
DESCRIPTION, WEIGHTS, OTHERS = ("*.json", "*.jinja", "*.txt", "*.yaml"), ("*.safetensors",), ("*/*.safetensors",)
PARTS = ("language_model", "merger", "vision_tower")


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
    kwargs |= {"config": config, "local_files_only": True}
    fetch(name_or_path, kwargs.get("revision"))
    try:
        return AutoModelForImageTextToText.from_pretrained(name_or_path, **kwargs)
    except ImportError as error:  # an attention whose package is not installed
        raise ValueError(f"attn_implementation is {kwargs['attn_implementation']!r}, but {error}") from error
    except OSError as error:
        raise ValueError(f"the weights of {name_or_path} cannot be read: {str(error).splitlines()[0]}") from error


def fetch(name_or_path: str | Path, revision: str | None = None, *, weights: bool = True) -> Path:
    """
    The folder of a model, brought from the Hub into the cache, to be read from there alone (`local_files_only`): transformers gives up at a failure that
    passes, and takes an optional file that it did not get for one that is not there.

    Args:
        name_or_path (`str` or `Path`): Hub id, or a folder, which stays as it is.
        revision (`str`, *optional*): Of the Hub id.
        weights (`bool`): Those too, or only what describes the model and its processor.

    Raises:
        ValueError: when it is neither, or the Hub does not give it.
    """
    if Path(name_or_path).is_dir():
        return Path(name_or_path)
    patterns = [*DESCRIPTION, *WEIGHTS] if weights else DESCRIPTION
    load = partial(
        snapshot_download, str(name_or_path), revision=revision, allow_patterns=patterns, ignore_patterns=OTHERS
    )
    refusal = f"{name_or_path} is neither a checkpoint folder nor a model that the Hub gives to you"
    try:
        return Path(from_hub(load, refusal))
    except (HFValidationError, OfflineModeIsEnabled) as error:
        raise ValueError(f"{refusal}: {str(error).splitlines()[0]}") from error


def load_config(name_or_path: str, args: MMProLongConfig, revision: str | None = None) -> PreTrainedConfig:
    """The config that [`load_model`] builds the model with."""
    fetch(name_or_path, revision, weights=False)
    try:
        config = AutoConfig.from_pretrained(name_or_path, revision=revision, local_files_only=True)
    except OSError as error:
        raise ValueError(f"{name_or_path} is no checkpoint that can be read: {str(error).splitlines()[0]}") from error
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


def check_loaded(model: PreTrainedModel, processor: ProcessorMixin, args: MMProLongConfig) -> None:
    """
    Settings that only loading can honour are not ignored in silence.

    Raises:
        ValueError: when `args` name a rotary base, a window or pixel limits that the loaded model and processor do not have.
    """
    text, limits = model.config.text_config, image_limits(processor)
    for name, asked, found in (
        ("rope_theta", args.rope_theta, text.rope_parameters["rope_theta"]),
        ("max_position_embeddings", args.max_position_embeddings, text.max_position_embeddings),
        ("min_pixels", args.min_pixels, limits.min_pixels),
        ("max_pixels", args.max_pixels, limits.max_pixels),
    ):
        if asked is not None and asked != found:
            loader = "encoding.load_processor" if name.endswith("pixels") else "models.load_model"
            raise ValueError(f"{name} is {asked}, but what was loaded has {found}; load it with mmprolong_hf.{loader}")


def check_attention(config: PreTrainedConfig, parts: Parts) -> None:
    """
    Raises:
        ValueError: when documents are shared and the model's attention cannot do that: its losses would be wrong.
    """
    attention = config.text_config._attn_implementation
    if attention != PACKED_ATTENTION and (parts.num_samples > 1).any():
        raise ValueError(
            f"attn_implementation is {attention!r}, but documents are shared, which {PACKED_ATTENTION!r} alone can do; leave "
            "attn_implementation out, or set share_documents: false"
        )


def set_vision_learning_rate(
    optimizer: torch.optim.Optimizer, named_parameters: Iterable[tuple[str, torch.nn.Parameter]], rate: float
) -> None:
    """Moves the parameters of the vision tower and its merger into groups with a learning rate of their own."""
    vision = {id(parameter) for name, parameter in named_parameters if ".visual." in name}
    for group in list(optimizer.param_groups):
        own = [parameter for parameter in group["params"] if id(parameter) in vision]
        group["params"] = [parameter for parameter in group["params"] if id(parameter) not in vision]
        if own:
            optimizer.add_param_group({**group, "params": own, "lr": rate})
    optimizer.param_groups[:] = [group for group in optimizer.param_groups if group["params"]]


def lora_config(arguments: ModelConfig) -> LoraConfig | None:
    """
    TRL's LoRA configuration of a recipe. Where the recipe names no modules, the linear layers of the language model are
    adapted (PEFT has no default for Qwen-VL), and the vision tower stays as it is.

    Args:
        arguments (`ModelConfig`): Its `use_peft` and `lora_*` fields.

    Returns:
        `LoraConfig`, or `None` without `use_peft`.
    """
    config = get_peft_config(arguments)
    if config is None:
        return None
    modules = arguments.lora_target_modules
    if modules is None:
        config.target_modules = LANGUAGE_LINEARS
    elif isinstance(modules, str) and modules.isidentifier():
        # TRL unpacks a list of one, and PEFT would match the bare name against whole paths.
        config.target_modules = {modules}
    return config


def freeze(model: torch.nn.Module, args: MMProLongConfig) -> None:
    """
    Turns off the gradients of the parts that `args` freezes, adapters on them included.

    Raises:
        ValueError: when nothing is left to train.
    """
    for name, parameter in model.named_parameters():
        if getattr(args, f"freeze_{_part_of(name)}"):
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        frozen = [name for name in PARTS if getattr(args, f"freeze_{name}")]
        raise ValueError(
            f"nothing is left to train: the recipe freezes {', '.join(frozen) or 'nothing'}, and the rest of the model was frozen "
            "before; load it anew, or freeze less"
        )


def _part_of(name: str) -> str:
    return "language_model" if ".visual." not in name else "merger" if "merger" in name else "vision_tower"


def trained_parts(model: torch.nn.Module) -> str:
    """
    How many parameters of each part are trained, of how many; adapters count as parameters. A model that was frozen in part by an
    earlier trainer, or by hand, stays so.
    """
    counts = {part: [0, 0] for part in PARTS}
    for name, parameter in model.named_parameters():
        counts[_part_of(name)][0] += parameter.requires_grad * parameter.numel()
        counts[_part_of(name)][1] += parameter.numel()
    return ", ".join(
        f"{trained:,} of {total:,} parameters of the {part.replace('_', ' ')}"
        for part, (trained, total) in counts.items()
    )


def merge_adapter(adapter: str | Path, destination: str | Path) -> None:
    """
    Writes a checkpoint of its own from a LoRA adapter and its base, on the extended config that the adapter was trained with.

    Args:
        adapter (`str` or `Path`): The output folder of a LoRA run, or the Hub id of a published adapter.
        destination (`str` or `Path`): Folder to write; it must not exist.

    Raises:
        ValueError: when the adapter is not one of ours, or it or its base is not there, or the destination exists.
    """
    destination = Path(destination)
    if destination.exists():
        raise ValueError(f"{destination} exists: name a new folder, or remove that one")
    adapter = adapter_folder(adapter)
    found = PeftConfig.from_pretrained(adapter)
    base, config = found.base_model_name_or_path, AutoConfig.from_pretrained(adapter)
    options = {"dtype": "auto", "revision": found.revision, "local_files_only": True}
    try:
        fetch(base, found.revision)
        model = AutoModelForImageTextToText.from_pretrained(base, config=config, **options)
    except (ValueError, OSError) as error:
        raise ValueError(f"the adapter's base: {str(error).splitlines()[0]}") from error
    PeftModel.from_pretrained(model, adapter).merge_and_unload().save_pretrained(destination)
    save_processor(load_processor(adapter), destination)
    write_both_formats(destination)
    write_for_old_readers(destination)
    if (adapter / RECORD).is_file():  # what was published elsewhere, or trained by an earlier version, has none
        record, recipe = read_record(adapter), adapter / RECIPE
        record["adapter"]["merged"] = True
        write_record(destination, record, recipe.read_text(encoding="utf-8") if recipe.is_file() else None)


def adapter_folder(adapter: str | Path) -> Path:
    """
    The folder of an adapter, downloaded where it is a Hub id.

    Raises:
        ValueError: when it is neither, or holds no adapter with its extended config.
    """
    folder = fetch(adapter, weights=False)
    if not (folder / "adapter_config.json").is_file() or not (folder / "config.json").is_file():
        raise ValueError(f"{adapter} holds no adapter_config.json with the config.json it was trained with")
    return fetch(adapter)
