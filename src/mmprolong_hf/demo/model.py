"""The demo's checkpoint: Qwen2.5-VL in everything but size, random, and small enough to learn on two cores."""

from pathlib import Path

import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from mmprolong_hf.encoding import IMAGE_ONLY_PROCESSORS, save_processor
from mmprolong_hf.synthesis.questions import load_templates

CHAT_TEMPLATE = Path(__file__).parent / "chat_template.jinja"
SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
CARD_QUESTIONS = ("section-title-on-page",)
MAX_MERGES = 200
HIDDEN_SIZE = 96
MAX_POSITION_EMBEDDINGS = 32768
# The recipe extends it fourfold, as the paper extends 1e6. Documents here are short, so the base is small.
ROPE_THETA = 2500.0
# A page is at most 1,024 of the 28 x 28 squares that become one token each.
MIN_PIXELS, MAX_PIXELS = 28 * 28 * 4, 28 * 28 * 1024
# Qwen's 0.02 suits thousands of channels. With 96, what a layer adds would be lost beside what it was given, and reading a
# letter would take five times as many steps.
INITIALIZER_RANGE = 0.1


def make_tokenizer() -> Qwen2Tokenizer:
    """
    Qwen's tokenizer with a vocabulary learnt from the demo's own prompts; it writes any text, byte by byte if it must.

    Example:

    ```python
    >>> tokenizer = make_tokenizer()
    >>> tokenizer.tokenize("Page 12:")
    ['Page', 'Ġ', '1', '2', ':']
    >>> tokenizer.decode(tokenizer("naïve 図").input_ids)
    'naïve 図'

    ```
    """
    kinds = load_templates()["kinds"]
    wordings = [wording for kind in CARD_QUESTIONS for wording in kinds[kind]["wordings"]]
    corpus = [text for page in range(1, 10) for text in (f"Page {page}:\n", f"\nPage {page}:\n")]
    corpus += [f"\n\n{wording.format(page=page)}" for wording in wordings for page in range(1, 10)]
    corpus += ["system\n", "user\n", "assistant\n"] * len(corpus)
    vocab_size = 256 + len(SPECIAL_TOKENS) + MAX_MERGES
    tokenizer = Qwen2Tokenizer().train_new_from_iterator(corpus, vocab_size, show_progress=False)
    tokenizer.add_special_tokens({"eos_token": "<|im_end|>", "extra_special_tokens": list(SPECIAL_TOKENS)})
    tokenizer.chat_template = CHAT_TEMPLATE.read_text(encoding="utf-8").rstrip("\n")
    tokenizer.model_max_length = 131072
    return tokenizer


def make_config(tokenizer: Qwen2Tokenizer) -> Qwen2_5_VLConfig:
    """
    Qwen2.5-VL's config in small.

    Args:
        tokenizer (`Qwen2Tokenizer`): From [`make_tokenizer`].
    """
    special = {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(f"<|{token}|>")
        for name, token in (
            ("image", "image_pad"),
            ("video", "video_pad"),
            ("vision_start", "vision_start"),
            ("vision_end", "vision_end"),
        )
    }
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": HIDDEN_SIZE,
            "intermediate_size": 2 * HIDDEN_SIZE,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": MAX_POSITION_EMBEDDINGS,
            "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_THETA, "mrope_section": [4, 4, 4]},
            "initializer_range": INITIALIZER_RANGE,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 4,
            "out_hidden_size": HIDDEN_SIZE,
            "fullatt_block_indexes": [1],
            "initializer_range": INITIALIZER_RANGE,
        },
        **special,
    )


def make_tiny_model(folder: str | Path, *, seed: int = 0) -> None:
    """
    Saves a random checkpoint with its tokenizer and processor, as one of Qwen's comes from the Hub.

    Args:
        folder (`str` or `Path`): Where `from_pretrained` will find it.
        seed (`int`): Of the weights; PyTorch's own random state stays as it was.
    """
    tokenizer = make_tokenizer()
    images = Qwen2VLImageProcessorPil(min_pixels=MIN_PIXELS, max_pixels=MAX_PIXELS)
    processor = IMAGE_ONLY_PROCESSORS["qwen2_5_vl"](images, tokenizer, chat_template=tokenizer.chat_template)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2_5_VLForConditionalGeneration(make_config(tokenizer))
    model.save_pretrained(folder)
    save_processor(processor, folder)
