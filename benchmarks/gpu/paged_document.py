"""One long document of random page images with a question, as our trainer takes it and as TRL's own collator makes it."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from PIL import Image
from transformers import ProcessorMixin, Qwen2_5_VLConfig
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from mmprolong_hf.collator import PackCollator
from mmprolong_hf.demo.model import make_tokenizer
from mmprolong_hf.encoding import IMAGE_ONLY_PROCESSORS, encode_branch, encode_page, encode_turn
from mmprolong_hf.prompt import document_parts, prompt_text, text_length
from mmprolong_hf.synthesis.schema import Question

PATCH = 14  # pixels
NUM_DRAWN = 8  # pages; a longer document shows them again and again
QUESTION = "What is the title of the section that starts on page 3?"
ANSWER = "The section that starts on page 3 has the title 3 1 4 1 5 9 2 6."


def make_processor(grid: tuple[int, int]) -> ProcessorMixin:
    """
    Qwen2.5-VL's processor, with a tokenizer made on the spot.

    Args:
        grid (`tuple[int, int]`): Rows and columns of a page's patches, and the most that a page has.
    """
    tokenizer = make_tokenizer()
    images = Qwen2VLImageProcessorPil(min_pixels=(2 * PATCH) ** 2, max_pixels=grid[0] * grid[1] * PATCH**2)
    return IMAGE_ONLY_PROCESSORS["qwen2_5_vl"](images, tokenizer, chat_template=tokenizer.chat_template)


def use_tokens(config: Qwen2_5_VLConfig, processor: ProcessorMixin) -> None:
    """Lets a model know which tokens of a processor stand for images."""
    for name in ("image", "video", "vision_start", "vision_end"):
        setattr(config, f"{name}_token_id", getattr(processor, f"{name}_token_id"))


class PagedDocument:
    """
    As many pages as `length` tokens have room for, and a question.

    Args:
        processor (`ProcessorMixin`): From [`make_processor`].
        grid (`tuple[int, int]`): As there.
        length (`int`): Most tokens.
    """

    def __init__(self, processor: ProcessorMixin, grid: tuple[int, int], length: int):
        self.processor = processor
        size = (grid[0] * PATCH, grid[1] * PATCH, 3)
        rng = np.random.default_rng(0)
        self.drawn = [Image.fromarray(rng.integers(256, size=size, dtype=np.uint8)) for _ in range(NUM_DRAWN)]
        page_tokens = grid[0] * grid[1] // 4 + 2
        number = length // page_tokens
        while text_length(processor, range(1, number + 1), QUESTION, ANSWER) + number * page_tokens > length:
            number -= 1
        self.numbers = range(1, number + 1)
        self._made: dict[Any, dict] = {}

    def ours(self, *, uint8: bool) -> dict[str, Any]:
        """A pack with the document alone. A page that is shown again is not encoded again."""
        if uint8 not in self._made:
            drawn = [encode_page(self.processor, image, uint8=uint8) for image in self.drawn]
            pages = [drawn[number % NUM_DRAWN] for number in self.numbers]
            parts = document_parts([page["image_grid_thw"][0] for page in pages], self.numbers)
            pixels = torch.cat([page["pixel_values"] for page in pages])
            document = encode_turn(self.processor, parts) | {"pixel_values": pixels}
            sample = encode_branch(self.processor, document, self.numbers, QUESTION, ANSWER)
            self._made[uint8] = PackCollator()([sample])
        return dict(self._made[uint8])

    def stock(self, collator: Callable[[list[dict]], dict]) -> dict[str, Any]:
        """
        What TRL's collator makes of the same pages, question and answer.

        Raises:
            ValueError: when its tokens or targets are others than ours.
        """
        if "stock" not in self._made:
            made, ours = dict(collator([self.row()])), self.ours(uint8=True)
            for name in ("input_ids", "labels", "image_grid_thw"):
                if not torch.equal(made[name], ours[name]):
                    raise ValueError(f"{name} of TRL's collator differ from ours; expected the same sample")
            self._made["stock"] = made
        return dict(self._made["stock"])

    def row(self) -> dict[str, Any]:
        """The document as TRL's collator takes it."""
        return {
            "images": [self.drawn[number % NUM_DRAWN] for number in self.numbers],
            "prompt": prompt_text(self.processor, self.numbers, QUESTION),
            "completion": ANSWER + self.processor.tokenizer.eos_token,
        }


def one_page_dataset(page: Image.Image) -> Dataset:
    """A published set of one document of one page: our trainer is made with it, and trains on other inputs here."""
    buffer = BytesIO()
    page.save(buffer, "PNG")
    question = Question(QUESTION, ANSWER, "extract-single", "String", (1,), ("Text",))
    images = [{"bytes": buffer.getvalue(), "path": None}]
    row = {"source": "page", "page_sizes": [list(page.size)], "images": images, "questions": [question.to_row()]}
    return Dataset.from_list([row])
