"""The one file that calls a processor: page images, a question and an answer become tokens, labels and pixels."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import torch
import transformers
from datasets import Dataset
from PIL import Image
from transformers import AutoConfig, AutoProcessor, ProcessorMixin
from transformers.utils import is_torchvision_available

from mmprolong_hf.lengths import ImageLimits
from mmprolong_hf.positions import IGNORE_INDEX
from mmprolong_hf.synthesis.render import PdfPages


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


VISION_END = "<|vision_end|>"  # of both families, after every image
DOCUMENT_KEYS = ("input_ids", "mm_token_type_ids", "pixel_values", "image_grid_thw")
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


def prompt_text(processor: ProcessorMixin, page_numbers: Sequence[int], question: str) -> str:
    """
    The prompt as the chat template writes it, up to where the answer starts: every page is named by its number and stands
    before the question, so that all questions about a document share their beginning.
    """
    content = []
    for index, number in enumerate(page_numbers):
        newline = "\n" if index else ""
        content += [{"type": "text", "text": f"{newline}Page {number}:\n"}, {"type": "image"}]
    content.append({"type": "text", "text": f"\n\n{question}" if page_numbers else question})
    messages = [{"role": "user", "content": content}]
    return processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


def split_prompt(processor: ProcessorMixin, page_numbers: Sequence[int], question: str) -> tuple[str, str]:
    """
    [`prompt_text`] in two: the document, up to the end of its last page, and what only this question has. The cut is at a special
    token, so tokens of the two parts are the tokens of the whole.
    """
    text = prompt_text(processor, page_numbers, question)
    if not page_numbers:
        return "", text
    end = len(text) - len(prompt_text(processor, page_numbers[:1], question).split(VISION_END, 1)[1])
    return text[:end], text[end:]


def document_text_length(processor: ProcessorMixin, page_numbers: Sequence[int]) -> int:
    """
    Tokens of a document that belong to no image (and not to the two markers around each): what
    [`~mmprolong_hf.lengths.sample_length`] adds the pages to. No image is needed.
    """
    document, _ = split_prompt(processor, page_numbers, "")
    return len(processor.tokenizer(document, add_special_tokens=False).input_ids) - 3 * len(page_numbers)


def branch_length(processor: ProcessorMixin, page_numbers: Sequence[int], question: str, answer: str) -> int:
    """Tokens of a question and its answer behind a document of these pages."""
    _, branch = split_prompt(processor, page_numbers[:1], question)
    prompt = processor.tokenizer(branch, add_special_tokens=False).input_ids
    return len(prompt) + len(answer_ids(processor, answer))


def text_length(processor: ProcessorMixin, page_numbers: Sequence[int], question: str, answer: str) -> int:
    """[`document_text_length`] and [`branch_length`] together."""
    return document_text_length(processor, page_numbers) + branch_length(processor, page_numbers, question, answer)


def answer_ids(processor: ProcessorMixin, answer: str) -> list[int]:
    """
    An answer's tokens with the end of the turn: tokenised by itself, since that is how a model has to write it.

    Raises:
        ValueError: when the answer is empty or begins or ends with white space, which a prompt's end could merge with.
    """
    if not answer or answer != answer.strip():
        raise ValueError(f"answer is {answer!r}, expected text without white space at its ends")
    return [*processor.tokenizer(answer, add_special_tokens=False).input_ids, processor.tokenizer.eos_token_id]


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
    images = [image.convert("RGB") for image in images] or None
    return dict(processor(text=[text], images=images, return_tensors="pt", add_special_tokens=False))


def encode_document(
    processor: ProcessorMixin, images: Sequence[Image.Image], page_numbers: Sequence[int]
) -> dict[str, torch.Tensor]:
    """
    The part of a sample that all questions about the same pages have in common.

    Args:
        images (`Sequence[PIL.Image.Image]`): The pages.
        page_numbers (`Sequence[int]`): Their 1-based numbers in the document.

    Returns:
        `dict` with `input_ids`, `mm_token_type_ids` `(document_length,)`, and `pixel_values`, `image_grid_thw` where there are
        pages. Without pages it is empty, and the whole prompt is in the branch.
    """
    if not page_numbers:
        return {"input_ids": torch.zeros(0).long(), "mm_token_type_ids": torch.zeros(0).long()}
    document, _ = split_prompt(processor, page_numbers, "")
    images = [image.convert("RGB") for image in images]
    inputs = processor(text=[document], images=images, return_tensors="pt", add_special_tokens=False)
    return {key: inputs[key][0] if key in ("input_ids", "mm_token_type_ids") else inputs[key] for key in DOCUMENT_KEYS}


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
    _, branch = split_prompt(processor, page_numbers[:1], question)
    prompt = torch.tensor(processor.tokenizer(branch, add_special_tokens=False).input_ids)
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


class UndecodedRows(Sequence):
    """
    Rows of a dataset with their images as stored, to be opened one by one: a plain row of a long document decodes all its pages.

    In the compact form, where a row has no images but the `pdf` itself, its `images` are the pages rendered when they are opened.

    Args:
        dataset (`Dataset`): With a column `images`.
    """

    def __init__(self, dataset: Dataset):
        self.rows = dataset.with_format("arrow")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        row = self.rows[index].to_pylist()[0]
        if row.get("pdf") and not row["images"]:
            row["images"] = PdfPages(row["pdf"], row["dpi"], row["engine"], row["image_format"])
        return row


def decode_image(image: dict | Image.Image) -> Image.Image:
    """
    A page image of a dataset row, whether its column is decoded or holds encoded bytes.

    Example:

    ```python
    >>> decode_image(Image.new("RGB", (4, 3))).size
    (4, 3)

    ```
    """
    return image if isinstance(image, Image.Image) else Image.open(BytesIO(image["bytes"]))
