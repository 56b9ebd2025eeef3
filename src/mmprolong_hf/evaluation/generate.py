"""A checkpoint ready to answer, and its answer to one question about some pages."""

from collections.abc import Sequence
from io import BytesIO

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, PreTrainedConfig, PreTrainedModel, ProcessorMixin

from mmprolong_hf.evaluation.requests import Ask, Context, PageImage
from mmprolong_hf.evaluation.shared_prefix import TransformersEngine
from mmprolong_hf.images import rgb
from mmprolong_hf.prompt import document_parts, question_part


def load_model(path: str, config: PreTrainedConfig | None = None) -> PreTrainedModel:
    """
    A checkpoint ready to answer: in the type it was saved in, on the GPU where there is one.

    Args:
        path (`str`): A checkpoint folder, or the id of a model on the Hub.
        config (`PreTrainedConfig`, *optional*): In place of its own; a model keeps the frequencies it was built with.
    """
    model = AutoModelForImageTextToText.from_pretrained(path, config=config, dtype="auto")
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def page_image(image: dict | Image.Image) -> PageImage:
    """
    A page of a dataset row, whether its column is decoded or holds encoded bytes.

    Example:

    ```python
    >>> page_image(Image.new("RGB", (4, 3))).open().size
    (4, 3)

    ```
    """
    if isinstance(image, dict):
        return PageImage(image["bytes"])
    buffer = BytesIO()
    rgb(image).save(buffer, "PPM")  # not compressed: it is read back at once
    return PageImage(buffer.getvalue())


def document_context(pages: Sequence[PageImage], asks: Sequence[Ask]) -> Context:
    """
    Questions about a whole document in the words of training: every page under its number, from 1 on, then the question.

    Args:
        asks (`Sequence[Ask]`): With the bare questions as text.
    """
    parts = document_parts(pages, range(1, len(pages) + 1))
    asks = [Ask(ask.id, question_part(ask.text), ask.answer_start, ask.max_new_tokens) for ask in asks]
    return Context(tuple(parts), tuple(asks))


def answer(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    pages: Sequence[Image.Image],
    question: str,
    *,
    max_new_tokens: int = 32,
) -> str:
    """
    The model's greedy answer, without the end of the turn.

    Args:
        model (`PreTrainedModel`): From [`load_model`].
        processor (`ProcessorMixin`): From [`~mmprolong_hf.encoding.load_processor`].
        pages (`Sequence[PIL.Image.Image]`): The page images, numbered from 1 in the prompt.
        question (`str`): What is asked.
        max_new_tokens (`int`): Longest answer, in tokens.

    Raises:
        ValueError: when there is no page.
        RuntimeError: when memory does not suffice.
    """
    asks = [Ask("", question, max_new_tokens=max_new_tokens)]
    context = document_context([page_image(page) for page in pages], asks)
    (answered,) = TransformersEngine(model, processor).answer(context)
    if answered.error:
        raise RuntimeError(answered.error)
    return answered.text
