"""Qwen2.5-VL with random weights, and documents of random pages with questions, made on the spot for measuring."""

import torch
from peft import LoraConfig
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from mmprolong_hf.attention import choose_attention
from mmprolong_hf.models import LANGUAGE_LINEARS
from mmprolong_hf.positions import IGNORE_INDEX

# Both matrices of an adapter begin with random numbers, so that both have gradients to compare.
LORA = LoraConfig(r=16, lora_alpha=32, target_modules=LANGUAGE_LINEARS, init_lora_weights=False)
QUESTION, ANSWER = 32, 32  # tokens
PAGE_LABEL = 8  # tokens of text before every page
TEXT_IDS = 500  # text tokens are drawn from these, below every special token
TEXT = {
    "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
    "num_key_value_heads": 4, "max_position_embeddings": 131072,
    "rope_parameters": {"rope_type": "default", "rope_theta": 4e6, "mrope_section": [16, 24, 24]},
}  # fmt: skip
VISION = {"hidden_size": 1280, "intermediate_size": 3420, "out_hidden_size": 3584}
PAGE_GRID = (74, 56)  # patches: 1,036 tokens
TINY_TEXT = TEXT | {
    "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "rope_parameters": TEXT["rope_parameters"] | {"mrope_section": [2, 3, 3]},
    "bos_token_id": None, "eos_token_id": None, "initializer_range": 0.1,
}  # fmt: skip
TINY_VISION = {
    "depth": 2,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_heads": 2,
    "out_hidden_size": 64,
    "fullatt_block_indexes": [1],
    "initializer_range": 0.1,
}
TINY_IDS = {"image_token_id": 501, "video_token_id": 502, "vision_start_token_id": 503, "vision_end_token_id": 504}
TINY_PAGE_GRID = (8, 6)  # 12 tokens


def make_config(*, layers: int | None, tiny: bool) -> Qwen2_5_VLConfig:
    """Of the 7B model, or of a tiny one; with fewer language layers if `layers` says so."""
    text = (TINY_TEXT if tiny else TEXT) | ({"num_hidden_layers": layers} if layers else {})
    return Qwen2_5_VLConfig(
        text_config=text, vision_config=TINY_VISION if tiny else VISION, **(TINY_IDS if tiny else {})
    )


def make_model(
    config: Qwen2_5_VLConfig, device: torch.device, attention: str | dict[str, str] | None = None
) -> Qwen2_5_VLForConditionalGeneration:
    """In bfloat16, made on the device, always of the same weights; with our attention if no other is named."""
    torch.manual_seed(0)
    with device:
        return Qwen2_5_VLForConditionalGeneration._from_config(
            config, dtype=torch.bfloat16, attn_implementation=attention or choose_attention()
        )


def trained(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The weights that are trained: of adapters alone where there are some."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def make_samples(config: Qwen2_5_VLConfig, length: int, num_questions: int, grid: tuple[int, int]) -> list[dict]:
    """
    Samples about one document, as the collator takes them.

    Args:
        config (`Qwen2_5_VLConfig`): Of the model.
        length (`int`): Tokens of the document: pages, and before them text where no further page fits.
        num_questions (`int`): Samples.
        grid (`tuple[int, int]`): Rows and columns of a page's patches.
    """
    torch.manual_seed(length)
    image = [
        config.vision_start_token_id,
        *[config.image_token_id] * (grid[0] * grid[1] // 4),
        config.vision_end_token_id,
    ]
    page = torch.cat([torch.randint(0, TEXT_IDS, (PAGE_LABEL,)), torch.tensor(image)])
    num_pages, left = divmod(length, len(page))
    document = torch.cat([torch.randint(0, TEXT_IDS, (left,)), page.repeat(num_pages)])
    vision = config.vision_config
    patch_values = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    pixels = torch.randn(num_pages * grid[0] * grid[1], patch_values, dtype=torch.bfloat16)
    samples = []
    for _ in range(num_questions):
        ids = torch.cat([document, torch.randint(0, TEXT_IDS, (QUESTION + ANSWER,))])
        labels = torch.full_like(ids, IGNORE_INDEX)
        labels[-ANSWER:] = ids[-ANSWER:]
        samples.append(
            {
                "input_ids": ids,
                "labels": labels,
                "mm_token_type_ids": (ids == config.image_token_id).long(),
                "document_length": length,
                "pixel_values": pixels,
                "image_grid_thw": torch.tensor([1, *grid]).repeat(num_pages, 1),
            }
        )
    return samples
