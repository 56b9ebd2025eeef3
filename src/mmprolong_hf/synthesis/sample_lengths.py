"""Tokens of a sample as its processor will make them, without a processor: pages from their sizes, text by the tokenizer."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from ..lengths import QWEN2_5_VL_LIMITS, QWEN3_VL_LIMITS, ImageLimits, page_grid, sample_length

_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
_IMAGE_TOKENS = 3  # of `_IMAGE` itself; `sample_length` adds two markers and the page's own tokens
# What the published chat templates write before and after a user's message: Qwen2.5-VL's adds a system prompt.
_TURN = "<|im_start|>user\n"
CHAT_HEADS = {
    "qwen2_5_vl": f"<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{_TURN}",
    "qwen3_vl": _TURN,
}
CHAT_TAIL = "<|im_end|>\n<|im_start|>assistant\n"
LIMITS = {"qwen2_5_vl": QWEN2_5_VL_LIMITS, "qwen3_vl": QWEN3_VL_LIMITS}
_PIECES = re.compile(r"<\|[a-z_]+\|>|[^\W\d_]+|\n+|[^\S\n]{2,}|[^\w\s]+|[\d_]")


class SampleLengths:
    """
    Counts the tokens of samples as `encoding.encode_sample` will make them.

    Pages are counted exactly, from their sizes. Text is counted exactly when the tokenizer is given; without it, by
    [`estimate_tokens`], which is on the safe side for usual text.

    Args:
        family (`str`, *optional*, defaults to `"qwen2_5_vl"`): Or `"qwen3_vl"`: whose chat template and page sizes.
        tokenizer (`str` or `Path`, *optional*): A `tokenizer.json`, a folder that holds one, or a Hub id of a model.
        limits (`ImageLimits`, *optional*): Of the image processor; those that the family is published with if not given.

    Raises:
        ValueError: for an unknown family or a tokenizer that is not there.

    Example:

    ```python
    >>> lengths = SampleLengths()
    >>> lengths([(1224, 1584)] * 2, "What is on page 1?", "A table")  # two pages of 2,508 tokens with 2 markers, and text
    5074
    >>> SampleLengths(family="llava")
    Traceback (most recent call last):
    ...
    ValueError: family is 'llava', expected one of qwen2_5_vl, qwen3_vl

    ```
    """

    def __init__(
        self,
        *,
        family: str = "qwen2_5_vl",
        tokenizer: str | Path | None = None,
        limits: ImageLimits | None = None,
    ):
        if family not in CHAT_HEADS:
            raise ValueError(f"family is {family!r}, expected one of {', '.join(CHAT_HEADS)}")
        self._head = CHAT_HEADS[family]
        self._limits = LIMITS[family] if limits is None else limits
        self._count = estimate_tokens if tokenizer is None else _load_counter(tokenizer)
        self._tail = self._count(CHAT_TAIL)
        # Most documents of a set have one of few numbers of pages, and many pages one of few sizes.
        self._labels = lru_cache(maxsize=None)(self._count_labels)
        self._grid = lru_cache(maxsize=4096)(lambda width, height: page_grid(width, height, self._limits))

    def __call__(self, page_sizes: Sequence[Sequence[int]], question: str, answer: str) -> int:
        """
        Tokens of one sample, all its pages shown.

        Args:
            page_sizes (`Sequence[Sequence[int]]`): (width, height) of each page image in pixels.
            question (`str`): As it is asked.
            answer (`str`): As it is trained.
        """
        grids = [self._grid(width, height) for width, height in page_sizes]
        return sample_length(self.text_tokens(len(grids), question, answer), grids)

    def text_tokens(self, num_pages: int, question: str, answer: str) -> int:
        """
        Tokens that belong to no page image and are not one of the two markers around each.

        Args:
            num_pages (`int`): Pages that are shown.
            question (`str`): As it is asked.
            answer (`str`): As it is trained.
        """
        # Control tokens stand around the question, the labels and the answer, and no token reaches over one: so the parts
        # are counted one by one. Only without pages does the question follow the turn's own first line.
        prompt = (
            self._labels(num_pages) + self._count(f"\n\n{question}")
            if num_pages
            else self._count(self._head + question)
        )
        return prompt + self._tail + self._count(answer) + 1  # the end of the turn

    def _count_labels(self, num_pages: int) -> int:
        labels = "\n".join(f"Page {number}:\n{_IMAGE}" for number in range(1, num_pages + 1))
        return self._count(self._head + labels) - _IMAGE_TOKENS * num_pages


def estimate_tokens(text: str) -> int:
    """
    Tokens of a text where no tokenizer is at hand, rather too many than too few.

    A word costs a token for every three bytes begun; a digit and a run of punctuation, of line ends or of spaces cost one.
    On 153 pages of manuals that is 1.47 times what Qwen's own byte pairs make of them, and fewer on one page (by 1 %).

    Args:
        text (`str`): Any; control tokens count as one.

    Example:

    ```python
    >>> estimate_tokens("What was sold in 2021?")  # What, was, sold, in: 2 + 1 + 2 + 1; four digits; "?"
    11

    ```
    """
    return sum(_piece_tokens(piece) for piece in _PIECES.findall(text))


def _piece_tokens(piece: str) -> int:
    if piece[0].isalpha():
        return -(-len(piece.encode()) // 3)
    return 1


def _load_counter(tokenizer: str | Path) -> Callable[[str], int]:
    from tokenizers import Tokenizer

    path = Path(tokenizer)
    if path.is_dir():
        path = path / "tokenizer.json"
    if not path.is_file():
        path = _download(str(tokenizer))
    loaded = Tokenizer.from_file(str(path))
    return lambda text: len(loaded.encode(text, add_special_tokens=False).ids)


def _download(model: str) -> str:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return hf_hub_download(model, "tokenizer.json")
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise ValueError(
            f"tokenizer is {model!r}, expected a tokenizer.json, a folder with one, or a model that the Hub gives to you: "
            f"{error}"
        ) from error
