"""The question of an MM-NIAH item, as the model is asked (OpenGVLab/MM-NIAH at 2fd03dd, utils/tools.py)."""

from collections.abc import Mapping
from pathlib import Path

_PROMPTS = Path(__file__).parent / "prompts"


def get_input(item: Mapping) -> dict:
    """
    Context, images, question with its choices and instruction, and answer of one item.

    Args:
        item (`Mapping`): A row of the benchmark: `context` with an "<image>" for each of `images_list`, `question`, `answer`, and
            `meta` with `choices` (texts) or `choices_image_path` (images), `None` where there are none.

    Returns:
        `dict` with `context`, `images_list` (those of the choices last), `question` and `answer`.

    Example:

    ```python
    >>> item = {"context": "x", "images_list": [], "question": "Where?", "answer": 1}
    >>> print(get_input(item | {"meta": {"choices": ["left", "right"], "choices_image_path": None}})["question"])
    Where?
    A. left
    B. right
    Answer with the option's letter from the given choices directly.

    ```
    """
    texts, images = item["meta"]["choices"], item["meta"]["choices_image_path"]
    choices = texts or ["<image>"] * len(images or [])
    instruction = (_PROMPTS / ("mm_niah_choice.md" if choices else "mm_niah_short_answer.md")).read_text(
        encoding="utf-8"
    )
    lettered = [f"{chr(ord('A') + index)}. {choice}" for index, choice in enumerate(choices)]
    return {
        "context": item["context"],
        "images_list": item["images_list"] + (images or []),
        "question": "\n".join([item["question"], *lettered, instruction.strip()]),
        "answer": item["answer"],
    }
