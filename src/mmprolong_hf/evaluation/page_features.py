"""Vision features of page images, computed once per distinct page: in many contexts the same pages stand at other places."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image
from transformers import PreTrainedModel, ProcessorMixin
from transformers.models.qwen3_vl.modeling_qwen3_vl import BaseModelOutputWithDeepstackFeatures

from mmprolong_hf.encoding import encode_page, image_limits
from mmprolong_hf.evaluation.requests import PageImage
from mmprolong_hf.lengths import page_grid


class UnreadablePageError(ValueError):
    """A page that is not there, is no image, or has a shape that the processor refuses."""


class PageFeatures:
    """
    What a model's vision tower makes of pages. A page's features do not depend on other pages, so each is computed alone, when it
    is first needed, and kept in host memory: the pages used last, as many as `max_bytes` hold.

    Args:
        model (`PreTrainedModel`): Qwen2.5-VL or Qwen3-VL.
        processor (`ProcessorMixin`): From [`~mmprolong_hf.encoding.load_processor`].
        max_bytes (`int`): Bound of what is kept. A token of a 7B model takes 7 KB, and 33 KB with Qwen3-VL-8B's deepstack, so 8 GiB
            hold 1.2M or 260K tokens.
    """

    def __init__(self, model: PreTrainedModel, processor: ProcessorMixin, max_bytes: int):
        self.model, self.processor, self.max_bytes = model, processor, max_bytes
        self.limits = image_limits(processor)
        self.kept: OrderedDict[str, list[torch.Tensor]] = OrderedDict()
        self.kept_bytes = 0

    def grid(self, page: PageImage) -> tuple[int, int, int]:
        """
        A page's `image_grid_thw`, from the size in its header alone.

        Raises:
            UnreadablePageError: when the page cannot be opened or the processor refuses its shape.
        """
        with _opening(page):
            width, height = Image.open(BytesIO(page.encoded())).size
        try:
            rows, columns = page_grid(width, height, self.limits)
        except ValueError as error:
            raise UnreadablePageError(f"a page cannot be used: {error}") from error
        return 1, rows * self.limits.merge_size, columns * self.limits.merge_size

    def of(self, page: PageImage) -> list[torch.Tensor]:
        """
        A page's features: those that take the place of its tokens, then those of each deepstack layer (Qwen3-VL), all of shape
        `(num_tokens, hidden_size)`.

        Raises:
            UnreadablePageError: when the page cannot be opened.
        """
        with _opening(page):
            sha256 = page.sha256
        if sha256 in self.kept:
            self.kept.move_to_end(sha256)
            return self.kept[sha256]
        features = self.kept[sha256] = self._compute(page)
        self.kept_bytes += _num_bytes(features)
        while self.kept_bytes > self.max_bytes and len(self.kept) > 1:  # the one in use stays
            _, oldest = self.kept.popitem(last=False)
            self.kept_bytes -= _num_bytes(oldest)
        return features

    def rows(
        self, pages: Sequence[PageImage], sizes: Sequence[int], start: int, stop: int
    ) -> BaseModelOutputWithDeepstackFeatures:
        """
        Features of some of a context's image tokens, as a model's `mm_encoder_outputs` has them.

        Args:
            pages (`Sequence[PageImage]`): All of the context's.
            sizes (`Sequence[int]`): Tokens of each page.
            start, stop (`int`): The first and the one past the last of them, counted over all pages; both may be within a page.

        Raises:
            UnreadablePageError: when a page of them cannot be opened.
        """
        pieces, first = [], 0
        for page, size in zip(pages, sizes):
            low, high = max(start, first), min(stop, first + size)
            if low < high:
                pieces.append([kind[low - first : high - first].to(self.model.device) for kind in self.of(page)])
            first += size
        own, *deepstack = zip(*pieces)
        return BaseModelOutputWithDeepstackFeatures(pooler_output=own, deepstack_features=deepstack)

    @torch.no_grad()
    def _compute(self, page: PageImage) -> list[torch.Tensor]:
        with _opening(page):
            image = page.open()
        inputs = {name: tensor.to(self.model.device) for name, tensor in encode_page(self.processor, image).items()}
        output = self.model.model.get_image_features(**inputs, return_dict=True)
        kinds = [output.pooler_output, *output.get("deepstack_features", [])]
        return [features[0].cpu() for features in kinds]


@contextmanager
def _opening(page: PageImage) -> Iterator[None]:
    try:
        yield
    except (
        OSError,
        SyntaxError,
        Image.DecompressionBombError,
    ) as error:  # Pillow's SyntaxError is for broken PNG files
        where = page.data if isinstance(page.data, Path) else f"a page of {len(page.data)} bytes"
        # Pillow's own words name objects by their address, and records of two runs have to be equal
        raise UnreadablePageError(f"{where} cannot be opened: {type(error).__name__}") from error


def _num_bytes(features: list[torch.Tensor]) -> int:
    return sum(tensor.nbytes for tensor in features)
