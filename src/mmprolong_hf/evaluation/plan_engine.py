"""The engine of a plan, with the model's context extended where the plan says so."""

import hashlib
import json
from dataclasses import asdict

from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel, ProcessorMixin

from mmprolong_hf.encoding import load_processor
from mmprolong_hf.evaluation.generate import load_model
from mmprolong_hf.evaluation.options import EvaluationOptions, RopeOptions
from mmprolong_hf.evaluation.requests import Engine
from mmprolong_hf.evaluation.server_engine import ServerEngine
from mmprolong_hf.evaluation.shared_prefix import TransformersEngine
from mmprolong_hf.evaluation.vllm_engine import VllmEngine
from mmprolong_hf.rope import extend_context


def make_engine(options: EvaluationOptions) -> Engine:
    """
    Load the model, or reach for the server, that answers a plan. The engine's name says what was changed of the model.

    Args:
        options (`EvaluationOptions`): The plan.

    Raises:
        ValueError: when the model is not there, or its context cannot be extended as asked.
    """
    if options.engine == "server":
        processor = load_processor(options.model) if options.server.check_prompts else None
        return ServerEngine(options.server.endpoint, continues=options.server.continues, processor=processor)
    config = extended_config(options.model, options.rope)
    if options.engine == "vllm":
        overrides = None if options.rope is None else vllm_overrides(config)
        return VllmEngine(options.model, hf_overrides=overrides, **asdict(options.vllm))
    processor = load_processor(options.model)
    return named_engine(load_model(options.model, config), processor, **asdict(options.transformers))


def named_engine(model: PreTrainedModel, processor: ProcessorMixin, **kwargs) -> TransformersEngine:
    """
    A model in this process as an engine, whose name tells its weights and its rotary embedding.

    Args:
        model (`PreTrainedModel`), processor (`ProcessorMixin`), kwargs: As
            [`~mmprolong_hf.evaluation.shared_prefix.TransformersEngine`].
    """
    engine = TransformersEngine(model, processor, **kwargs)
    engine.name += f", weights {weights_hash(model)[:8]}, rotary {json.dumps(rotary_numbers(model))}"
    return engine


def extended_config(path: str, rope: RopeOptions | None) -> PreTrainedConfig:
    """
    A checkpoint's config, extended where `rope` is given.

    Args:
        path (`str`): Checkpoint folder or Hub id.
        rope (`RopeOptions`, *optional*): How.

    Raises:
        ValueError: when there is no such checkpoint, and as [`~mmprolong_hf.rope.extend_context`].
    """
    try:
        config = AutoConfig.from_pretrained(path)
    except OSError as error:
        raise ValueError(
            f"model {path} is neither a checkpoint folder nor a model that the Hub gives to you: {error}"
        ) from error
    return config if rope is None else extend_context(config, **asdict(rope))


def vllm_overrides(config: PreTrainedConfig) -> dict:
    """
    What vLLM has to change of a checkpoint's config to have this one's context.

    The keys stand under `text_config`, since vLLM ignores them at the top of a nested config; `rope_parameters` is
    whole, since vLLM replaces a nested dict, and one without `mrope_section` would turn M-RoPE off.

    Args:
        config (`PreTrainedConfig`): From [`extended_config`].
    """
    text = config.text_config
    window = {"max_position_embeddings": text.max_position_embeddings}
    return {"text_config": {"rope_parameters": dict(text.rope_parameters), **window}}


def weights_hash(model: PreTrainedModel) -> str:
    """
    A hash of the beginning of every parameter: a checkpoint that was trained further, under the same name, is another
    model, and its answers are not mixed with those of the one before.

    Args:
        model (`PreTrainedModel`): Any.
    """
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        digest.update(name.encode() + parameter.detach().flatten()[:64].float().cpu().numpy().tobytes())
    return digest.hexdigest()


def rotary_numbers(model: PreTrainedModel) -> dict[str, float | str]:
    """
    The rotary embedding that a loaded model really has, not what its config asks for: a wrong key is ignored in
    silence.

    Args:
        model (`PreTrainedModel`): Qwen2.5-VL or Qwen3-VL.

    Returns:
        `dict` with `type`, the `highest` and `lowest` frequency in radians per position, and `scaling` of attention.
    """
    rotary = model.model.language_model.rotary_emb
    frequencies = rotary.inv_freq
    return {
        "type": rotary.rope_type,
        "highest": float(f"{frequencies[0].item():.4g}"),
        "lowest": float(f"{frequencies[-1].item():.4g}"),
        "scaling": round(float(rotary.attention_scaling), 4),
    }
