"""The one file that calls a processor: page images, a question and an answer become tokens, labels and pixels."""

from collections.abc import Sequence
from pathlib import Path

import torch
import transformers
from PIL import Image
from transformers import AutoConfig, AutoProcessor, ProcessorMixin
from transformers.utils import is_torchvision_available

from mmprolong_hf.images import rgb
from mmprolong_hf.lengths import ImageLimits
from mmprolong_hf.pixels import uint8_page
from mmprolong_hf.positions import IGNORE_INDEX
from mmprolong_hf.prompt import (
    IMAGE_PAD,
    answer_ids,
    beginning_text,
    document_parts,
    prompt_text,
    split_prompt,
    tail_text,
)


class _ImageOnly:
    # transformers' Qwen-VL processors cannot be built without a video processor, and that one needs torchvision. Which parts
    # a processor has is read off the signature of `__init__`, so leaving `video_processor` out of it is enough.
    # (huggingface/transformers has no issue for it; may go when the video processor becomes optional.)
    def __init__(self, image_processor=None, tokenizer=None, chat_template=None, **kwargs):
        for name in ("image_pad", "video_pad", "vision_start", "vision_end"):
            attribute = name.replace("_pad", "") + "_token"
            setattr(self, attribute, f"<|{name}|>")
            setattr(self, f"{attribute}_id", tokenizer.convert_tokens_to_ids(f"<|{name}|>"))
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)


# They keep the names of the classes they stand in for: a saved processor carries its class's name, and must load anywhere.
class Qwen2_5_VLProcessor(_ImageOnly, transformers.Qwen2_5_VLProcessor):
    """Qwen2.5-VL's processor without its video half."""


class Qwen3VLProcessor(_ImageOnly, transformers.Qwen3VLProcessor):
    """Qwen3-VL's processor without its video half."""


IMAGE_ONLY_PROCESSORS = {"qwen2_5_vl": Qwen2_5_VLProcessor, "qwen3_vl": Qwen3VLProcessor}


def load_processor(
    path: str | Path, *, min_pixels: int | None = None, max_pixels: int | None = None, **kwargs
) -> ProcessorMixin:
    """
    A checkpoint's processor, with or without torchvision.

    Args:
        path (`str` or `Path`): A Hub id or a folder of Qwen2.5-VL or Qwen3-VL.
        min_pixels, max_pixels (`int`, *optional*): Limits of a page image after resizing, in pixels; the checkpoint's own if
            not given.

    Raises:
        ValueError: when the checkpoint is of another family.
    """
    try:
        family = AutoConfig.from_pretrained(path, **kwargs).model_type
    except OSError as error:
        raise ValueError(
            f"{path} is neither a checkpoint folder nor a model that the Hub gives to you: {error}"
        ) from error
    if family not in IMAGE_ONLY_PROCESSORS:
        known = ", ".join(IMAGE_ONLY_PROCESSORS)
        raise ValueError(f"{path} is a {family!r} model, expected one of: {known}")
    native = is_torchvision_available()
    processor = (AutoProcessor if native else IMAGE_ONLY_PROCESSORS[family]).from_pretrained(path, **kwargs)
    size = processor.image_processor.size
    limits = {
        "shortest_edge": size["shortest_edge"] if min_pixels is None else min_pixels,
        "longest_edge": size["longest_edge"] if max_pixels is None else max_pixels,
    }
    processor.image_processor.size = limits
    return processor


def save_processor(processor: ProcessorMixin, folder: str | Path) -> None:
    """
    Writes a processor so that every reader finds it: `processor_config.json` for transformers 5, and
    `preprocessor_config.json` for transformers 4, for other engines, and for the video processor, which falls back to it.
    """
    processor.save_pretrained(folder)
    processor.image_processor.save_pretrained(folder)


def image_limits(processor: ProcessorMixin) -> ImageLimits:
    """The numbers of a processor that [`~mmprolong_hf.lengths.page_grid`] needs to count a page's tokens as it does."""
    image_processor = processor.image_processor
    return ImageLimits(
        patch_size=image_processor.patch_size,
        merge_size=image_processor.merge_size,
        min_pixels=image_processor.size["shortest_edge"],
        max_pixels=image_processor.size["longest_edge"],
    )


def encode_prompt(
    processor: ProcessorMixin, images: Sequence[Image.Image], page_numbers: Sequence[int], question: str
) -> dict[str, torch.Tensor]:
    """
    Model inputs for generating an answer.

    Args:
        images (`Sequence[PIL.Image.Image]`): The pages.
        page_numbers (`Sequence[int]`): Their 1-based numbers in the document.
        question (`str`): What is asked.

    Returns:
        `dict` with `input_ids`, `attention_mask`, `mm_token_type_ids` `(1, T)` and, with pages, `pixel_values`
        `(num_patches, patch_dim)` and `image_grid_thw` `(num_images, 3)`.

    Raises:
        ValueError: when there are not as many numbers as pages.
    """
    if len(images) != len(page_numbers):
        raise ValueError(f"{len(images)} page images but {len(page_numbers)} page numbers")
    text = prompt_text(processor, page_numbers, question)
    images = [rgb(image) for image in images] or None
    return dict(processor(text=[text], images=images, return_tensors="pt", add_special_tokens=False))


def encode_page(processor: ProcessorMixin, image: Image.Image, *, uint8: bool = False) -> dict[str, torch.Tensor]:
    """A page's `pixel_values` `(num_patches, patch_dim)` and `image_grid_thw` `(1, 3)`; uint8 as [`~mmprolong_hf.pixels.uint8_page`]."""
    if uint8:
        return uint8_page(processor.image_processor, image)
    return dict(processor.image_processor(images=[rgb(image)], return_tensors="pt"))


def encode_turn(processor: ProcessorMixin, parts: Sequence[str | Sequence[int]]) -> dict[str, torch.Tensor]:
    """
    The beginning of a user's turn, up to the end of its last page: the tokens the processor makes of the whole, cut there. Only
    the sizes of pages are needed, so that pixels can be made page by page, when and if they are ([`encode_page`]).

    Args:
        parts (`Sequence[str | Sequence[int]]`): Text, and in a page's place its `image_grid_thw`; the last one is a page.

    Returns:
        `dict` with `input_ids`, `mm_token_type_ids` `(T,)` and `image_grid_thw` `(num_pages, 3)`.

    Raises:
        ValueError: when there is no page at the end, or a text holds an image's placeholder.
    """
    if not parts or isinstance(parts[-1], str):
        raise ValueError(f"a turn ends with {parts[-1:]}, expected a page: text behind it belongs to encode_tail")
    grids = torch.tensor([[int(side) for side in part] for part in parts if not isinstance(part, str)])
    sizes = grids.prod(-1) // processor.image_processor.merge_size**2
    before, *after = beginning_text(processor, parts).split(IMAGE_PAD)
    text = before + "".join(IMAGE_PAD * size + piece for size, piece in zip(sizes.tolist(), after, strict=True))
    input_ids = _tokens(processor, text)
    is_image = (input_ids == processor.image_token_id).long()
    return {"input_ids": input_ids, "mm_token_type_ids": is_image, "image_grid_thw": grids}


def encode_tail(processor: ProcessorMixin, text: str, answer_start: str = "") -> torch.Tensor:
    """
    The tokens `(T,)` that follow [`encode_turn`] when `text` is asked: it, the end of the turn, and `answer_start`, what the answer
    begins with already.
    """
    return _tokens(processor, tail_text(processor, text) + answer_start)


def _tokens(processor: ProcessorMixin, text: str) -> torch.Tensor:
    return torch.tensor(processor.tokenizer(text, add_special_tokens=False).input_ids)


def encode_document(
    processor: ProcessorMixin, images: Sequence[Image.Image], page_numbers: Sequence[int], *, uint8: bool = False
) -> dict[str, torch.Tensor]:
    """
    The part of a sample that all questions about the same pages have in common.

    Args:
        images (`Sequence[PIL.Image.Image]`): The pages.
        page_numbers (`Sequence[int]`): Their 1-based numbers in the document.
        uint8 (`bool`): As in [`encode_page`].

    Returns:
        `dict` with `input_ids`, `mm_token_type_ids` `(document_length,)`, and `pixel_values`, `image_grid_thw` where there are
        pages. Without pages it is empty, and the whole prompt is in the branch.
    """
    if not page_numbers:
        return {"input_ids": torch.zeros(0).long(), "mm_token_type_ids": torch.zeros(0).long()}
    pages = [encode_page(processor, image, uint8=uint8) for image in images]
    turn = encode_turn(processor, document_parts([page["image_grid_thw"][0] for page in pages], page_numbers))
    return turn | {"pixel_values": torch.cat([page["pixel_values"] for page in pages])}


def encode_branch(
    processor: ProcessorMixin,
    document: dict[str, torch.Tensor],
    page_numbers: Sequence[int],
    question: str,
    answer: str,
    *,
    supervised: bool = True,
) -> dict[str, torch.Tensor]:
    """
    A training sample of an encoded document: the question, the answer and the end of the turn, which last two alone are labelled.

    Args:
        document (`dict`): From [`encode_document`].
        supervised (`bool`): Off, nothing is labelled: such a sample keeps an otherwise idle rank in step.

    Returns:
        `dict` as [`encode_sample`].
    """
    prompt = _tokens(processor, split_prompt(processor, page_numbers[:1], question)[1])
    answer = torch.tensor(answer_ids(processor, answer))
    length = len(document["input_ids"])
    ignored = torch.full((length + len(prompt),), IGNORE_INDEX)
    return document | {
        "input_ids": torch.cat([document["input_ids"], prompt, answer]),
        "labels": torch.cat([ignored, answer if supervised else torch.full_like(answer, IGNORE_INDEX)]),
        "mm_token_type_ids": torch.cat([document["mm_token_type_ids"], torch.zeros(len(prompt) + len(answer)).long()]),
        "document_length": length,
    }


def encode_sample(
    processor: ProcessorMixin,
    images: Sequence[Image.Image],
    page_numbers: Sequence[int],
    question: str,
    answer: str,
    *,
    supervised: bool = True,
) -> dict[str, torch.Tensor]:
    """
    One training sample: the prompt of [`encode_prompt`], then the answer and the end of the turn, which alone are labelled.

    Args:
        supervised (`bool`): Off, nothing is labelled.

    Returns:
        `dict` with `input_ids`, `labels`, `mm_token_type_ids` `(T,)`, `document_length` (the tokens that other questions about the
        same pages begin with), and `pixel_values`, `image_grid_thw` where there are pages: what
        [`~mmprolong_hf.collator.PackCollator`] takes.
    """
    if len(images) != len(page_numbers):
        raise ValueError(f"{len(images)} page images but {len(page_numbers)} page numbers")
    document = encode_document(processor, images, page_numbers)
    return encode_branch(processor, document, page_numbers, question, answer, supervised=supervised)
