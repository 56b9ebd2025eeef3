"""Packs of any length, made of noise, and a training step on one as TRL's trainer does it."""

from unittest.mock import patch

import tiny
import torch
from trl.trainer.utils import add_fused_lm_head

from mmprolong_hf.attention import PACKED_ATTENTION
from mmprolong_hf.collator import PackCollator

ATTENTION = {"text_config": PACKED_ATTENTION, "vision_config": "sdpa"}
PAGE = 16  # patches along a side: 64 tokens


def long_pack(
    config,
    tokens: int,
    *,
    pages: int | None = None,
    samples: int = 1,
    branches: int = 0,
    supervised: int = 8,
    uint8: bool = False,
):
    """
    A row of `tokens` tokens: pages, then text. With branches the row is one document that they share, else samples of equal
    length, each with as many pages; of bytes if `uint8`, as `uint8_page` makes them.
    """
    a_page = PAGE**2 // 4
    branch_length = 16
    length = tokens // samples - branches * branch_length
    pages = length // (a_page + 2) if pages is None else pages
    ids = torch.randint(3, 60, (length,))
    types = torch.zeros(length, dtype=torch.int64)
    for page in range(pages):
        start = page * (a_page + 2)
        ids[start], ids[start + a_page + 1] = config.vision_start_token_id, config.vision_end_token_id
        ids[start + 1 : start + 1 + a_page], types[start + 1 : start + 1 + a_page] = config.image_token_id, 1
    pixels = 3 * config.vision_config.patch_size**2
    images = {}
    if pages and uint8:
        images["pixel_values"] = torch.randint(256, (pages * PAGE**2, pixels), dtype=torch.uint8)
    elif pages:
        images["pixel_values"] = torch.randn(pages * PAGE**2, 2 * pixels)
    if pages:
        images["image_grid_thw"] = torch.tensor([[1, PAGE, PAGE]] * pages)
    if not branches:
        labels = torch.full_like(ids, -100)
        labels[-supervised:] = ids[-supervised:]
        return PackCollator()([{"input_ids": ids, "labels": labels, "mm_token_type_ids": types} | images] * samples)
    shared = []
    for _ in range(branches):
        own = torch.cat([ids, torch.randint(3, 60, (branch_length,))])
        labels = torch.full_like(own, -100)
        labels[-supervised:] = own[-supervised:]
        sample = {
            "input_ids": own,
            "labels": labels,
            "mm_token_type_ids": torch.nn.functional.pad(types, (0, branch_length)),
        }
        shared.append(sample | images | {"document_length": length})
    return PackCollator()([shared])


def wide_model(
    family: str = "qwen2_5_vl", attention=ATTENTION, dtype=torch.float32, vision: dict | None = None, **text
):
    """A model whose vision windows are whole pages, with TRL's head, in training."""
    torch.manual_seed(0)
    config = tiny.config(family, **text)
    sizes = {"window_size": PAGE * config.vision_config.patch_size} if family == "qwen2_5_vl" else {}
    for name, value in (sizes | {"out_hidden_size": config.text_config.hidden_size} | (vision or {})).items():
        setattr(config.vision_config, name, value)
    model = type(tiny.model(family))._from_config(config, attn_implementation=attention, dtype=dtype)
    add_fused_lm_head(model)
    return model.train()


def loss_of(model, pack) -> torch.Tensor:
    """TRL's loss, of labelled tokens alone as on a GPU; on CPUs it would score every token."""
    with patch("trl.trainer.utils._use_triton", return_value=True):
        return model(**pack, fused_lm_head=True).loss
