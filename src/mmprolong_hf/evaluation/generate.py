"""A checkpoint's answer to one question about some pages."""

from collections.abc import Sequence

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, GenerationConfig, PreTrainedModel, ProcessorMixin

from mmprolong_hf.encoding import encode_prompt


def load_model(path: str) -> PreTrainedModel:
    """
    A checkpoint ready to answer: in the type it was saved in, on the GPU where there is one.

    Args:
        path (`str`): A checkpoint folder, or the id of a model on the Hub.
    """
    model = AutoModelForImageTextToText.from_pretrained(path, dtype="auto")
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


@torch.no_grad()
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
    """
    inputs = encode_prompt(processor, pages, range(1, len(pages) + 1), question)
    # Everything is named because `generate` fills what is not from the checkpoint's generation_config, and Qwen2.5-VL's asks
    # for a repetition penalty, under which greedy is not greedy.
    greedy = GenerationConfig(
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,
        temperature=1.0,
        top_k=50,
        top_p=1.0,
        max_new_tokens=max_new_tokens,
        eos_token_id=processor.tokenizer.eos_token_id,
        pad_token_id=processor.tokenizer.pad_token_id,
    )
    inputs = {name: tensor.to(model.device) for name, tensor in inputs.items()}
    tokens = model.generate(**inputs, generation_config=greedy)[0, inputs["input_ids"].shape[1] :]
    return processor.tokenizer.decode(tokens, skip_special_tokens=True).strip()
